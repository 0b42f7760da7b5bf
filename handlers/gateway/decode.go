package gateway

import (
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"mpim/domain"
)

// decode reads the params of a method of the gateway's own as operations read theirs: nothing, or an object without
// members that the struct behind in does not have. Takes says what they are.
func decode(params []byte, in any, takes string) error {
	if len(params) == 0 {
		return nil
	}
	if jsontext.Value(params).Kind() != '{' {
		return domain.Errorf(domain.InvalidArgument, "%s, in an object", takes)
	}
	if err := jsonv2.Unmarshal(params, in, jsonv2.RejectUnknownMembers(true)); err != nil {
		return domain.Wrap(domain.InvalidArgument, err, "%s, and nothing else", takes)
	}
	return nil
}
