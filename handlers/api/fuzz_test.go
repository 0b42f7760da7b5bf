package api_test

import (
	"fmt"
	"maps"
	"testing"

	"mpim/domain"
	"mpim/handlers/api"
	"mpim/handlers/api/apitest"
)

// FuzzPages asks every operation that answers in pages for what is behind any text, and after any position: it answers,
// or blames the caller. A position may name what is not there yet, which is unavailable.
func FuzzPages(f *testing.F) {
	b := apitest.New(f, nil)
	alice := b.Administrator(f, "alice")
	group := newGroupOf(f, b, alice)
	pages := map[string]P{
		"conversation.list": {}, "group.members": {"conversation": group}, "message.search": {"q": "hello"}, "sync": {},
		"message.scheduled": {}, "notice.list": {}, "admin.user.list": {},
	}
	for _, seed := range []string{
		"", "x", ".", "0.", "1700000000000.01HF", "1.g.2", "-1.g.-2", group, string(alice.User), "LSAx", "MCBn", "9223372036854775807.x",
	} {
		f.Add(seed, "")
		f.Add("", seed)
	}
	f.Add("", "0:9")
	f.Fuzz(func(t *testing.T, after, position string) {
		for method, fixed := range pages {
			params := P{"after": after, "after_position": position}
			maps.Copy(params, fixed)
			_, err := b.Call(t, alice, method, params)
			switch code := apitest.Code(err); {
			case err == nil, code == domain.InvalidArgument, code == domain.Unavailable && position != "":
			default:
				t.Errorf("%s behind %q after %q: %v", method, after, position, err)
			}
		}
	})
}

func newGroupOf(tb testing.TB, b *apitest.Bench, owner api.Caller) string {
	tb.Helper()
	made := b.Must(tb, owner, "group.create", P{"title": "Pages"})
	group, _ := made["conversation"].(map[string]any)
	id := fmt.Sprint(group["conversation"])
	b.Must(tb, owner, "message.send", P{"to": P{"conversation": id}, "client_id": "1", "body": text("hello")})
	return id
}
