package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"mpim/domain"
	"mpim/handlers/api"
)

// members are what is known of an operation's parameters: which stand in the path, and how the text of path and query
// becomes JSON.
type members struct {
	path  []string
	kinds map[string]reflect.Type
}

func membersOf(operation *api.Operation) members {
	m := members{kinds: make(map[string]reflect.Type)}
	for _, field := range api.Fields(operation.Input) {
		m.kinds[field.Name] = field.Kind
	}
	for part := range strings.SplitSeq(operation.Path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			m.path = append(m.path, strings.TrimSuffix(name, "}"))
		}
	}
	return m
}

// params makes one flat object of path, query and body. What is wrong with it in itself is an error here; what the
// operation makes of it is not this function's business.
func (h *handler) params(w http.ResponseWriter, r *http.Request, m members) (json.RawMessage, error) {
	body, err := h.body(w, r)
	if err != nil {
		return nil, err
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, domain.Wrap(domain.InvalidArgument, fmt.Errorf("%w: %w", api.ErrSyntax, err), "the query cannot be read")
	}
	var object bytes.Buffer
	object.WriteByte('{')
	for _, name := range m.path {
		switch {
		case query.Has(name):
			return nil, domain.Errorf(domain.InvalidArgument, "%s stands in the path already", name)
		case !utf8.ValidString(r.PathValue(name)):
			return nil, notText("the path")
		}
		appendMember(&object, name, m.text(name, []string{r.PathValue(name)}))
	}
	names := make([]string, 0, len(query))
	for name := range query {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		values := query[name]
		if !utf8.ValidString(name + strings.Join(values, "")) {
			return nil, notText("the query")
		}
		if len(values) > 1 && !m.list(name) {
			return nil, domain.Errorf(domain.InvalidArgument, "%s stands in the query %d times", name, len(values))
		}
		appendMember(&object, name, m.text(name, values))
	}
	return splice(&object, body)
}

func notText(what string) error {
	return domain.Wrap(domain.InvalidArgument, api.ErrSyntax, "%s is not valid UTF-8", what)
}

func appendMember(object *bytes.Buffer, name string, value []byte) {
	if object.Len() > 1 {
		object.WriteByte(',')
	}
	object.Write(quote(name))
	object.WriteByte(':')
	object.Write(value)
}

// splice adds the members of the body, which is an object, to those of path and query.
func splice(object *bytes.Buffer, body []byte) (json.RawMessage, error) {
	inner := bytes.TrimSpace(body)
	if len(inner) > 0 {
		inner = bytes.TrimSpace(inner[1 : len(inner)-1])
	}
	outer := object.Len() > 1
	if outer && len(inner) > 0 {
		object.WriteByte(',')
	}
	object.Write(inner)
	object.WriteByte('}')
	// The body was found to be valid, so all that can be wrong is a name that stands in two places.
	if outer && len(inner) > 0 && !jsontext.Value(object.Bytes()).IsValid() {
		return nil, domain.Errorf(domain.InvalidArgument, "a member of the body stands in the path or the query already")
	}
	return object.Bytes(), nil
}

// body returns the body of a request: an object, or nothing.
func (h *handler) body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.config.MaxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, domain.Wrap(domain.TooLarge, err, "a body has at most %d bytes", h.config.MaxBody)
	}
	if err != nil {
		return nil, domain.Wrap(domain.InvalidArgument, fmt.Errorf("%w: %w", api.ErrSyntax, err), "the body did not arrive in full, or not in time")
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, nil
	}
	if kind := r.Header.Get("Content-Type"); kind != "" {
		if media, _, err := mime.ParseMediaType(kind); err != nil || media != "application/json" {
			return nil, domain.Wrap(domain.InvalidArgument, errMedia, "a body is application/json, not %q", kind)
		}
	}
	value := jsontext.Value(body)
	switch {
	case !value.IsValid():
		return nil, domain.Wrap(domain.InvalidArgument, api.ErrSyntax, "the body is no valid JSON, or names a member twice")
	case value.Kind() != '{':
		return nil, domain.Errorf(domain.InvalidArgument, "a body is a JSON object")
	}
	return body, nil
}

// errMedia is about a body that says it is not JSON.
var errMedia = errors.New("the media type is not supported")

// list says whether a member is an array.
func (m members) list(name string) bool {
	kind, ok := m.kinds[name]
	return ok && kind.Kind() == reflect.Slice
}

// text returns the JSON of what the path or the query says. Text that is not of the member's kind is left a string, and
// refused by the decoder like any other string in its place.
func (m members) text(name string, values []string) []byte {
	kind, known := m.kinds[name]
	if !known {
		return quote(values[0])
	}
	if kind.Kind() != reflect.Slice {
		return scalar(kind, values[0])
	}
	list := []byte{'['}
	for i, value := range values {
		if i > 0 {
			list = append(list, ',')
		}
		list = append(list, scalar(kind.Elem(), value)...)
	}
	return append(list, ']')
}

func scalar(kind reflect.Type, value string) []byte {
	switch kind.Kind() {
	case reflect.Int, reflect.Int64:
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			return strconv.AppendInt(nil, n, 10)
		}
	case reflect.Bool:
		if value == "true" || value == "false" {
			return []byte(value)
		}
	default:
	}
	return quote(value)
}

// quote returns a JSON string of valid UTF-8.
func quote(s string) []byte {
	quoted, _ := jsontext.AppendQuote(nil, s)
	return quoted
}
