package api

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"mpim/domain"
	"mpim/schema"
)

// TransformSchema says that a conversation may have no last message.
func (*Conversation) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	return withoutMessage(s)
}

// TransformSchema says that a conversation may have no last message, and what its events are.
func (*syncObject) TransformSchema(r huma.Registry, s *huma.Schema) *huma.Schema {
	s.Properties["events"].Items = r.Schema(reflect.TypeFor[Event](), true, "Event")
	return withoutMessage(s)
}

func withoutMessage(s *huma.Schema) *huma.Schema {
	const name = "last_message"
	if message := s.Properties[name]; message != nil && message.Ref != "" {
		s.Properties[name] = &huma.Schema{OneOf: []*huma.Schema{{Ref: message.Ref}, {Type: "null"}}}
	}
	return s
}

// shownBody is a body as messages show it.
type shownBody domain.Body

// TransformSchema says what the body of a message is.
func (*Message) TransformSchema(r huma.Registry, s *huma.Schema) *huma.Schema {
	body := s.Properties["body"]
	s.Properties["body"] = &huma.Schema{Description: body.Description, OneOf: []*huma.Schema{
		r.Schema(reflect.TypeFor[shownBody](), true, "ShownBody"), {Type: "null"},
	}}
	return s
}

// TransformSchema says what the data of an event is, by its type.
func (*Event) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	data, err := schema.JSONSchemas()
	if err != nil {
		panic(err) // they are part of the program
	}
	for _, name := range schema.Types() {
		if !schema.IsSequenced(name) {
			continue
		}
		var described huma.Schema
		if err := json.Unmarshal(data[name], &described); err != nil {
			panic(err)
		}
		one := *s
		one.OneOf, one.Properties = nil, maps.Clone(s.Properties)
		one.Properties["type"] = &huma.Schema{Type: huma.TypeString, Enum: []any{string(name)}}
		one.Properties["data"] = &described
		if body := described.Properties["body"]; body != nil {
			// What was recalled, expired or erased since is gone.
			described.Properties["body"] = &huma.Schema{OneOf: []*huma.Schema{body, {Type: "null"}}}
		}
		if described.Properties["message"] != nil {
			// Where the message is outside of the reader's windows, it is all that is said.
			blind := &huma.Schema{
				Type: huma.TypeObject, Properties: map[string]*huma.Schema{"message": {Type: huma.TypeInteger}},
				Required: []string{"message"}, AdditionalProperties: false,
			}
			if !slices.Equal(described.Required, blind.Required) {
				one.Properties["data"] = &huma.Schema{AnyOf: []*huma.Schema{&described, blind}}
			}
		}
		s.OneOf = append(s.OneOf, &one)
	}
	return &huma.Schema{OneOf: s.OneOf, Description: s.Description}
}
