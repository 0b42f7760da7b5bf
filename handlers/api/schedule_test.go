package api_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"mpim/domain"
	"mpim/handlers/api"
	"mpim/handlers/api/apitest"
	"mpim/handlers/timers"
)

// fire lets time pass, and everything fire that is due then.
func fire(t *testing.T, b *apitest.Bench, d time.Duration) {
	t.Helper()
	b.Pass(d)
	worker, err := timers.New(timers.Config{Log: b.Log, Now: b.Now})
	if err != nil {
		t.Fatal(err)
	}
	for partition := range apitest.Partitions {
		if err := worker.Fire(t.Context(), partition); err != nil {
			t.Fatal(err)
		}
	}
}

func TestScheduling(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob := b.User(t, "alice"), b.User(t, "bob")
	group := newGroup(t, b, alice, bob)
	at := func(d time.Duration) string {
		return b.Now().Add(d).In(time.FixedZone("", 3600)).Format(time.RFC3339Nano)
	}
	params := P{"to": P{"user": bob.User}, "client_id": "1", "body": text("later"), "deliver_at": at(time.Hour)}
	first := b.Must(t, alice, "message.schedule", params)
	object1 := object(t, first["scheduled"])
	if again := b.Must(t, alice, "message.schedule", params); fmt.Sprint(again["scheduled"]) != fmt.Sprint(object1) {
		t.Errorf("scheduled again: %v, first %v", again, first)
	}
	_, err := b.Call(t, alice, "message.schedule", P{"to": P{"user": bob.User}, "client_id": "1", "body": text("x"), "deliver_at": params["deliver_at"]})
	wantCode(t, err, domain.Conflict)
	// The same id may be used for another conversation, and for a message that is sent at once.
	b.Must(t, alice, "message.schedule", P{"to": P{"conversation": group}, "client_id": "1", "body": text("sooner"), "deliver_at": at(time.Minute)})
	b.Must(t, alice, "message.send", P{"to": P{"conversation": group}, "client_id": "1", "body": text("now")})
	b.Must(t, alice, "message.schedule", P{"to": P{"conversation": group}, "client_id": "2", "body": text("never"), "deliver_at": at(time.Minute)})

	waiting := func(who api.Caller) []map[string]any {
		t.Helper()
		return list(t, b.Must(t, who, "message.scheduled", P{})["scheduled"])
	}
	listed := waiting(alice)
	if len(listed) != 3 || fmt.Sprint(listed[2]) != fmt.Sprint(object1) || len(waiting(bob)) != 0 {
		t.Fatalf("listed %v, want %v last", listed, object1)
	}
	if to := object(t, listed[1]["to"]); to["conversation"] != group {
		t.Errorf("for %v", to)
	}
	_, err = b.Call(t, bob, "message.unschedule", P{"scheduled": listed[1]["scheduled"]})
	wantCode(t, err, domain.NotFound)
	b.Must(t, alice, "message.unschedule", P{"scheduled": listed[1]["scheduled"]})
	_, err = b.Call(t, alice, "message.unschedule", P{"scheduled": listed[1]["scheduled"]})
	wantCode(t, err, domain.NotFound)

	fire(t, b, 2*time.Minute)
	if got := texts(t, b.Must(t, bob, "message.history", P{"conversation": group})["messages"]); got != "now sooner" {
		t.Errorf("after a minute: %q", got)
	}
	if listed := waiting(alice); len(listed) != 1 {
		t.Errorf("listed %v", listed)
	}
	fire(t, b, time.Hour)
	direct := b.Placement.Pair(alice.User, bob.User)
	got := list(t, b.Must(t, bob, "message.history", P{"conversation": direct})["messages"])
	if len(got) != 1 || got[0]["client_id"] != "1" || got[0]["sender"] != string(alice.User) || got[0]["seq"] != 2.0 {
		t.Errorf("after an hour: %v", got)
	}
	// Sent again when all is over, the request has its first answer still.
	if again := b.Must(t, alice, "message.schedule", params); fmt.Sprint(again["scheduled"]) != fmt.Sprint(object1) {
		t.Errorf("scheduled again at the end: %v", again)
	}
	if listed := waiting(alice); len(listed) != 0 {
		t.Errorf("listed %v", listed)
	}
}

