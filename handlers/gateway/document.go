package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"mpim/domain"
	"mpim/handlers/api"
)

// What the gateway itself takes, as the document describes it.
type (
	helloParams struct {
		Token  string        `json:"token,omitempty" doc:"Instead of an Authorization header when the socket is opened."`
		Client string        `json:"client,omitempty" doc:"The client's name/version."`
		Resume *resumeParams `json:"resume,omitempty" doc:"The older socket that this one takes the place of."`
	}
	resumeParams struct {
		Connection domain.ConnectionID `json:"connection"`
	}
	watchParams struct {
		Users []domain.UserID `json:"users" nullable:"false"`
		After string          `json:"after_position,omitempty"`
	}
	nothing  struct{}
	pingTime struct {
		ServerTime string `json:"server_time" format:"date-time"`
	}
)

// Pushes, as the document describes them.
type (
	pushedReceipt struct {
		Conversation domain.ConversationID `json:"conversation"`
		User         domain.UserID         `json:"user"`
		DeliveredSeq domain.Seq            `json:"delivered_seq,omitempty"`
		ReadSeq      domain.Seq            `json:"read_seq,omitempty"`
	}
	pushedTyping struct {
		Conversation domain.ConversationID `json:"conversation"`
		User         domain.UserID         `json:"user"`
		Typing       bool                  `json:"typing"`
	}
	pushedAccount struct {
		Type  domain.EventType `json:"type"`
		Actor domain.UserID    `json:"actor"`
		Data  json.RawMessage  `json:"data"`
	}
	pushedNotice struct {
		Event    domain.EventID `json:"event"`
		Title    string         `json:"title"`
		Text     string         `json:"text"`
		At       string         `json:"at" format:"date-time"`
		Priority string         `json:"priority"`
	}
	refusal struct {
		Version string         `json:"jsonrpc" enum:"2.0"`
		ID      any            `json:"id"`
		Error   refusalDetails `json:"error"`
	}
	refusalDetails struct {
		Code    int         `json:"code"`
		Message string      `json:"message"`
		Data    refusalData `json:"data"`
	}
	refusalData struct {
		Code       domain.Code `json:"code"`
		RetryAfter int64       `json:"retry_after_ms,omitempty"`
		RequestID  string      `json:"request_id,omitempty"`
	}
)

// method is one that clients call over a socket.
type method struct {
	name, summary  string
	params, result reflect.Type
	public         bool
}

// pushedMethod is one notification that the server pushes.
type pushedMethod struct {
	name, summary string
	params        reflect.Type
}

var pushedMethods = []pushedMethod{
	{"event", "Something happened in a conversation of the user. At least once, in order of seq in a conversation.", reflect.TypeFor[api.Event]()},
	{"receipt", "A member has come further.", reflect.TypeFor[pushedReceipt]()},
	{"typing", "A member types, or stopped. At most once.", reflect.TypeFor[pushedTyping]()},
	{"presence", "A watched user is online, away, busy or offline. At most once.", reflect.TypeFor[pushedStatus]()},
	{"notice", "A notice of the system.", reflect.TypeFor[pushedNotice]()},
	{"account", "Something of the user's own changed: contacts, profile, settings.", reflect.TypeFor[pushedAccount]()},
	{"resync", "Something may be missing: call sync within 30 s.", reflect.TypeFor[nothing]()},
}

// Document returns the AsyncAPI 3.0 document of the socket (https://www.asyncapi.com/docs/reference/specification/v3.0.0): what clients
// call, what they are answered, and what they are pushed.
func Document(registry *api.Registry, version string) ([]byte, error) {
	if version == "" {
		version = "0.0.0"
	}
	schemas := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	d := describer{schemas: schemas, messages: make(map[string]any), operations: make(map[string]any)}
	for _, m := range methodsOf(registry) {
		if err := d.method(m); err != nil {
			return nil, err
		}
	}
	for _, p := range pushedMethods {
		d.push(p)
	}
	d.messages["refusal"] = map[string]any{
		"name": "refusal", "summary": "What went wrong: data.code says what can be done about it.",
		"payload": schemas.Schema(reflect.TypeFor[refusal](), true, "Refusal"),
	}
	for _, schema := range schemas.Map() {
		schema.AdditionalProperties = nil // clients ignore what they do not know
	}
	refs := make(map[string]any, len(d.messages))
	for name := range d.messages {
		refs[name] = reference("#/components/messages/" + name)
	}
	text, err := json.Marshal(map[string]any{
		"asyncapi": "3.0.0",
		"info": map[string]any{
			"title": "MPIM", "version": version,
			"description": "JSON-RPC 2.0 over a WebSocket, one message or batch a text frame. The first request is hello. The same operations are reachable as REST: /v1/openapi.json.",
		},
		"defaultContentType": "application/json",
		"channels": map[string]any{"socket": map[string]any{
			"address": "/v1/ws", "messages": refs,
			"description": "Subprotocol " + Subprotocol + ". A bearer token stands in the Authorization header or in hello.",
			"bindings":    map[string]any{"ws": map[string]any{"method": http.MethodGet}},
		}},
		"operations": d.operations,
		"components": map[string]any{"schemas": schemas.Map(), "messages": d.messages},
	})
	if err != nil {
		return nil, fmt.Errorf("encode the AsyncAPI document: %w", err)
	}
	return text, nil
}

