package api_test

import (
	"fmt"
	"testing"

	"mpim/domain"
	"mpim/handlers/api/apitest"
	"mpim/projections/recent"
)

// What recent no longer has comes from history, and only that needs it.
func TestOldMessages(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob := b.User(t, "alice"), b.User(t, "bob")
	all := words(recent.Size + 100)
	id := fmt.Sprint(send(t, b, alice, P{"user": bob.User}, all...)["conversation"])
	read := P{"conversation": id, "read_seq": 11}
	edit := P{"conversation": id, "seq": 11, "body": text("ten")}

	if err := b.Fold(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.Hold("history")
	send(t, b, alice, P{"user": bob.User}, "new")
	for method, params := range map[string]P{"receipt.read": read, "message.edit": edit} {
		caller := alice
		if method == "receipt.read" {
			caller = bob
		}
		_, err := b.Call(t, caller, method, params)
		wantCode(t, err, domain.Unavailable)
	}
	head := len(all) + 2
	b.Must(t, alice, "message.recall", P{"conversation": id, "seq": head})

	b.Release()
	b.Must(t, alice, "message.edit", edit)
	_, err := b.Call(t, bob, "message.edit", edit)
	wantCode(t, err, domain.PermissionDenied)
	b.Must(t, bob, "receipt.read", read)
	// Ten are read, one of the rest was recalled, which lowers nothing: more than 999 are unread.
	seen := object(t, b.Must(t, bob, "conversation.get", P{"conversation": id})["conversation"])
	if seen["unread"] != 1000.0 || seen["read_seq"] != 11.0 {
		t.Errorf("unread %v, read up to %v", seen["unread"], seen["read_seq"])
	}
	read["read_seq"] = 200
	b.Must(t, bob, "receipt.read", read)
	seen = object(t, b.Must(t, bob, "conversation.get", P{"conversation": id})["conversation"])
	if want := float64(len(all) + 1 - 199); seen["unread"] != want {
		t.Errorf("unread %v, want %v", seen["unread"], want)
	}
}
