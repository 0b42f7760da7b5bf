package api_test

import (
	"fmt"
	"strconv"
	"testing"

	"mpim/domain"
	"mpim/handlers/api"
	"mpim/handlers/api/apitest"
)

func TestWhatBecomesOfAMessage(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob := b.User(t, "alice"), b.User(t, "bob")
	id := newGroup(t, b, alice, bob) // 1
	of := func(params P) P { params["conversation"], params["seq"] = id, 2; return params }
	get := func(who api.Caller) map[string]any {
		t.Helper()
		return b.Must(t, who, "message.get", of(P{}))
	}
	b.Must(t, alice, "message.send", P{
		"to": P{"conversation": id}, "client_id": "1", "body": text("one"), "mentions": []any{bob.User, bob.User},
	}) // 2
	b.Must(t, alice, "message.edit", of(P{"body": text("two")}))   // 3
	b.Must(t, alice, "message.edit", of(P{"body": text("three")})) // 4
	b.Must(t, bob, "message.react", of(P{"emoji": "👍"}))           // 5
	b.Must(t, bob, "message.react", of(P{"emoji": "👍"}))           // already so
	b.Must(t, alice, "message.react", of(P{"emoji": "👍"}))         // 6
	b.Must(t, bob, "message.react", of(P{"emoji": "🎉"}))           // 7
	b.Must(t, alice, "message.unreact", of(P{"emoji": "🎉"}))       // it was never there
	b.Must(t, bob, "message.unreact", of(P{"emoji": "🎉"}))         // 8
	b.Must(t, bob, "message.react", of(P{"emoji": "🎉", "remove": true}))

	got := get(bob)
	message := object(t, got["message"])
	wantMembers(t, message, P{"seq": 2.0, "client_id": "1", "sender": string(alice.User)})
	if fmt.Sprint(object(t, message["body"])["text"]) != "three" || message["edited_at"] == nil {
		t.Errorf("message %v", message)
	}
	if want := fmt.Sprint([]any{string(bob.User)}); fmt.Sprint(message["mentions"]) != want {
		t.Errorf("mentions %v, want %s", message["mentions"], want)
	}
	if got := fmt.Sprint(message["reactions"]); got != "[map[count:2 emoji:👍 mine:true]]" {
		t.Errorf("reactions %s", got)
	}
	if got := texts(t, got["edits"]); got != "two three" {
		t.Errorf("edits %q", got)
	}
	if head := object(t, b.Must(t, bob, "conversation.get", P{"conversation": id})["conversation"])["head_seq"]; head != 8.0 {
		t.Errorf("head %v: a reaction that stands was appended again", head)
	}

	b.Must(t, bob, "message.send", P{"to": P{"conversation": id}, "client_id": "2", "body": text("yes"), "reply_to": 2}) // 9
	b.Must(t, alice, "message.recall", of(P{}))                                                                          // 10
	b.Must(t, alice, "message.recall", of(P{}))
	_, err := b.Call(t, alice, "message.edit", of(P{"body": text("four")}))
	wantCode(t, err, domain.FailedPrecondition)
	_, err = b.Call(t, bob, "message.react", of(P{"emoji": "👍"}))
	wantCode(t, err, domain.FailedPrecondition)
	_, err = b.Call(t, bob, "message.send", P{"to": P{"conversation": id}, "client_id": "3", "body": text("no"), "reply_to": 2})
	wantCode(t, err, domain.FailedPrecondition)
	// What was answered before stays the answer.
	again := b.Must(t, bob, "message.send", P{"to": P{"conversation": id}, "client_id": "2", "body": text("yes"), "reply_to": 2})
	if again["duplicate"] != true || again["seq"] != 9.0 {
		t.Errorf("sent again: %v", again)
	}
	_, err = b.Call(t, bob, "message.send", P{"to": P{"conversation": id}, "client_id": "2", "body": text("yes")})
	wantCode(t, err, domain.Conflict)

	got = get(bob)
	wantMembers(t, got["message"], P{"body": nil})
	if len(list(t, got["edits"])) != 0 || len(list(t, object(t, got["message"])["reactions"])) != 0 {
		t.Errorf("of a recalled message there is %v", got)
	}
}