func methodsOf(registry *api.Registry) []method {
	presence, _ := registry.Lookup(methodPresenceGet)
	methods := []method{
		{methodHello, "Say who one is; the first request.", reflect.TypeFor[helloParams](), reflect.TypeFor[welcome](), true},
		{methodPing, "Ask whether the server is there.", reflect.TypeFor[nothing](), reflect.TypeFor[pingTime](), true},
	}
	if presence != nil {
		methods = append(methods, method{
			methodWatch, "Ask who is online, and be pushed its changes until the next time.", reflect.TypeFor[watchParams](), presence.Output, false,
		})
	}
	for _, o := range registry.Operations() {
		methods = append(methods, method{o.Method, o.Summary, o.Input, o.Output, o.Public})
	}
	return methods
}

type describer struct {
	schemas              huma.Registry
	messages, operations map[string]any
}

func reference(to string) map[string]string { return map[string]string{"$ref": to} }

func object(required []string, properties map[string]*huma.Schema) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, Properties: properties, Required: required}
}

func constant(value string) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Enum: []any{value}}
}

func idSchema() *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{{Type: huma.TypeString}, {Type: huma.TypeNumber}}}
}

// method describes a request and its answer.
func (d *describer) method(m method) error {
	params := &huma.Schema{Type: huma.TypeObject, Properties: make(map[string]*huma.Schema), AdditionalProperties: false}
	for _, f := range api.Fields(m.params) {
		schema := huma.SchemaFromField(d.schemas, f.Source, m.name+" "+f.Name)
		if schema == nil {
			return fmt.Errorf("%s: the member %s has no schema", m.name, f.Name)
		}
		schema.Nullable = false // a pointer here only tells absent from zero
		params.Properties[f.Name] = schema
		if f.Required {
			params.Required = append(params.Required, f.Name)
		}
	}
	required := []string{"jsonrpc", "method"}
	if len(params.Required) > 0 {
		required = append(required, "params")
	}
	request, result := m.name+".request", m.name+".result"
	d.messages[request] = map[string]any{
		"name": m.name, "summary": m.summary,
		"payload": object(required, map[string]*huma.Schema{
			"jsonrpc": constant("2.0"), "id": idSchema(), "method": constant(m.name), "params": params,
		}),
	}
	d.messages[result] = map[string]any{
		"name": m.name + " result",
		"payload": object([]string{"jsonrpc", "id", "result"}, map[string]*huma.Schema{
			"jsonrpc": constant("2.0"), "id": idSchema(), "result": d.schemas.Schema(m.result, true, m.name),
		}),
	}
	channel := "#/channels/socket"
	d.operations[m.name] = map[string]any{
		"action": "receive", "summary": m.summary, "channel": reference(channel),
		"messages": []any{reference(channel + "/messages/" + request)},
		"reply": map[string]any{
			"channel":  reference(channel),
			"messages": []any{reference(channel + "/messages/" + result), reference(channel + "/messages/refusal")},
		},
	}
	return nil
}

func (d *describer) push(p pushedMethod) {
	name := "push." + p.name
	d.messages[name] = map[string]any{
		"name": p.name, "summary": p.summary,
		"payload": object([]string{"jsonrpc", "method", "params"}, map[string]*huma.Schema{
			"jsonrpc": constant("2.0"), "method": constant(p.name), "params": d.schemas.Schema(p.params, true, p.name),
		}),
	}
	d.operations[name] = map[string]any{
		"action": "send", "summary": p.summary, "channel": reference("#/channels/socket"),
		"messages": []any{reference("#/channels/socket/messages/" + name)},
	}
}
