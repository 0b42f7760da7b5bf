package api

import (
	"encoding/json"
	"errors"

	"github.com/danielgtaylor/huma/v2"

	"mpim/domain"
)

// mentions are user ids, or in place of the array the string "all".
type mentions []string

// UnmarshalJSON reads an array of ids, or "all".
func (m *mentions) UnmarshalJSON(b []byte) error {
	if string(b) == `"`+domain.MentionAll+`"` {
		*m = mentions{domain.MentionAll}
		return nil
	}
	var ids []string
	if json.Unmarshal(b, &ids) != nil {
		return errors.New("mentions are ids, or all")
	}
	*m = ids
	return nil
}

// Schema describes both forms.
func (mentions) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{
		{Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString}},
		{Type: huma.TypeString, Enum: []any{domain.MentionAll}},
	}}
}
