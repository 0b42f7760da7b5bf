package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"mpim/handlers/api"
)

// Document returns the OpenAPI 3.1 document of all operations that have a route.
func Document(registry *api.Registry, version string) ([]byte, error) {
	if version == "" {
		version = "0.0.0"
	}
	schemas := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	document := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title: "MPIM", Version: version,
			Description: "An event-sourced chat backend. The same operations are reachable as JSON-RPC 2.0 over a WebSocket at /v1/ws.",
		},
		Components: &huma.Components{
			Schemas: schemas,
			SecuritySchemes: map[string]*huma.SecurityScheme{
				"token": {Type: "http", Scheme: "bearer", BearerFormat: "JWT", Description: "The token of session.create."},
			},
		},
		Security: []map[string][]string{{"token": {}}},
	}
	problem := schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")
	var described []*api.Operation
	answers := make(map[string]*huma.Schema)
	for _, operation := range registry.Operations() {
		if operation.Verb != "" {
			described = append(described, operation)
			answers[operation.Method] = schemas.Schema(operation.Output, true, operation.Method)
		}
	}
	// Clients ignore what they do not know, so answers may gain members; requests may not.
	for _, schema := range schemas.Map() {
		schema.AdditionalProperties = nil
	}
	for _, operation := range described {
		described, err := describe(schemas, operation, answers[operation.Method], problem)
		if err != nil {
			return nil, err
		}
		document.AddOperation(described)
	}
	text, err := json.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("encode the OpenAPI document: %w", err)
	}
	return text, nil
}

func describe(schemas huma.Registry, operation *api.Operation, answer, problem *huma.Schema) (*huma.Operation, error) {
	topic, _, _ := strings.Cut(operation.Method, ".")
	d := &huma.Operation{
		OperationID: operation.Method, Method: operation.Verb, Path: operation.Path, Summary: operation.Summary,
		Tags: []string{topic},
		Responses: map[string]*huma.Response{
			strconv.Itoa(operation.Status): {
				Description: http.StatusText(operation.Status),
				Content:     map[string]*huma.MediaType{"application/json": {Schema: answer}},
			},
			"default": {
				Description: "What went wrong: code says what can be done about it.",
				Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: problem}},
			},
		},
	}
	if operation.Public {
		d.Security = []map[string][]string{}
	}
	body := &huma.Schema{Type: huma.TypeObject, Properties: make(map[string]*huma.Schema), AdditionalProperties: false}
	inPath := membersOf(operation).path
	for _, f := range api.Fields(operation.Input) {
		schema := huma.SchemaFromField(schemas, f.Source, operation.Method+" "+f.Name)
		if schema == nil {
			return nil, fmt.Errorf("%s: the member %s has no schema", operation.Method, f.Name)
		}
		// A pointer here only tells absent from zero.
		schema.Nullable = false
		switch {
		case slices.Contains(inPath, f.Name):
			d.Parameters = append(d.Parameters, parameter("path", f, schema))
		case operation.Verb == http.MethodGet || operation.Verb == http.MethodDelete:
			d.Parameters = append(d.Parameters, parameter("query", f, schema))
		default:
			body.Properties[f.Name] = schema
			if f.Required {
				body.Required = append(body.Required, f.Name)
			}
		}
	}
	if len(body.Properties) > 0 {
		d.RequestBody = &huma.RequestBody{
			Required: len(body.Required) > 0,
			Content:  map[string]*huma.MediaType{"application/json": {Schema: body}},
		}
	}
	return d, nil
}

func parameter(in string, f api.Field, schema *huma.Schema) *huma.Param {
	p := &huma.Param{Name: f.Name, In: in, Required: f.Required, Schema: schema, Description: f.Source.Tag.Get("doc")}
	if in == "query" && f.Kind.Kind() == reflect.Slice {
		repeated := true
		p.Explode = &repeated
	}
	return p
}
