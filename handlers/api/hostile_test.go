package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"mpim/domain"
	"mpim/handlers/api"
	"mpim/handlers/api/apitest"
)

// never are values that no member takes, as JSON text, by what is wrong with them.
var never = map[string]string{
	"U+0000":            `"a\u0000b"`,
	"half a character":  `"\ud800"`,
	"invalid UTF-8":     "\"a\xffb\"",
	"nested deeply":     strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000),
	"an object in deep": strings.Repeat(`{"a":`, 20_000) + "1" + strings.Repeat("}", 20_000),
	"a name twice":      `{"a":1,"a":2}`,
	"no JSON":           `tru`,
}

// mostly are values that are text, and that most members do not take.
var mostly = map[string]string{
	"empty":           `""`,
	"spaces":          `"  "`,
	"control":         `"\u0001\u001b[31m"`,
	"another's id":    `"u0123456789abcdefghja03"`,
	"no id":           `"../../etc/passwd"`,
	"a far time":      `"9999-12-31T23:59:59.999Z"`,
	"a time long ago": `"0000-01-01T00:00:00Z"`,
	"negative":        `-9223372036854775808`,
	"large":           `9223372036854775807`,
	"too large":       `92233720368547758080`,
	"far too large":   `1e400`,
	"a fraction":      `1.5`,
	"huge":            `"` + strings.Repeat("x", 70<<10) + `"`,
}

// others returns, for a kind of member, values of every other kind.
func others(kind reflect.Type) map[string]string {
	all := map[string]string{"a string": `"x"`, "a number": `1`, "a boolean": `true`, "an array": `[{}]`, "an object": `{"no_such_member":[]}`}
	switch kind.Kind() {
	case reflect.String:
		delete(all, "a string")
	case reflect.Bool:
		delete(all, "a boolean")
	case reflect.Slice, reflect.Array:
		if kind == reflect.TypeFor[json.RawMessage]() {
			return nil // it takes whatever is JSON
		}
		delete(all, "an array")
		all["an array of others"] = `[[]]`
	case reflect.Map, reflect.Struct, reflect.Interface:
		return map[string]string{"an array": `[{}]`}
	default:
		delete(all, "a number")
	}
	return all
}

// plausible is a value of a kind, with which an operation goes on to look at the other members.
func plausible(f api.Field, caller api.Caller, group string) string {
	switch f.Name {
	case "conversation":
		return fmt.Sprintf("%q", group)
	case "user":
		return fmt.Sprintf("%q", caller.User)
	}
	switch f.Kind.Kind() {
	case reflect.String:
		return `"x"`
	case reflect.Bool:
		return `true`
	case reflect.Slice:
		return `[]`
	case reflect.Struct, reflect.Map:
		return `{}`
	default:
		return `1`
	}
}

// Every operation meets every kind of wrong value in every member. What is refused has a code that blames the request, and
// has changed nothing. Operations that are new are met too.
func TestHostileValues(t *testing.T) {
	t.Parallel()
	b := apitest.New(t, nil)
	alice, bob, root := b.User(t, "alice"), b.User(t, "bob"), b.Administrator(t, "root")
	group := newGroup(t, b, alice)
	send(t, b, alice, P{"conversation": group}, "hello")
	heads := func() string {
		all, err := b.Log.Heads(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(all)
	}
	tried := 0
	try := func(operation *api.Operation, params, what string, refused bool) {
		t.Helper()
		tried++
		before, caller := heads(), alice
		if operation.Admin {
			caller = root
		}
		_, err := operation.Call(t.Context(), caller, json.RawMessage(params))
		switch code := apitest.Code(err); code {
		case "":
			if refused {
				t.Errorf("%s takes %s", operation.Method, what)
			}
			return
		case domain.Internal, domain.Unavailable, domain.RateLimited:
			t.Errorf("%s of %s: %s, %v", operation.Method, what, code, err)
		default:
			if refused && code != domain.InvalidArgument && code != domain.TooLarge {
				t.Errorf("%s of %s: %s, want invalid_argument", operation.Method, what, code)
			}
		}
		if after := heads(); after != before {
			t.Errorf("%s refused %s and appended all the same", operation.Method, what)
		}
	}
	for _, operation := range b.Registry.Operations() {
		if operation.Method == "session.revoke" {
			continue // it would end the session that the others are tried with; see the table of bad inputs
		}
		about := alice
		if operation.Admin {
			about = bob // who may end up suspended
		}
		fields := api.Fields(operation.Input)
		for i, f := range fields {
			params := func(value string) string {
				members := []string{fmt.Sprintf("%q:%s", f.Name, value)}
				for j, other := range fields {
					if j != i && other.Required {
						members = append(members, fmt.Sprintf("%q:%s", other.Name, plausible(other, about, group)))
					}
				}
				return "{" + strings.Join(members, ",") + "}"
			}
			for _, name := range slices.Sorted(maps.Keys(never)) {
				try(operation, params(never[name]), f.Name+": "+name, true)
			}
			custom := reflect.PointerTo(f.Kind).Implements(reflect.TypeFor[json.Unmarshaler]())
			for _, name := range slices.Sorted(maps.Keys(others(f.Kind))) {
				try(operation, params(others(f.Kind)[name]), f.Name+" of another kind, "+name, !custom)
			}
			for _, name := range slices.Sorted(maps.Keys(mostly)) {
				try(operation, params(mostly[name]), f.Name+": "+name, false)
			}
			if f.Required {
				try(operation, params("null"), f.Name+": null", !custom)
			}
		}
		try(operation, `{"no_such_member":1}`, "a member that it does not have", true)
		try(operation, strings.Repeat("[", 100_000), "a hundred thousand brackets", true)
	}
	t.Logf("%d values were tried", tried)
	if got := texts(t, b.Must(t, alice, "message.history", P{"conversation": group})["messages"]); !strings.HasPrefix(got, "hello") {
		t.Errorf("history %q", got)
	}
}
