package api

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"mpim/domain"
)

// later is a member that the client protocol names and this version does not do. It knows that it was given, with
// whatever value: what a client asked for is never passed over in silence, even where it asks for nothing.
type later[T any] struct {
	given bool
	value T
}

// UnmarshalJSON reads the value.
func (l *later[T]) UnmarshalJSON(b []byte) error {
	l.given = true
	if err := json.Unmarshal(b, &l.value); err != nil {
		return fmt.Errorf("read the value: %w", err)
	}
	return nil
}

// MarshalJSON writes the value.
func (l later[T]) MarshalJSON() ([]byte, error) { return json.Marshal(l.value) }

// Schema is that of the value.
func (later[T]) Schema(r huma.Registry) *huma.Schema { return r.Schema(reflect.TypeFor[T](), true, "") }

// refused returns the error about a member that was given.
func (l later[T]) refused(name string) error {
	if !l.given {
		return nil
	}
	return domain.Errorf(domain.InvalidArgument, "%s is not supported yet: leave it out", name)
}
