package api

import "github.com/danielgtaylor/huma/v2"

// TransformSchema says that a conversation may have no last message.
func (*Conversation) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	return withoutMessage(s)
}

// TransformSchema says that a conversation may have no last message.
func (*syncObject) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	return withoutMessage(s)
}

func withoutMessage(s *huma.Schema) *huma.Schema {
	const name = "last_message"
	if message := s.Properties[name]; message != nil && message.Ref != "" {
		s.Properties[name] = &huma.Schema{OneOf: []*huma.Schema{{Ref: message.Ref}, {Type: "null"}}}
	}
	return s
}
