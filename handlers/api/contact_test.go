package api_test

import (
	"fmt"
	"testing"

	"mpim/domain"
	"mpim/handlers/api"
	"mpim/handlers/api/apitest"
)

func write(t *testing.T, b *apitest.Bench, from api.Caller, to P, clientID string) error {
	t.Helper()
	_, err := b.Call(t, from, "message.send", P{"to": to, "client_id": clientID, "body": text(clientID)})
	return err
}

func TestBlocksHoldFromTheNextMessageOn(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob := b.User(t, "alice"), b.User(t, "bob")
	sent := send(t, b, alice, P{"user": bob.User}, "hello")
	conversation := P{"conversation": sent["conversation"]}
	for range 2 {
		b.Must(t, bob, "user.block", P{"user": alice.User})
	}
	wantCode(t, write(t, b, alice, P{"user": bob.User}, "1"), domain.PermissionDenied)
	wantCode(t, write(t, b, alice, conversation, "2"), domain.PermissionDenied)
	_, err := b.Call(t, alice, "message.edit", P{"conversation": sent["conversation"], "seq": sent["seq"], "body": text("more")})
	wantCode(t, err, domain.PermissionDenied)
	_, err = b.Call(t, alice, "contact.request", P{"user": bob.User})
	wantCode(t, err, domain.PermissionDenied)
	// A message that was sent before stays sent, however often its sender asks.
	again := b.Must(t, alice, "message.send", P{"to": conversation, "client_id": "hello", "body": text("hello")})
	wantMembers(t, again, P{"duplicate": true, "seq": sent["seq"]})
	wantCode(t, write(t, b, bob, conversation, "3"), "")
	b.Must(t, alice, "message.recall", P{"conversation": sent["conversation"], "seq": sent["seq"]})
	for range 2 {
		b.Must(t, bob, "user.unblock", P{"user": alice.User})
	}
	wantCode(t, write(t, b, alice, conversation, "4"), "")
	// Who is blocked before the first word cannot say it.
	carol := b.User(t, "carol")
	b.Must(t, carol, "user.block", P{"user": alice.User})
	wantCode(t, write(t, b, alice, P{"user": carol.User}, "5"), domain.PermissionDenied)
}

func TestStrangersAreKeptOut(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob := b.User(t, "alice"), b.User(t, "bob")
	to := P{"user": bob.User}
	sent := send(t, b, alice, to, "hello")
	wantMembers(t, b.Must(t, bob, "account.get", P{}), P{"strangers": "anyone"})
	wantMembers(t, b.Must(t, bob, "account.update", P{"strangers": "contacts"}), P{"strangers": "contacts"})
	wantMembers(t, b.Must(t, bob, "account.get", P{}), P{"strangers": "contacts"})
	for i := range 2 { // the second time it is known who the other is
		wantCode(t, write(t, b, alice, to, fmt.Sprint("to ", i)), domain.PermissionDenied)
		wantCode(t, write(t, b, alice, P{"conversation": sent["conversation"]}, fmt.Sprint("in ", i)), domain.PermissionDenied)
	}
	wantCode(t, write(t, b, b.User(t, "carol"), to, "first"), domain.PermissionDenied)
	wantCode(t, write(t, b, bob, P{"user": alice.User}, "mine"), "")
	b.Must(t, alice, "contact.request", P{"user": bob.User, "message": "it is me"})
	b.Must(t, bob, "contact.accept", P{"user": alice.User})
	wantCode(t, write(t, b, alice, P{"conversation": sent["conversation"]}, "contact"), "")
	b.Must(t, alice, "contact.remove", P{"user": bob.User})
	wantCode(t, write(t, b, alice, to, "no contact"), domain.PermissionDenied)
	b.Must(t, bob, "account.update", P{"strangers": "anyone"})
	wantCode(t, write(t, b, alice, to, "anyone"), "")
}

