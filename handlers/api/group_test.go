package api_test

import (
	"fmt"
	"testing"

	"mpim/domain"
	"mpim/handlers/api/apitest"
)

func TestAGroup(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob, carol := b.User(t, "alice"), b.User(t, "bob"), b.User(t, "carol")
	params := P{"title": "Crew", "members": []domain.UserID{bob.User}, "client_id": "g"}
	created := b.Must(t, alice, "group.create", params)
	group := object(t, created["conversation"])
	wantMembers(t, group, P{
		"kind": "group", "title": "Crew", "role": "owner", "member_count": 2.0, "head_seq": 1.0, "join": "invite", "last_message": nil, "unread": 0.0,
	})
	again := object(t, b.Must(t, alice, "group.create", params)["conversation"])
	if fmt.Sprint(again) != fmt.Sprint(group) {
		t.Errorf("created again:\n%v, first\n%v", again, group)
	}
	_, err := b.Call(t, alice, "group.create", P{"title": "Other", "client_id": "g"})
	wantCode(t, err, domain.Conflict)
	_, err = b.Call(t, alice, "group.create", P{"title": "Other", "client_id": ""})
	wantCode(t, err, domain.InvalidArgument)
	_, err = b.Call(t, alice, "group.create", P{"title": "Ghosts", "members": []domain.UserID{b.Placement.User("ghost")}})
	wantCode(t, err, domain.NotFound)

	id := group["conversation"]
	_, err = b.Call(t, bob, "group.add", P{"conversation": id, "users": []domain.UserID{carol.User}})
	wantCode(t, err, domain.PermissionDenied)
	_, err = b.Call(t, carol, "group.add", P{"conversation": id, "users": []domain.UserID{carol.User}})
	wantCode(t, err, domain.NotFound)
	b.Must(t, alice, "group.add", P{"conversation": id, "users": []domain.UserID{carol.User, bob.User}})
	_, err = b.Call(t, alice, "group.leave", P{"conversation": id})
	wantCode(t, err, domain.FailedPrecondition)
	b.Must(t, bob, "group.leave", P{"conversation": id})
	b.Must(t, bob, "group.leave", P{"conversation": id})
	_, err = b.Call(t, bob, "group.members", P{"conversation": id})
	wantCode(t, err, domain.PermissionDenied)

	var roles []string
	next := any(nil)
	for {
		params := P{"conversation": id, "limit": 1}
		if next != nil {
			params["after"] = next
		}
		page := b.Must(t, carol, "group.members", params)
		for _, m := range list(t, page["members"]) {
			roles = append(roles, fmt.Sprint(m["role"], m["muted_until"]))
		}
		if next = page["next"]; next == nil {
			break
		}
	}
	if len(roles) != 2 {
		t.Errorf("members %v, want two", roles)
	}
	direct := send(t, b, alice, P{"user": bob.User}, "hi")["conversation"]
	for _, method := range []string{"group.members", "group.leave"} {
		_, err = b.Call(t, alice, method, P{"conversation": direct})
		wantCode(t, err, domain.NotFound)
	}
}

// A member sees what was said from when it was added until it was removed, and nothing else.
func TestWindows(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob := b.User(t, "alice"), b.User(t, "bob")
	id := newGroup(t, b, alice) // 1
	to := P{"conversation": id}
	send(t, b, alice, to, "before")                                                              // 2
	b.Must(t, alice, "group.add", P{"conversation": id, "users": []domain.UserID{bob.User}})     // 3
	send(t, b, alice, to, "during")                                                              // 4
	b.Must(t, alice, "message.edit", P{"conversation": id, "seq": 2, "body": text("secret")})    // 5
	b.Must(t, alice, "group.remove", P{"conversation": id, "user": bob.User})                    // 6
	send(t, b, alice, to, "after")                                                               // 7
	b.Must(t, alice, "message.edit", P{"conversation": id, "seq": 4, "body": text("rewritten")}) // 8

	history := func(params P) (string, error) {
		t.Helper()
		params["conversation"] = id
		answer, err := b.Call(t, bob, "message.history", params)
		if err != nil {
			return "", err
		}
		return texts(t, answer["messages"]), nil
	}
	if got, err := history(P{}); got != "during" || err != nil {
		t.Errorf("history %q, %v", got, err)
	}
	if got, err := history(P{"after": 0}); got != "during" || err != nil {
		t.Errorf("history from the start %q, %v", got, err)
	}
	for _, bound := range []P{{"before": 3}, {"after": 6}} {
		_, err := history(bound)
		wantCode(t, err, domain.PermissionDenied)
	}
	_, err := b.Call(t, bob, "message.send", P{"to": to, "client_id": "x", "body": text("x")})
	wantCode(t, err, domain.PermissionDenied)
	_, err = b.Call(t, bob, "receipt.read", P{"conversation": id, "read_seq": 6})
	wantCode(t, err, domain.PermissionDenied)
	if listed := list(t, b.Must(t, bob, "conversation.list", P{})["conversations"]); len(listed) != 0 {
		t.Errorf("a conversation that was left is listed: %v", listed)
	}
	left := object(t, b.Must(t, bob, "conversation.get", P{"conversation": id})["conversation"])
	if left["left"] != true || left["head_seq"] != 6.0 || left["role"] != "member" {
		t.Errorf("the conversation that was left is %v", left)
	}

	synced := list(t, b.Must(t, bob, "sync", P{})["conversations"])
	if len(synced) != 1 || synced[0]["left"] != true || synced[0]["complete"] != true || synced[0]["head_seq"] != 6.0 {
		t.Fatalf("sync %v", synced)
	}
	events := list(t, synced[0]["events"])
	if got := fmt.Sprint(seqs(events)); got != "[3 4 5 6]" {
		t.Errorf("events %s", got)
	}
	if data := object(t, events[2]["data"]); fmt.Sprint(data) != "map[message:2]" {
		t.Errorf("the edit of a message outside the window says %v", data)
	}

	b.Must(t, alice, "group.add", P{"conversation": id, "users": []domain.UserID{bob.User}}) // 9
	send(t, b, alice, to, "again")                                                           // 10
	if got, err := history(P{}); got != "during again" || err != nil {
		t.Errorf("history with two windows %q, %v", got, err)
	}
	synced = list(t, b.Must(t, bob, "sync", P{"since": P{id: 4}})["conversations"])
	if got := fmt.Sprint(seqs(list(t, synced[0]["events"]))); got != "[5 6 9 10]" || synced[0]["left"] != nil {
		t.Errorf("events over two windows %s", got)
	}
}

func seqs(events []map[string]any) []any {
	all := []any{}
	for _, e := range events {
		all = append(all, e["seq"])
	}
	return all
}
