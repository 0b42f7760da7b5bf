package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"mpim/domain"
)

// ErrSyntax is wrapped by errors of requests that are no JSON at all, as opposed to JSON that says something wrong.
var ErrSyntax = errors.New("the request is no JSON")

// decode reads a JSON object into the struct that in points to. Members that the struct does not have or that
// are missing, duplicate names, invalid UTF-8 and U+0000 are refused.
func decode(params json.RawMessage, in any) error {
	if len(bytes.TrimSpace(params)) == 0 {
		params = json.RawMessage("{}")
	}
	// The decoder takes null for a struct without members.
	if bytes.Equal(bytes.TrimSpace(params), []byte("null")) {
		return domain.Errorf(domain.InvalidArgument, "parameters are an object, not null")
	}
	if err := jsonv2.Unmarshal(params, in, jsonv2.RejectUnknownMembers(true)); err != nil {
		// The first thing found wrong is not the worst: behind a member that is not known there may be no JSON at all.
		if value := jsontext.Value(params); !value.IsValid() {
			return domain.Wrap(domain.InvalidArgument, fmt.Errorf("%w: %w", ErrSyntax, err),
				"the request is no valid JSON, or names a member twice")
		} else if kind := value.Kind(); kind != '{' {
			return domain.Wrap(domain.InvalidArgument, err, "parameters are an object, not %s", kindName(kind))
		}
		return explain(err)
	}
	if hasNUL(params) {
		return domain.Errorf(domain.InvalidArgument, "a string contains U+0000")
	}
	return shapeFor(reflect.TypeOf(in).Elem()).check(params, "")
}

// explain turns a decoder's error about a valid object into one for the client: it names the member and what is wrong
// with it, and nothing of the Go types behind.
func explain(err error) error {
	semantic, ok := errors.AsType[*jsonv2.SemanticError](err)
	if !ok {
		return domain.Wrap(domain.InvalidArgument, err, "the parameters cannot be read")
	}
	member := strings.ReplaceAll(strings.TrimPrefix(string(semantic.JSONPointer), "/"), "/", ".")
	if errors.Is(semantic.Err, jsonv2.ErrUnknownName) {
		return domain.Wrap(domain.InvalidArgument, err, "%s is not known here: leave it out", member)
	}
	return domain.Wrap(domain.InvalidArgument, err, "%s cannot be %s", member, kindName(semantic.JSONKind))
}

func kindName(kind jsontext.Kind) string {
	switch kind {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "this string"
	case '0':
		return "this number"
	case 't', 'f':
		return "a boolean"
	default:
		return kind.String()
	}
}

// hasNUL says whether a string of the valid JSON text contains U+0000. It reads tokens only where the escape for it
// occurs, which may still be a backslash followed by u0000.
func hasNUL(text []byte) bool {
	if !bytes.Contains(text, []byte(`\u0000`)) {
		return false
	}
	d := jsontext.NewDecoder(bytes.NewReader(text))
	for {
		token, err := d.ReadToken()
		if errors.Is(err, io.EOF) || err != nil {
			return false
		}
		if token.Kind() == '"' && strings.Contains(token.String(), "\x00") {
			return true
		}
	}
}

// encoded is a result that is JSON text already.
type encoded json.RawMessage

// Encode returns the JSON text of a result of [Operation.Call].
func Encode(result any) (json.RawMessage, error) {
	if text, ok := result.(encoded); ok {
		return json.RawMessage(text), nil
	}
	text, err := jsonv2.Marshal(result, jsontext.EscapeForHTML(false))
	if err != nil {
		return nil, fmt.Errorf("encode result: %w", err)
	}
	return text, nil
}