func TestScheduledPages(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob := b.User(t, "alice"), b.User(t, "bob")
	for i := range 7 {
		b.Must(t, alice, "message.schedule", P{
			"to": P{"user": bob.User}, "client_id": strconv.Itoa(i), "body": text(strconv.Itoa(i)),
			"deliver_at": time.Date(2026, 12, 1+i/2, 0, 0, 0, 0, time.UTC).AddDate(b.Now().Year()-2026, 0, 0).Format(time.RFC3339),
		})
	}
	seen, after := map[string]bool{}, any("")
	for pages := 1; ; pages++ {
		answer := b.Must(t, alice, "message.scheduled", P{"limit": 3, "after": after})
		for _, s := range list(t, answer["scheduled"]) {
			seen[fmt.Sprint(object(t, s["body"])["text"])] = true
		}
		if after = answer["next"]; after == nil {
			if pages != 3 || len(seen) != 7 {
				t.Errorf("%d pages with %v", pages, seen)
			}
			return
		}
	}
}

func TestExpiry(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob := b.User(t, "alice"), b.User(t, "bob")
	sent := b.Must(t, alice, "message.send", P{
		"to": P{"user": bob.User}, "client_id": "1", "body": text("soon gone"), "expires_in_s": 60,
	})
	of := P{"conversation": sent["conversation"], "seq": sent["seq"]}
	message := object(t, b.Must(t, bob, "message.get", of)["message"])
	if message["body"] == nil || message["expires_at"] == nil {
		t.Errorf("before: %v", message)
	}
	b.Pass(time.Minute)
	// The timer may be late; the rules are not.
	_, err := b.Call(t, alice, "message.edit", P{"conversation": sent["conversation"], "seq": sent["seq"], "body": text("x")})
	wantCode(t, err, domain.FailedPrecondition)
	fire(t, b, 0)
	if message := object(t, b.Must(t, bob, "message.get", of)["message"]); message["body"] != nil || message["recalled_at"] != nil {
		t.Errorf("after: %v", message)
	}
	synced := list(t, b.Must(t, bob, "sync", P{})["conversations"])
	events := list(t, synced[0]["events"])
	if len(events) != 3 || events[2]["type"] != "message.expired" || events[2]["actor"] != "" || object(t, events[1]["data"])["body"] != nil {
		t.Errorf("events %v", events)
	}
	if found := list(t, b.Must(t, bob, "message.search", P{"q": "gone"})["messages"]); len(found) != 0 {
		t.Errorf("found %v", found)
	}
}

func TestSearch(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob, carol := b.User(t, "alice"), b.User(t, "bob"), b.User(t, "carol")
	id := newGroup(t, b, alice)
	to := P{"conversation": id}
	send(t, b, alice, to, "hidden pear")
	b.Must(t, alice, "group.add", P{"conversation": id, "users": []domain.UserID{bob.User}})
	send(t, b, alice, to, "green pear", "我喜欢梨子", "apple")
	send(t, b, alice, P{"user": carol.User}, "private pear")
	for _, test := range []struct {
		who  api.Caller
		q    string
		in   any
		want string
	}{
		{bob, "pear", nil, "green pear"},
		{alice, "pear", nil, "private pear green pear hidden pear"},
		{alice, "pear", id, "green pear hidden pear"},
		{carol, "pear", nil, "private pear"},
		{bob, "梨子", nil, "我喜欢梨子"},
		{bob, "plum", nil, ""},
	} {
		params := P{"q": test.q}
		if test.in != nil {
			params["conversation"] = test.in
		}
		if got := texts(t, b.Must(t, test.who, "message.search", params)["messages"]); got != test.want {
			t.Errorf("%s finds for %s in %v: %q, want %q", test.who.User, test.q, test.in, got, test.want)
		}
	}
	_, err := b.Call(t, carol, "message.search", P{"q": "pear", "conversation": id})
	wantCode(t, err, domain.NotFound)
	b.Must(t, alice, "group.update", P{"conversation": id, "history": "all"})
	if got := texts(t, b.Must(t, bob, "message.search", P{"q": "pear"})["messages"]); got != "green pear hidden pear" {
		t.Errorf("in a group that shows all: %q", got)
	}
	b.Must(t, bob, "group.leave", to)
	send(t, b, alice, to, "late pear")
	var pages []string
	for after := any(""); after != nil; {
		answer := b.Must(t, bob, "message.search", P{"q": "pear", "limit": 1, "after": after})
		pages, after = append(pages, texts(t, answer["messages"])), answer["next"]
	}
	if got := fmt.Sprint(pages); got != "[green pear hidden pear]" {
		t.Errorf("after leaving, page by page: %s", got)
	}
}
