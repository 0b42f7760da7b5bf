package schema_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/invopop/jsonschema"
	checker "github.com/santhosh-tekuri/jsonschema/v6"

	"mpim/domain"
	"mpim/schema"
)

var update = flag.Bool("update", false, "write events.json and docs/events.md anew")

// TestEventDocuments compares what is published of the events with what the facts and their comments say.
func TestEventDocuments(t *testing.T) {
	comments := readComments(t, "../domain")
	schemas := make(map[domain.EventType]*jsonschema.Schema)
	for _, name := range schema.Types() {
		schemas[name] = schemaOf(t, factOf(t, name), comments)
	}
	text, err := json.MarshalIndent(schemas, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	compareFile(t, "events.json", append(text, '\n'))
	compareFile(t, "../docs/events.md", eventsPage(t, schemas, comments))
}

func compareFile(t *testing.T, path string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what the facts say (%v): run `go generate ./schema`", path, err)
	}
}

func factOf(t *testing.T, name domain.EventType) domain.Fact {
	t.Helper()
	for _, g := range goldens(t) {
		if g.Type == name {
			r := g.record(t)
			fact, err := r.Fact()
			if err != nil {
				t.Fatal(err)
			}
			return fact
		}
	}
	t.Fatalf("%s has no golden event", name)
	return nil
}

func schemaOf(t *testing.T, fact domain.Fact, comments map[string]string) *jsonschema.Schema {
	t.Helper()
	reflector := jsonschema.Reflector{
		DoNotReference: true, Anonymous: true, AllowAdditionalProperties: true,
		LookupComment: func(kind reflect.Type, field string) string {
			return comments[strings.TrimSuffix(kind.Name()+"."+field, ".")]
		},
	}
	reflector.Mapper = func(kind reflect.Type) *jsonschema.Schema {
		switch kind {
		case reflect.TypeFor[domain.Instant]():
			return &jsonschema.Schema{Type: "string", Format: "date-time"}
		case reflect.TypeFor[json.RawMessage]():
			return &jsonschema.Schema{Extras: map[string]any{"title": "any JSON"}}
		default:
			return nil
		}
	}
	s := reflector.ReflectFromType(reflect.TypeOf(fact).Elem())
	s.Version = ""
	for field := range reflect.TypeOf(fact).Elem().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if slices.Contains(strings.Split(field.Tag.Get("mpim"), ","), "secret") {
			s.Properties.Delete(name)
			s.Required = slices.DeleteFunc(s.Required, func(r string) bool { return r == name })
		}
		if property, ok := s.Properties.Get(name); ok && field.Type.Kind() == reflect.Pointer && !strings.Contains(field.Tag.Get("json"), "omitempty") {
			s.Properties.Set(name, &jsonschema.Schema{Description: property.Description, OneOf: []*jsonschema.Schema{
				{Type: property.Type, Format: property.Format}, {Type: "null"},
			}})
		}
	}
	return s
}

// readComments returns the comments of the types of a package, and of their fields as "Type.Field".
func readComments(t *testing.T, directory string) map[string]string {
	t.Helper()
	comments := make(map[string]string)
	paths, err := filepath.Glob(filepath.Join(directory, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			comments[spec.Name.Name] = flat(spec.Doc)
			if fields, ok := spec.Type.(*ast.StructType); ok {
				for _, f := range fields.Fields.List {
					for _, name := range f.Names {
						comments[spec.Name.Name+"."+name.Name] = flat(f.Doc)
					}
				}
			}
			return true
		})
	}
	return comments
}

func flat(doc *ast.CommentGroup) string { return strings.Join(strings.Fields(doc.Text()), " ") }

const eventsIntro = `# Events

` + "```" + `
mpim replay --type 'message.*' --json --limit 3
` + "```" + `

Everything that happens in MPIM is one of these events. This page is generated from the code (` + "`go generate ./schema`" + `), and with it the JSON
Schemas of their data (draft 2020-12), which stand at the end of each event. The envelope around the data, and how an entry looks in Redis, is
in [the log](log.md).

A version once released means the same for ever: what it stored is read by every later mpim, which raises it to the newest version step by
step. Newer versions may add members, so ignore what you do not know. What is secret (hashes of passwords and of refresh tokens) is in the log and
is shown to nobody, so it does not stand here. What a person wrote is stored [sealed](log.md#sealed-texts), and stands here as it is when
it is opened; once its writer was erased it is null.
`

// eventsPage writes docs/events.md.
func eventsPage(t *testing.T, schemas map[domain.EventType]*jsonschema.Schema, comments map[string]string) []byte {
	t.Helper()
	var page bytes.Buffer
	page.WriteString(eventsIntro)
	for _, name := range schema.Types() {
		fact := factOf(t, name)
		kind := reflect.TypeOf(fact).Elem().Name()
		version, _ := schema.Lookup(name)
		fmt.Fprintf(&page, "\n## %s\n\nVersion %d", name, version)
		if fact.Sequenced() {
			page.WriteString(", takes a `seq` in its conversation")
		}
		says := strings.TrimPrefix(comments[kind], kind+" ")
		fmt.Fprintf(&page, ". It %s\n", says)
		s := schemas[name]
		if s.Properties.Len() > 0 {
			page.WriteString("\n| member | type | |\n| --- | --- | --- |\n")
			for pair := s.Properties.Oldest(); pair != nil; pair = pair.Next() {
				member := "`" + pair.Key + "`"
				if !slices.Contains(s.Required, pair.Key) {
					member += "?"
				}
				fmt.Fprintf(&page, "| %s | %s | %s |\n", member, typeName(pair.Value), pair.Value.Description)
			}
		}
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&page, "\n<details><summary>JSON Schema</summary>\n\n```json\n%s\n```\n</details>\n", text)
	}
	return page.Bytes()
}

func typeName(s *jsonschema.Schema) string {
	switch {
	case len(s.OneOf) > 0:
		return typeName(s.OneOf[0]) + " or null"
	case s.Type == "array":
		return "array of " + typeName(s.Items)
	case s.Format == "date-time":
		return "time"
	case s.Type == "":
		return "any"
	default:
		return s.Type
	}
}

// Every golden event of the newest version fits its schema, and one with a member too few does not.
func TestGoldenEventsFitTheirSchemas(t *testing.T) {
	t.Parallel()
	schemas, err := schema.JSONSchemas()
	if err != nil {
		t.Fatal(err)
	}
	for name, g := range goldens(t) {
		if newest, _ := schema.Lookup(g.Type); g.Version != newest {
			continue
		}
		r := g.record(t)
		public, err := r.Public()
		if err != nil {
			t.Fatal(err)
		}
		compiled := compileSchema(t, schemas[g.Type])
		data := value(t, public)
		if err := compiled.Validate(data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, member := range compiled.Required {
			members, _ := data.(map[string]any)
			kept := members[member]
			delete(members, member)
			if compiled.Validate(data) == nil {
				t.Errorf("%s fits without %s", name, member)
			}
			members[member] = kept
		}
	}
}

func compileSchema(t *testing.T, text []byte) *checker.Schema {
	t.Helper()
	parsed, err := checker.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := checker.NewCompiler()
	if err := compiler.AddResource("event.json", parsed); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("event.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}
