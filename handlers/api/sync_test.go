package api_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mpim/domain"
	"mpim/handlers/api"
	"mpim/handlers/api/apitest"
	"mpim/projections/recent"
)

func syncOf(t *testing.T, b *apitest.Bench, who api.Caller, params P) []map[string]any {
	t.Helper()
	return list(t, b.Must(t, who, "sync", params)["conversations"])
}

func TestSyncCatchesUp(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob := b.User(t, "alice"), b.User(t, "bob")
	id := fmt.Sprint(send(t, b, alice, P{"user": bob.User}, "one", "two", "three")["conversation"])
	group := newGroup(t, b, alice, bob)

	all := syncOf(t, b, bob, P{})
	if len(all) != 2 || all[0]["conversation"] != group || all[1]["conversation"] != id {
		t.Fatalf("sync %v, want the group and then the pair", all)
	}
	direct := all[1]
	wantMembers(t, direct, P{"head_seq": 4.0, "unread": 3.0, "read_seq": 0.0, "complete": true, "reset": false, "left": nil})
	if got := fmt.Sprint(seqs(list(t, direct["events"]))); got != "[1 2 3 4]" {
		t.Errorf("events %s", got)
	}
	event := list(t, direct["events"])[1]
	wantMembers(t, event, P{"conversation": id, "type": "message.sent", "actor": string(alice.User)})
	if object(t, event["data"])["client_id"] != "one" || object(t, direct["last_message"])["client_id"] != "three" {
		t.Errorf("event %v, last message %v", event, direct["last_message"])
	}

	t.Run("a listed conversation from its seq", func(t *testing.T) {
		got := syncOf(t, b, bob, P{"since": P{id: 3}, "only": true})
		if len(got) != 1 || fmt.Sprint(seqs(list(t, got[0]["events"]))) != "[4]" {
			t.Errorf("sync %v", got)
		}
	})
	t.Run("nothing new, and what was never seen, is left out", func(t *testing.T) {
		other := b.User(t, "other")
		foreign := newGroup(t, b, other)
		if got := syncOf(t, b, bob, P{"since": P{id: 4, foreign: 0, "nothing": 1}, "only": true}); len(got) != 0 {
			t.Errorf("sync %v", got)
		}
	})
	t.Run("an unlisted one from what the session acknowledged", func(t *testing.T) {
		b.Must(t, bob, "receipt.delivered", P{"conversation": id, "delivered_seq": 3})
		got := syncOf(t, b, bob, P{"since": P{group: 1}})
		if len(got) != 1 || fmt.Sprint(seqs(list(t, got[0]["events"]))) != "[4]" {
			t.Errorf("sync %v", got)
		}
		second := b.Login(t, "bob")
		if got := syncOf(t, b, second, P{"since": P{group: 1}}); fmt.Sprint(seqs(list(t, got[0]["events"]))) != "[1 2 3 4]" {
			t.Errorf("another session gets %v", got)
		}
	})
	t.Run("start over", func(t *testing.T) {
		reset := P{"reset": true, "complete": true, "head_seq": 4.0}
		got := syncOf(t, b, bob, P{"since": P{id: 9}, "only": true})
		wantMembers(t, got[0], reset)
		got = syncOf(t, b, bob, P{"since": P{id: 4}, "only": true, "epoch": "before"})
		wantMembers(t, got[0], reset)
		if len(list(t, got[0]["events"])) != 0 {
			t.Errorf("events with a reset: %v", got[0]["events"])
		}
	})
	t.Run("changes of contacts", func(t *testing.T) {
		answer := b.Must(t, bob, "sync", P{"user_seq": 0, "only": true})
		wantMembers(t, answer, P{"user_seq": 0.0, "contacts_changed": false, "epoch": "1"})
		answer = b.Must(t, bob, "sync", P{"epoch": "0", "only": true})
		wantMembers(t, answer, P{"contacts_changed": true})
	})
}

func TestSyncWaitsForProjections(t *testing.T) {
	for _, name := range []string{"members", "inbox", "recent"} {
		t.Run(name, func(t *testing.T) {
			b := apitest.New(t, nil)
			alice, bob := b.User(t, "alice"), b.User(t, "bob")
			b.Hold(name)
			send(t, b, alice, P{"user": bob.User}, "one")
			_, err := b.Call(t, bob, "sync", P{})
			wantCode(t, err, domain.Unavailable)
		})
	}
	t.Run("not for history", func(t *testing.T) {
		b := apitest.New(t, nil)
		alice, bob := b.User(t, "alice"), b.User(t, "bob")
		b.Hold("history")
		send(t, b, alice, P{"user": bob.User}, "one")
		if got := syncOf(t, b, bob, P{}); len(got) != 1 {
			t.Errorf("sync %v", got)
		}
	})
}

