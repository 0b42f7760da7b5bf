package api

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"mpim/domain"
)

// Field is a member of parameters.
type Field struct {
	// Name is the member's in JSON.
	Name string
	// Kind is its type, without the pointer that tells absent from zero.
	Kind reflect.Type
	// Source is the field of the Go struct.
	Source reflect.StructField
	// Required says that it must stand in every request: its tag does not let it be omitted.
	Required bool
}

// Fields returns the members of a struct, those of embedded structs among them. Both the decoder and the OpenAPI document
// go by it, so what the one calls required the other refuses to go without.
func Fields(t reflect.Type) []Field {
	var fields []Field
	for f := range t.Fields() {
		if f.Anonymous && f.Tag.Get("json") == "" {
			fields = append(fields, Fields(f.Type)...)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		kind := f.Type
		if kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		fields = append(fields, Field{Name: name, Kind: kind, Source: f, Required: !strings.Contains(options, "omit")})
	}
	return fields
}

// shape is which members an object must have, and which of its members are objects of a shape.
type shape struct {
	required []string
	within   map[string]*shape
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// shapes are those made already, by type.
var shapes sync.Map

// shapeFor returns the shape of a struct, made once.
func shapeFor(t reflect.Type) *shape {
	known, ok := shapes.Load(t)
	if !ok {
		known, _ = shapes.LoadOrStore(t, shapeOf(t))
	}
	s, _ := known.(*shape)
	return s
}

// shapeOf returns the shape of a struct; nil where nothing in it is required.
func shapeOf(t reflect.Type) *shape {
	s := &shape{within: make(map[string]*shape)}
	for _, f := range Fields(t) {
		if f.Required {
			s.required = append(s.required, f.Name)
		}
		if f.Kind.Kind() != reflect.Struct || reflect.PointerTo(f.Kind).Implements(unmarshaler) {
			continue
		}
		if within := shapeOf(f.Kind); within != nil {
			s.within[f.Name] = within
		}
	}
	if len(s.required)+len(s.within) == 0 {
		return nil
	}
	return s
}

// check refuses a valid object that lacks a required member, or has null for it. Path is the object's, with a dot behind.
func (s *shape) check(object []byte, path string) error {
	if s == nil {
		return nil
	}
	given := make(map[string]bool, len(s.required))
	d := jsontext.NewDecoder(bytes.NewReader(object))
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() == '"' {
		token, err := d.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		value, err := d.ReadValue()
		if err != nil {
			return err
		}
		given[name] = value.Kind() != 'n'
		if within := s.within[name]; within != nil && value.Kind() == '{' {
			if err := within.check(value, path+name+"."); err != nil {
				return err
			}
		}
	}
	for _, name := range s.required {
		if !given[name] {
			return domain.Errorf(domain.InvalidArgument, "%s is missing", path+name)
		}
	}
	return nil
}
