package httpapi_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
)

func newLogger(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

type document struct {
	OpenAPI string `json:"openapi"`
	Info    struct {
		Version string `json:"version"`
	} `json:"info"`
	Paths map[string]map[string]struct {
		OperationID string `json:"operationId"`
		Parameters  []struct {
			Name string `json:"name"`
			In   string `json:"in"`
		} `json:"parameters"`
		RequestBody struct {
			Required bool `json:"required"`
			Content  map[string]struct {
				Schema struct {
					Properties map[string]any `json:"properties"`
					Required   []string       `json:"required"`
				} `json:"schema"`
			} `json:"content"`
		} `json:"requestBody"`
		Security  *[]map[string][]string `json:"security"`
		Responses map[string]any         `json:"responses"`
	} `json:"paths"`
	Components struct {
		Schemas map[string]struct {
			Properties map[string]any `json:"properties"`
		} `json:"schemas"`
	} `json:"components"`
}

func TestTheDocumentHasEveryOperationAndNoOther(t *testing.T) {
	s := newServer(t, nil)
	encoded, err := json.Marshal(s.want(t, 200, "GET", "/v1/openapi.json", "", ""))
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(encoded, &d); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(d.OpenAPI, "3.1") || d.Info.Version != "1.2.3" {
		t.Errorf("openapi %s of version %s", d.OpenAPI, d.Info.Version)
	}
	described := make(map[string]string)
	for path, verbs := range d.Paths {
		for verb, operation := range verbs {
			described[operation.OperationID] = strings.ToUpper(verb) + " " + path
			if operation.Responses["default"] == nil {
				t.Errorf("%s does not say how it fails", operation.OperationID)
			}
			if registered, ok := s.Registry.Lookup(operation.OperationID); ok && registered.Public != (operation.Security != nil) {
				t.Errorf("%s is public: %v, and the document says %v", operation.OperationID, registered.Public, operation.Security)
			}
			for _, parameter := range operation.Parameters {
				if inPath := strings.Contains(path, "{"+parameter.Name+"}"); inPath != (parameter.In == "path") {
					t.Errorf("%s has %s in its %s", operation.OperationID, parameter.Name, parameter.In)
				}
			}
		}
	}
	registered := make(map[string]string)
	for _, operation := range s.Registry.Operations() {
		if operation.Verb != "" {
			registered[operation.Method] = operation.Verb + " " + operation.Path
		}
	}
	if !maps.Equal(described, registered) {
		t.Errorf("described\n%v\nregistered\n%v", described, registered)
	}
	send := d.Paths["/v1/messages"]["post"].RequestBody
	if !send.Required || !slices.Equal(send.Content["application/json"].Schema.Required, []string{"to", "client_id", "body"}) {
		t.Errorf("message.send takes %+v", send)
	}
	if d.Paths["/v1/sync"]["post"].RequestBody.Required {
		t.Error("sync needs a body")
	}
	for schema, member := range map[string]string{"Conversation": "last_message", "Login": "position", "Problem": "code"} {
		if d.Components.Schemas[schema].Properties[member] == nil {
			t.Errorf("%s lacks %s", schema, member)
		}
	}
}

// What the document calls required is what the decoder asks for.
func TestRequiredMembersAreRequired(t *testing.T) {
	s := newServer(t, nil)
	token := s.login(t, "alice")
	answer := s.want(t, 422, "GET", "/v1/presence", token, "")
	if answer["code"] != "invalid_argument" || answer["detail"] != "users is missing" {
		t.Errorf("presence of nobody: %v", answer)
	}
	answer = s.want(t, 422, "POST", "/v1/messages", token, `{"to":{"user":"x"},"client_id":"1"}`)
	if answer["detail"] != "body is missing" {
		t.Errorf("a message without a body: %v", answer)
	}
	encoded, err := json.Marshal(s.want(t, 200, "GET", "/v1/openapi.json", "", ""))
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(encoded, &d); err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(d.Paths["/v1/messages"]["post"].RequestBody.Content["application/json"].Schema.Properties["reply_to"])
	if err != nil || !strings.Contains(string(got), `"type":"integer"`) {
		t.Errorf("reply_to is %s, %v", got, err)
	}
}