func TestContactRequests(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob := b.User(t, "alice"), b.User(t, "bob")
	for range 2 {
		b.Must(t, alice, "contact.request", P{"user": bob.User, "message": "hello"})
	}
	for range 2 {
		b.Must(t, bob, "contact.decline", P{"user": alice.User})
	}
	_, err := b.Call(t, bob, "contact.accept", P{"user": alice.User})
	wantCode(t, err, domain.NotFound)
	b.Must(t, alice, "contact.request", P{"user": bob.User})
	b.Must(t, bob, "contact.request", P{"user": alice.User})
	for range 2 {
		b.Must(t, alice, "contact.accept", P{"user": bob.User})
		b.Must(t, alice, "contact.remark", P{"user": bob.User, "remark": "Bob"})
	}
	_, err = b.Call(t, bob, "contact.decline", P{"user": alice.User})
	wantCode(t, err, domain.FailedPrecondition)
	for range 2 {
		b.Must(t, bob, "contact.remove", P{"user": alice.User})
	}
	_, err = b.Call(t, alice, "contact.remark", P{"user": bob.User, "remark": "Bob"})
	wantCode(t, err, domain.NotFound)
}

func TestContactsCountForBoth(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob := b.User(t, "alice"), b.User(t, "bob")
	changes := func(who api.Caller) float64 {
		t.Helper()
		n, _ := b.Must(t, who, "sync", P{})["user_seq"].(float64)
		return n
	}
	b.Must(t, alice, "contact.request", P{"user": bob.User})
	b.Must(t, bob, "contact.accept", P{"user": alice.User})
	if a, b := changes(alice), changes(bob); a != 2 || b != 2 {
		t.Errorf("%v and %v changes, want 2 each", a, b)
	}
	b.Must(t, alice, "contact.remark", P{"user": bob.User, "remark": "Bob"})
	b.Must(t, alice, "user.block", P{"user": bob.User})
	b.Must(t, alice, "account.update", P{"display_name": "Alice"})
	if a, b := changes(alice), changes(bob); a != 5 || b != 2 {
		t.Errorf("%v and %v changes, want 5 and 2: nobody learns who blocks or remarks", a, b)
	}
}

func TestContactListsAndSearch(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob, carol := b.User(t, "alice"), b.User(t, "bob"), b.User(t, "carol")
	b.Must(t, alice, "contact.request", P{"user": bob.User, "message": "hello"})
	if out := list(t, b.Must(t, alice, "contact.list", P{})["outgoing"]); len(out) != 1 || out[0]["message"] != "hello" || out[0]["user"] != string(bob.User) {
		t.Errorf("outgoing %v", out)
	}
	if in := list(t, b.Must(t, bob, "contact.list", P{})["incoming"]); len(in) != 1 || in[0]["message"] != "hello" || in[0]["user"] != string(alice.User) || in[0]["at"] == nil {
		t.Errorf("incoming %v", in)
	}
	b.Must(t, bob, "contact.accept", P{"user": alice.User})
	remarked := b.Must(t, bob, "contact.remark", P{"user": alice.User, "remark": "A"})
	mine := b.Must(t, bob, "contact.list", P{"after_position": remarked["position"]})
	if c := list(t, mine["contacts"]); len(c) != 1 || c[0]["remark"] != "A" || c[0]["since"] == nil || len(list(t, mine["incoming"])) != 0 {
		t.Errorf("contacts %v", mine)
	}
	if c := list(t, b.Must(t, alice, "contact.list", P{})["contacts"]); len(c) != 1 || c[0]["remark"] != "" {
		t.Errorf("contacts %v", c)
	}
	b.Must(t, alice, "user.block", P{"user": carol.User})
	if blocks := list(t, b.Must(t, alice, "block.list", P{})["blocks"]); len(blocks) != 1 || blocks[0]["user"] != string(carol.User) || blocks[0]["since"] == nil {
		t.Errorf("blocks %v", blocks)
	}
	if blocks := list(t, b.Must(t, carol, "block.list", P{})["blocks"]); len(blocks) != 0 {
		t.Errorf("blocks %v", blocks)
	}
	b.Must(t, carol, "account.update", P{"display_name": "Bobette"})
	if found := list(t, b.Must(t, alice, "user.search", P{"q": "BOB"})["users"]); len(found) != 2 || found[0]["id"] != string(bob.User) || found[1]["username"] != "carol" {
		t.Errorf("found %v", found)
	}
	if found := list(t, b.Must(t, alice, "user.search", P{"q": "bob", "limit": 1})["users"]); len(found) != 1 {
		t.Errorf("found %v", found)
	}
}
