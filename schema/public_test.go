package schema_test

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// hidden is what never leaves the log, by event type. A secret that is added is added here.
var hidden = map[string][]string{
	"account.registered":       {"password_hash"},
	"account.password_changed": {"password_hash"},
	"session.created":          {"refresh_hash"},
	"session.refreshed":        {"refresh_hash"},
}

func TestPublicHidesSecretsAndNothingElse(t *testing.T) {
	for name, g := range goldens(t) {
		r := g.record(t)
		public, err := r.Public()
		if err != nil {
			t.Fatal(err)
		}
		want := value(t, r.Data).(map[string]any)
		maps.DeleteFunc(want, func(member string, _ any) bool {
			return slices.Contains(hidden[string(g.Type)], member)
		})
		if got := value(t, public); !reflect.DeepEqual(got, want) {
			t.Errorf("%s is shown as %s", name, public)
		}
		if strings.Contains(string(public), "_hash") {
			t.Errorf("%s shows a hash: %s", name, public)
		}
	}
}

// A decoder that takes no notice of case reads "Password_Hash" as well, so it is a secret too.
func TestPublicHidesAnySpelling(t *testing.T) {
	g := goldens(t)["account.registered.v1.json"]
	g.Payload = []byte(strings.Replace(string(g.Payload), "password_hash", "Password_HASH", 1))
	r := g.record(t)
	if public, err := r.Public(); err != nil || strings.Contains(string(public), "argon2id") {
		t.Errorf("shown as %s, %v", public, err)
	}
	r.Data = []byte("7")
	if public, err := r.Public(); err == nil {
		t.Errorf("shown as %s", public)
	}
}
