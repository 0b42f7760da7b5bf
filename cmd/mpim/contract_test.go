package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// contract holds what a server says about itself, and compares with it everything that the tests exchange with servers: every
// answer, every push, and every request that was granted.
type contract struct {
	mu       sync.Mutex
	loaded   bool
	compiler *jsonschema.Compiler
	paths    map[string]map[string]operation // by template, then verb
	compiled map[string]*jsonschema.Schema   // by JSON pointer
}

// operation is one of the OpenAPI document, as far as the contract needs it.
type operation struct {
	Parameters []struct {
		Name, In string
	}
	RequestBody *struct{}
	Responses   map[string]struct{}
}

var documents contract

const (
	restDocument   = "http://contract/openapi.json"
	socketDocument = "http://contract/asyncapi.json"
)

// load reads the documents of a server, once.
func (c *contract) load(ctx context.Context, base string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loaded {
		return nil
	}
	compiler := jsonschema.NewCompiler()
	c.compiled = make(map[string]*jsonschema.Schema)
	for name, path := range map[string]string{restDocument: "/v1/openapi.json", socketDocument: "/v1/asyncapi.json"} {
		text, err := fetch(ctx, base+path)
		if err != nil {
			return err
		}
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		closeObjects(document)
		if err := compiler.AddResource(name, document); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if name == restDocument {
			var api struct {
				Paths map[string]map[string]operation
			}
			if err := json.Unmarshal(text, &api); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			c.paths = api.Paths
		}
	}
	c.compiler, c.loaded = compiler, true
	return nil
}

func fetch(ctx context.Context, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", address, response.Status)
	}
	return io.ReadAll(response.Body)
}

// closeObjects makes each object with members refuse others: clients ignore what they do not know, but what the server sends is to be
// described.
func closeObjects(node any) {
	switch node := node.(type) {
	case map[string]any:
		if properties, ok := node["properties"].(map[string]any); ok && len(properties) > 0 && node["additionalProperties"] == nil {
			node["additionalProperties"] = false
		}
		for _, child := range node {
			closeObjects(child)
		}
	case []any:
		for _, child := range node {
			closeObjects(child)
		}
	}
}

// fits compares a JSON text with the schema at a pointer into a document.
func (c *contract) fits(pointer string, text []byte) error {
	c.mu.Lock()
	schema := c.compiled[pointer]
	if schema == nil {
		var err error
		if schema, err = c.compiler.Compile(pointer); err != nil {
			c.mu.Unlock()
			return fmt.Errorf("nothing is said about it: %w", err)
		}
		c.compiled[pointer] = schema
	}
	c.mu.Unlock()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	if err := schema.Validate(value); err != nil {
		return fmt.Errorf("%.500s does not fit its description: %w", text, err)
	}
	return nil
}

// escape makes a path one segment of a JSON pointer in a URL.
func escape(path string) string {
	return url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(path))
}

// answered compares what was exchanged over REST.
func (c *contract) answered(ctx context.Context, method, address string, request []byte, status int, answer []byte) error {
	parsed, err := url.Parse(address)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(parsed.Path, "/v1/") {
		return nil // health and metrics
	}
	if err := c.load(ctx, parsed.Scheme+"://"+parsed.Host); err != nil {
		return fmt.Errorf("read the documents: %w", err)
	}
	template, described := c.find(parsed.Path, strings.ToLower(method))
	if status >= http.StatusBadRequest {
		return c.fits(restDocument+"#/components/schemas/Problem", answer)
	}
	if described == nil {
		return fmt.Errorf("%s %s is not described", method, parsed.Path)
	}
	place := restDocument + "#/paths/" + escape(template) + "/" + strings.ToLower(method)
	if _, ok := described.Responses[strconv.Itoa(status)]; !ok {
		return fmt.Errorf("%s %s: status %d is not described", method, template, status)
	}
	var unfit []error
	if described.RequestBody != nil && len(request) > 0 {
		unfit = append(unfit, c.fits(place+"/requestBody/content/application~1json/schema", request))
	}
	unfit = append(unfit, c.fits(fmt.Sprintf("%s/responses/%d/content/application~1json/schema", place, status), answer))
	for name := range parsed.Query() {
		known := false
		for _, p := range described.Parameters {
			known = known || p.Name == name && p.In == "query"
		}
		if !known {
			unfit = append(unfit, fmt.Errorf("the parameter %s is not described", name))
		}
	}
	if err := errors.Join(unfit...); err != nil {
		return fmt.Errorf("%s %s: %w", method, template, err)
	}
	return nil
}

// find returns the template of a path, and what is said of a verb there. Templates without variables come first.
func (c *contract) find(path, verb string) (template string, described *operation) {
	segments := strings.Split(path, "/")
	best := len(segments) + 1
	for candidate, verbs := range c.paths {
		o, ok := verbs[verb]
		parts := strings.Split(candidate, "/")
		if !ok || len(parts) != len(segments) {
			continue
		}
		variables := 0
		for n, part := range parts {
			switch {
			case strings.HasPrefix(part, "{"):
				variables++
			case part != segments[n]:
				variables = best
			}
		}
		if variables < best {
			best, template, described = variables, candidate, &o
		}
	}
	return template, described
}

// message is the name of a message of the socket's document.
func (c *contract) message(ctx context.Context, base, name string, frame []byte) error {
	if err := c.load(ctx, base); err != nil {
		return fmt.Errorf("read the documents: %w", err)
	}
	if err := c.fits(socketDocument+"#/components/messages/"+escape(name)+"/payload", frame); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