func words(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = strconv.Itoa(i)
	}
	return all
}

func TestSyncInSteps(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob := b.User(t, "alice"), b.User(t, "bob")
	id := fmt.Sprint(send(t, b, alice, P{"user": bob.User}, words(250)...)["conversation"])
	since, steps := 0.0, 0
	for complete := false; !complete; steps++ {
		got := syncOf(t, b, bob, P{"since": P{id: since}, "only": true})[0]
		events := list(t, got["events"])
		if len(events) > 100 || events[0]["seq"] != since+1 {
			t.Fatalf("%d events from %v after %v", len(events), events[0]["seq"], since)
		}
		since, _ = events[len(events)-1]["seq"].(float64)
		complete, _ = got["complete"].(bool)
	}
	if steps != 3 || since != 251 {
		t.Errorf("%d steps to %v, want 3 to 251", steps, since)
	}
	send(t, b, alice, P{"user": bob.User}, slices.Collect(func(yield func(string) bool) {
		for i := range 751 {
			if !yield(fmt.Sprint("more ", i)) {
				return
			}
		}
	})...)
	wantMembers(t, syncOf(t, b, bob, P{})[0], P{"reset": true, "complete": true, "head_seq": 1002.0})
	if got := syncOf(t, b, bob, P{"since": P{id: 2}})[0]; got["reset"] != false {
		t.Errorf("1,000 missing events reset")
	}
}

func TestSyncStaysBelowTheLargestFrame(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob := b.User(t, "alice"), b.User(t, "bob")
	large := strings.Repeat("x", 15<<10)
	groups := make(map[string]int)
	for range 3 {
		id := newGroup(t, b, alice, bob)
		for i := range 40 {
			b.Must(t, alice, "message.send", P{"to": P{"conversation": id}, "client_id": strconv.Itoa(i), "body": text(large)})
		}
		groups[id] = 0
	}
	since := P{}
	for page := 0; ; page++ {
		params := P{"since": since}
		for {
			answer := b.Must(t, bob, "sync", params)
			if n := len(fmt.Sprint(answer)); n > 1<<20 {
				t.Fatalf("an answer of %d bytes", n)
			}
			for _, c := range list(t, answer["conversations"]) {
				id := fmt.Sprint(c["conversation"])
				events := list(t, c["events"])
				if len(events) == 0 {
					t.Fatalf("no events for %s", id)
				}
				groups[id] += len(events)
				since[id] = events[len(events)-1]["seq"]
			}
			if answer["next"] == nil {
				break
			}
			params = P{"since": since, "after": answer["next"]}
		}
		if done := len(syncOf(t, b, bob, P{"since": since})) == 0; done || page > 9 {
			break
		}
	}
	for id, n := range groups {
		if n != 41 {
			t.Errorf("%d events of %s, want 41", n, id)
		}
	}
}

// What moves to the front between two pages must not be passed over.
func TestSyncInPages(t *testing.T) {
	b := apitest.New(t, nil)
	alice := b.User(t, "alice")
	var peers []api.Caller
	want := map[string]bool{}
	for i := range 7 {
		peer := b.User(t, fmt.Sprintf("user%d", i))
		peers = append(peers, peer)
		want[fmt.Sprint(send(t, b, peer, P{"user": alice.User}, "hi")["conversation"])] = true
	}
	seen := map[string]int{}
	params := P{"limit": 2}
	for page := range 9 {
		answer := b.Must(t, alice, "sync", params)
		conversations := list(t, answer["conversations"])
		if len(conversations) > 2 {
			t.Fatalf("a page of %d", len(conversations))
		}
		for _, c := range conversations {
			seen[fmt.Sprint(c["conversation"])]++
		}
		if answer["next"] == nil {
			break
		}
		params["after"] = answer["next"]
		if page == 0 {
			// The two that would have been last come to the front.
			send(t, b, peers[0], P{"user": alice.User}, "again")
			send(t, b, peers[1], P{"user": alice.User}, "again")
		}
	}
	for id := range want {
		if seen[id] != 1 {
			t.Errorf("%s was answered %d times", id, seen[id])
		}
	}
	for _, after := range []string{"x", "MTIz", "!"} {
		_, err := b.Call(t, alice, "sync", P{"after": after})
		wantCode(t, err, domain.InvalidArgument)
	}
}