func TestEveryKindOfBody(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob := b.User(t, "alice"), b.User(t, "bob")
	for i, body := range []P{
		{"type": "text", "text": "<b>&</b>"},
		{"type": "file", "url": "https://files.example/1?a=b", "name": "안녕.pdf", "size": 12, "mime": "application/pdf"},
		{"type": "file", "url": "https://files.example/2", "name": "empty", "size": 0, "mime": "text/plain"},
		{"type": "custom", "data": P{"poll": []any{"a", 1.5, nil, P{}}}},
	} {
		sent := b.Must(t, alice, "message.send", P{"to": P{"user": bob.User}, "client_id": strconv.Itoa(i), "body": body})
		got := b.Must(t, bob, "message.get", P{"conversation": sent["conversation"], "seq": sent["seq"]})
		for name, value := range body {
			if have := object(t, object(t, got["message"])["body"])[name]; fmt.Sprint(have) != fmt.Sprint(value) {
				t.Errorf("%s of a %s is %v, want %v", name, body["type"], have, value)
			}
		}
		again := b.Must(t, alice, "message.send", P{"to": P{"user": bob.User}, "client_id": strconv.Itoa(i), "body": body})
		if again["duplicate"] != true {
			t.Errorf("a %s sent again: %v", body["type"], again)
		}
		b.Must(t, alice, "message.edit", P{"conversation": sent["conversation"], "seq": sent["seq"], "body": body})
	}
}

func TestGroupsThatShowEverything(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob := b.User(t, "alice"), b.User(t, "bob")
	id := newGroup(t, b, alice) // 1
	to := P{"conversation": id}
	send(t, b, alice, to, "early")                                          // 2
	b.Must(t, alice, "group.update", P{"conversation": id, "join": "open"}) // 3
	b.Must(t, bob, "group.join", to)                                        // 4
	history := func() string { return texts(t, b.Must(t, bob, "message.history", to)["messages"]) }
	_, err := b.Call(t, bob, "message.history", to)
	wantCode(t, err, "")
	if got := history(); got != "" {
		t.Errorf("history before: %q", got)
	}
	_, err = b.Call(t, bob, "message.get", P{"conversation": id, "seq": 2})
	wantCode(t, err, domain.PermissionDenied)
	b.Must(t, alice, "group.update", P{
		"conversation": id, "history": "all", "title": "Ship", "announcement": "Sail\nat noon", "avatar_url": "https://a.example/x",
	}) // 5
	if got := history(); got != "early" {
		t.Errorf("history %q", got)
	}
	got := object(t, b.Must(t, bob, "conversation.get", to)["conversation"])
	wantMembers(t, got, P{"title": "Ship", "announcement": "Sail\nat noon", "avatar_url": "https://a.example/x", "join": "open", "unread": 0.0})
	synced := list(t, b.Must(t, bob, "sync", P{})["conversations"])
	if got := fmt.Sprint(seqs(list(t, synced[0]["events"]))); got != "[1 2 3 4 5]" {
		t.Errorf("sync brings %s", got)
	}
	send(t, b, alice, to, "late")                                                // 6
	b.Must(t, bob, "group.leave", to)                                            // 7
	b.Must(t, alice, "group.update", P{"conversation": id, "history": "joined"}) // 8
	if got := history(); got != "early late" {
		t.Errorf("who has gone reads %q", got)
	}
	b.Must(t, bob, "group.join", to)       // 9
	send(t, b, alice, to, "last")          // 10
	b.Must(t, alice, "group.dissolve", to) // 11
	b.Must(t, alice, "group.dissolve", to)
	for _, who := range []api.Caller{alice, bob} {
		_, err := b.Call(t, who, "message.send", P{"to": to, "client_id": "x", "body": text("x")})
		wantCode(t, err, domain.PermissionDenied)
		if listed := list(t, b.Must(t, who, "conversation.list", P{})["conversations"]); len(listed) != 0 {
			t.Errorf("a dissolved group is listed: %v", listed)
		}
		synced := list(t, b.Must(t, who, "sync", P{"since": P{id: 10}})["conversations"])
		if len(synced) != 1 || synced[0]["left"] != true || fmt.Sprint(seqs(list(t, synced[0]["events"]))) != "[11]" {
			t.Errorf("sync after the end: %v", synced)
		}
	}
	if got := history(); got != "early late last" {
		t.Errorf("history after the end: %q", got)
	}
}
