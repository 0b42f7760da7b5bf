package domain_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mpim/domain"
)

var golden = domain.Placement{Key: [32]byte{1, 2, 3}, Partitions: 16}

// Where a thing lives is computed, never looked up, so what is computed can never change.
func TestPlacementNeverChanges(t *testing.T) {
	ann, bob := golden.User("ann"), golden.User("bob")
	for _, test := range []struct{ name, got, want string }{
		{"user", string(ann), "u2g5s9595yafe0ycqw5eg05"},
		{"pair", string(golden.Pair(ann, bob)), "djn8mnaszw6d10dx2m1n009"},
		{"group", string(golden.Group(ann, "1")), "g3skzgkjhnsf24wx6h21g05"},
		{"random group", string(golden.RandomGroup([]byte("0123456789abcdef"))), "ghf6bve1q9xdptc68bm5g09"},
		{"scheduled message", string(golden.Scheduled(golden.Group(ann, "1"), ann, "2")), "tawd69bzmkpd5am0g3skzgkjhnsf24wx6h21g05"},
		{"session", string(domain.NewSessionID(ann, []byte("0123456789ab"))), "s60rk4csm6mv3ee1sc5h005"},
		{"connection", string(domain.NewConnectionID(ann, []byte("0123456789ab"))), "c60rk4csm6mv3ee1sc5h005"},
	} {
		if test.got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, test.got, test.want)
		}
	}
}

func TestPlacement(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := domain.Placement{Partitions: rapid.IntRange(1, domain.MaxPartitions).Draw(t, "partitions")}
		name, other := rapid.String().Draw(t, "name"), rapid.String().Draw(t, "other")
		a, b := p.User(name), p.User(other)
		if p.User(strings.ToUpper(name)) != p.User(strings.ToLower(strings.ToUpper(name))) {
			t.Fatalf("%q is another user in upper case", name)
		}
		if p.Pair(a, b) != p.Pair(b, a) {
			t.Fatal("a pair depends on the order of its users")
		}
		entropy := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "entropy")
		session, connection := domain.NewSessionID(a, entropy), domain.NewConnectionID(a, entropy)
		home, _ := a.Partition()
		for _, id := range []interface{ Partition() (int, bool) }{
			a, p.Pair(a, b), p.Group(a, other), p.RandomGroup(entropy), session, connection,
			a.Aggregate(), p.Pair(a, b).Aggregate(), p.Group(a, other).Aggregate(),
		} {
			if n, ok := id.Partition(); !ok || n < 0 || n >= p.Partitions {
				t.Fatalf("%v lives in %d, %v", id, n, ok)
			}
		}
		for _, id := range []interface{ Partition() (int, bool) }{session, connection} {
			if n, _ := id.Partition(); n != home {
				t.Fatalf("%v lives in %d, its account in %d", id, n, home)
			}
		}
	})
}

func TestIDsFit(t *testing.T) {
	for _, id := range []string{
		string(golden.User("ann")), string(golden.Pair("a", "b")), string(golden.Group("a", "b")),
		string(domain.NewSessionID("a", make([]byte, 12))), string(golden.Scheduled(golden.Group("a", "b"), "c", "d")),
	} {
		if len(id) > domain.MaxIDBytes {
			t.Errorf("%s has %d bytes", id, len(id))
		}
	}
}

func TestAScheduledMessageNamesItsConversation(t *testing.T) {
	group := golden.Group("a", "b")
	id := golden.Scheduled(group, "c", "d")
	if got, ok := id.Conversation(); !ok || got != group {
		t.Errorf("got %s, %v", got, ok)
	}
	for _, id := range []domain.ScheduledID{"", "t", domain.ScheduledID(group), "u" + id[1:], id + "0", "t0123456789ABCDE" + id[16:], id[:len(id)-1] + "-"} {
		if got, ok := id.Conversation(); ok {
			t.Errorf("%s names %s", id, got)
		}
	}
}

func TestAggregates(t *testing.T) {
	ann := golden.User("ann")
	for _, a := range []domain.Aggregate{ann.Aggregate(), golden.Pair(ann, "x").Aggregate(), golden.Group(ann, "x").Aggregate()} {
		got, ok := domain.ParseAggregate(a.String())
		if !ok || got != a {
			t.Errorf("%s was read as %s, %v", a, got, ok)
		}
		if a.Kind != domain.Account && string(a.Conversation()) != a.ID || a.Kind == domain.Account && a.Conversation() != "" {
			t.Errorf("%s is the conversation %q", a, a.Conversation())
		}
	}
	good := ann.Aggregate().String()
	for _, text := range []string{
		"", "account", "account:", "group:" + string(ann), "room:" + string(ann), good + "0", good[:len(good)-1],
		good[:len(good)-2] + "zz", strings.ToUpper(good), strings.Replace(good, ":u", ":d", 1),
	} {
		if a, ok := domain.ParseAggregate(text); ok {
			t.Errorf("%q was read as %s", text, a)
		}
	}
}
