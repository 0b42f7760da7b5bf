package api_test

import (
	"fmt"
	"strings"
	"testing"

	"mpim/domain"
	"mpim/handlers/api"
	"mpim/handlers/api/apitest"
)

// order returns the conversations of a list, page by page.
func order(t *testing.T, b *apitest.Bench, who api.Caller, limit int) string {
	t.Helper()
	var ids []string
	params := P{"limit": limit}
	for range 20 {
		answer := b.Must(t, who, "conversation.list", params)
		for _, c := range list(t, answer["conversations"]) {
			ids = append(ids, fmt.Sprint(c["conversation"]))
		}
		if answer["next"] == nil {
			break
		}
		params["after"] = answer["next"]
	}
	return strings.Join(ids, " ")
}

func TestSettingsAreMineAlone(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob := b.User(t, "alice"), b.User(t, "bob")
	id := newGroup(t, b, alice, bob)
	settings := func(who api.Caller, params P) map[string]any {
		t.Helper()
		params["conversation"] = id
		return b.Must(t, who, "conversation.settings", params)
	}
	seen := func(who api.Caller) any {
		t.Helper()
		return b.Must(t, who, "conversation.get", P{"conversation": id})["conversation"]
	}
	before := b.Must(t, alice, "sync", P{"only": true})["user_seq"]
	if changed := settings(alice, P{"pinned": true}); changed["position"] == "" {
		t.Errorf("settings answer %v", changed)
	}
	settings(alice, P{"muted": true})
	wantMembers(t, seen(alice), P{"pinned": true, "muted": true})
	wantMembers(t, seen(bob), P{"pinned": false, "muted": false})
	// What is so already changes nothing.
	settings(alice, P{"pinned": true, "muted": true})
	answer := b.Must(t, alice, "sync", P{"only": true, "user_seq": before})
	if n, _ := answer["user_seq"].(float64); n != 2 || answer["contacts_changed"] != true {
		t.Errorf("after two changes sync says %v", answer)
	}
	settings(alice, P{"pinned": false, "muted": false})
	wantMembers(t, seen(alice), P{"pinned": false, "muted": false})

	stranger := b.User(t, "carol")
	_, err := b.Call(t, stranger, "conversation.settings", P{"conversation": id, "pinned": true})
	wantCode(t, err, domain.NotFound)
	b.Must(t, bob, "group.leave", P{"conversation": id})
	_, err = b.Call(t, bob, "conversation.settings", P{"conversation": id, "pinned": true})
	wantCode(t, err, domain.PermissionDenied)
}

func TestPinnedFirst(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob := b.User(t, "alice"), b.User(t, "bob")
	ids := make([]string, 6)
	for i := range ids {
		ids[i] = newGroup(t, b, alice, bob)
	}
	pin := func(i int) { b.Must(t, alice, "conversation.settings", P{"conversation": ids[i], "pinned": true}) }
	pin(1)
	pin(3)
	want := strings.Join([]string{ids[3], ids[1], ids[5], ids[4], ids[2], ids[0]}, " ")
	for limit := 1; limit <= 7; limit++ {
		if got := order(t, b, alice, limit); got != want {
			t.Errorf("pages of %d: got %s, want %s", limit, got, want)
		}
	}
	// A message moves a conversation within its part.
	send(t, b, bob, P{"conversation": ids[1]}, "x")
	send(t, b, bob, P{"conversation": ids[0]}, "x")
	want = strings.Join([]string{ids[1], ids[3], ids[0], ids[5], ids[4], ids[2]}, " ")
	if got := order(t, b, alice, 50); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