// What was acknowledged before the log was repaired counts for nothing: clients have dropped it.
func TestAcknowledgementsOfAnotherEpoch(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob := b.User(t, "alice"), b.User(t, "bob")
	id := fmt.Sprint(send(t, b, alice, P{"user": bob.User}, "one", "two")["conversation"])
	acknowledge := func(want string) {
		t.Helper()
		if got := fmt.Sprint(seqs(list(t, syncOf(t, b, bob, P{})[0]["events"]))); got != want {
			t.Errorf("sync has %s, want %s", got, want)
		}
		b.Must(t, bob, "receipt.delivered", P{"conversation": id, "delivered_seq": 3})
		if got := syncOf(t, b, bob, P{}); len(got) != 0 {
			t.Errorf("after the acknowledgement sync has %v", got)
		}
	}
	acknowledge("[1 2 3]")
	b.Repair()
	acknowledge("[1 2 3]")
}

// A client is never told less than what it misses: where the events are gone, it starts over.
func TestSyncOfEventsNoLongerAtHand(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob := b.User(t, "alice"), b.User(t, "bob")
	id := fmt.Sprint(send(t, b, alice, P{"user": bob.User}, "one", "two")["conversation"])
	if err := b.Fold(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.Redis.FastForward(recent.TTL + time.Second)
	wantMembers(t, syncOf(t, b, bob, P{"since": P{id: 1}})[0], P{"reset": true, "complete": true, "head_seq": 3.0})
	send(t, b, alice, P{"user": bob.User}, "three")
	wantMembers(t, syncOf(t, b, bob, P{"since": P{id: 1}})[0], P{"reset": true, "complete": true, "head_seq": 4.0})
	if got := fmt.Sprint(seqs(list(t, syncOf(t, b, bob, P{"since": P{id: 3}})[0]["events"]))); got != "[4]" {
		t.Errorf("who misses only what is at hand gets %s", got)
	}
}

// Edits, recalls, reactions and who came and went are caught up by the same cursor as messages, whatever made them.
func TestOneCursorForEverything(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob, carol := b.User(t, "alice"), b.User(t, "bob"), b.User(t, "carol")
	group := newGroup(t, b, alice, bob)
	one := send(t, b, alice, P{"conversation": group}, "one")
	two := send(t, b, bob, P{"conversation": group}, "two")
	b.Must(t, alice, "message.edit", P{"conversation": group, "seq": one["seq"], "body": text("1")})
	b.Must(t, bob, "message.recall", P{"conversation": group, "seq": two["seq"]})
	b.Must(t, alice, "group.add", P{"conversation": group, "users": []any{carol.User}})
	b.Must(t, carol, "group.leave", P{"conversation": group})
	b.Must(t, alice, "group.remove", P{"conversation": group, "user": bob.User})
	send(t, b, alice, P{"conversation": group}, "unseen")

	types := func(events any) string {
		var all []string
		for _, e := range list(t, events) {
			all = append(all, fmt.Sprint(e["type"]))
		}
		return strings.Join(all, " ")
	}
	got := syncOf(t, b, bob, P{"since": P{group: 1}})[0]
	wantMembers(t, got, P{"left": true, "complete": true, "head_seq": 8.0})
	if want := "message.sent message.sent message.edited message.recalled member.added member.left member.removed"; types(got["events"]) != want {
		t.Errorf("got %s, want %s", types(got["events"]), want)
	}
	// Of a change to a message before its window, a member learns which one it was, and no more.
	got = syncOf(t, b, carol, P{})[0]
	wantMembers(t, got, P{"left": true, "complete": true, "head_seq": 7.0})
	if types(got["events"]) != "member.added member.left" {
		t.Errorf("carol gets %s", types(got["events"]))
	}
	// Who has everything up to where it left is not told again.
	if got := syncOf(t, b, bob, P{"since": P{group: 8}, "only": true}); len(got) != 0 {
		t.Errorf("bob is told again: %v", got)
	}
	b.Must(t, alice, "group.add", P{"conversation": group, "users": []any{carol.User}})
	late := syncOf(t, b, carol, P{"since": P{group: 7}})[0]
	wantMembers(t, late, P{"left": nil, "complete": true, "head_seq": 10.0})
	if types(late["events"]) != "member.added" {
		t.Errorf("in her second window carol gets %s", types(late["events"]))
	}
}
