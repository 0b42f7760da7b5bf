package contacts_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/contacts"
	"mpim/projections/database"
	"mpim/projections/projectionstest"
	"mpim/projections/rows/rowstest"
)

func TestMain(m *testing.M) { os.Exit(projectionstest.Main(m)) }

const (
	alice = domain.UserID("ualice")
	bob   = domain.UserID("ubob")
	carol = domain.UserID("ucarol")
)

func open(db *database.DB) projections.Projection { return contacts.New(db) }

// pairOf returns the aggregate of two users.
func pairOf(a, b domain.UserID) domain.Aggregate {
	if b < a {
		a, b = b, a
	}
	return domain.Aggregate{Kind: domain.Pair, ID: "d" + string(a) + string(b)}
}

func registered(id domain.UserID, name string) *domain.AccountRegistered {
	return &domain.AccountRegistered{Username: string(id[1:]), DisplayName: name}
}

func at(second int) time.Time {
	return time.Date(2026, 1, 2, 3, 4, 5+second, 678_000_000, time.UTC)
}

// find returns the ids of the users whom a search finds.
func find(t *testing.T, q *contacts.Queries, prefix string, limit int) string {
	t.Helper()
	found, err := q.Search(t.Context(), prefix, limit)
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]string, len(found))
	for i, u := range found {
		ids[i] = string(u.ID)
	}
	return strings.Join(ids, " ")
}

func TestDirectory(t *testing.T) {
	t.Parallel()
	projectionstest.Each(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		log := projectionstest.NewLog(0)
		add := func(id domain.UserID, fact domain.Fact) { log.Append(t, id.Aggregate(), id, fact) }
		add(alice, registered(alice, "Ännchen"))
		add(bob, registered(bob, "张伟"))
		add(carol, registered(carol, "Bob's 100% _friend\x00"))
		rowstest.Apply(t, open(db), log)
		q := contacts.NewQueries(db)
		for prefix, want := range map[string]string{
			"alice": "ualice", "ALI": "ualice", "äNN": "ualice", "a\u0308nn": "ualice", "ann": "", "lice": "",
			"张": "ubob", "伟": "", "b": "ubob ucarol", "bob": "ubob ucarol", "bob'": "ucarol", "ＢＯＢ": "ubob ucarol",
			"": "", "  ": "", "%": "", "_": "", "bob's 100%": "ucarol", "bob's 1__": "",
		} {
			if got := find(t, q, prefix, 10); got != want {
				t.Errorf("%q finds %q, want %q", prefix, got, want)
			}
		}
		if got := find(t, q, "b", 1); got != "ubob" {
			t.Errorf("the first that begins with b is %q", got)
		}

		add(alice, &domain.AccountUpdated{DisplayName: new("Zoë"), AvatarURL: new("https://example.org/z.png")})
		add(bob, &domain.AccountSuspended{Reason: "spam"})
		add(carol, &domain.AccountErased{})
		rowstest.Apply(t, open(db), log)
		for prefix, want := range map[string]string{"ä": "", "zo": "ualice", "al": "ualice", "b": "", "car": ""} {
			if got := find(t, q, prefix, 10); got != want {
				t.Errorf("afterwards %q finds %q, want %q", prefix, got, want)
			}
		}
		users, err := q.Users(t.Context(), []domain.UserID{carol, "unobody", alice, bob})
		want := []contacts.User{
			{ID: carol, CreatedAt: at(3), Erased: true},
			{ID: alice, Username: "alice", DisplayName: "Zoë", AvatarURL: "https://example.org/z.png", CreatedAt: at(1)},
			{ID: bob, Username: "bob", DisplayName: "张伟", CreatedAt: at(2), Suspended: true},
		}
		if err != nil || fmt.Sprint(users) != fmt.Sprint(want) {
			t.Errorf("users are %v, %v", users, err)
		}
		add(bob, &domain.AccountRestored{})
		rowstest.Apply(t, open(db), log)
		if got := find(t, q, "b", 10); got != "ubob" {
			t.Errorf("after bob is back, b finds %q", got)
		}
		if _, err := q.Search(t.Context(), "a", 0); domain.CodeOf(err) != domain.InvalidArgument {
			t.Errorf("no limit: %v", err)
		}
	})
}

func TestBook(t *testing.T) {
	t.Parallel()
	projectionstest.Each(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		log := projectionstest.NewLog(0)
		add := func(a, b domain.UserID, fact domain.Fact) { log.Append(t, pairOf(a, b), a, fact) }
		log.Append(t, carol.Aggregate(), carol, registered(carol, "Carol"))             // 1
		add(alice, bob, &domain.ContactRequested{User: bob, Message: "hi, it's alice"}) // 2
		add(carol, alice, &domain.ContactRequested{User: alice})                        // 3
		add(alice, "udave", &domain.UserBlocked{User: "udave"})                         // 4
		book := func(user domain.UserID) string {
			t.Helper()
			rowstest.Apply(t, open(db), log)
			b, err := contacts.NewQueries(db).Book(t.Context(), user)
			if err != nil {
				t.Fatal(err)
			}
			var s strings.Builder
			for _, c := range b.Contacts {
				fmt.Fprintf(&s, "contact %s %d %q, ", c.User, c.Since.Sub(at(0))/time.Second, c.Remark)
			}
			for _, r := range b.Incoming {
				fmt.Fprintf(&s, "incoming %s %d %q, ", r.User, r.At.Sub(at(0))/time.Second, r.Message)
			}
			for _, r := range b.Outgoing {
				fmt.Fprintf(&s, "outgoing %s %d %q, ", r.User, r.At.Sub(at(0))/time.Second, r.Message)
			}
			for _, r := range b.Blocks {
				fmt.Fprintf(&s, "blocked %s %d, ", r.User, r.Since.Sub(at(0))/time.Second)
			}
			return s.String()
		}
		check := func(user domain.UserID, want string) {
			t.Helper()
			if got := book(user); got != want {
				t.Errorf("after %d events %s has %s\nwant %s", len(log.Records), user, got, want)
			}
		}
		check(alice, `incoming ucarol 3 "", outgoing ubob 2 "hi, it's alice", blocked udave 4, `)
		check(bob, `incoming ualice 2 "hi, it's alice", `)
		check("udave", "")
		add(bob, alice, &domain.ContactAccepted{User: alice})                // 5
		add(bob, alice, &domain.ContactRemarked{User: alice, Remark: "她"})   // 6
		add(bob, carol, &domain.ContactRemarked{User: carol, Remark: "who"}) // 7
		check(alice, `contact ubob 5 "", incoming ucarol 3 "", blocked udave 4, `)
		check(bob, `contact ualice 5 "她", `)
		add(alice, carol, &domain.ContactDeclined{User: carol}) // 8
		add(alice, "udave", &domain.UserUnblocked{User: "udave"})
		check(alice, `contact ubob 5 "", `)
		check(carol, "")
		add(alice, bob, &domain.ContactRemoved{User: bob})
		check(alice, "")
		check(bob, "")
		add(alice, carol, &domain.ContactRequested{User: carol}) // 11
		add(carol, alice, &domain.ContactAccepted{User: alice})  // 12
		check(alice, `contact ucarol 12 "", `)
		add(alice, "udave", &domain.ContactRequested{User: "udave"})
		add(alice, "udave", &domain.ContactRemoved{User: "udave"}) // takes the request back
		check("udave", "")
		log.Append(t, carol.Aggregate(), carol, &domain.AccountErased{})
		check(alice, "")
	})
}

func TestAnyBatchingGivesTheSameRows(t *testing.T) {
	t.Parallel()
	rowstest.AnyBatching(t, open, draw, nil)
}

// draw draws the events of three users, sound ones and ones that name what is not there.
func draw(tb testing.TB, r *rapid.T, log *projectionstest.Log) {
	tb.Helper()
	users := rapid.SampledFrom([]domain.UserID{alice, bob, carol})
	for range rapid.IntRange(1, 60).Draw(r, "events") {
		user, other := users.Draw(r, "user"), users.Draw(r, "other")
		if rapid.Bool().Draw(r, "account") || user == other {
			log.Append(tb, user.Aggregate(), user, drawAccount(r, user))
			continue
		}
		log.Append(tb, pairOf(user, other), user, drawPair(r, other))
	}
}

func drawAccount(r *rapid.T, user domain.UserID) domain.Fact {
	name := rapid.SampledFrom([]string{"", "Ann", "ＡＮＮ", "é 👋 '\\\x00", strings.Repeat("ǆ", 300)}).Draw(r, "name")
	switch rapid.IntRange(0, 8).Draw(r, "fact") {
	case 0, 1, 2:
		return registered(user, name)
	case 3, 4:
		return &domain.AccountUpdated{DisplayName: &name}
	case 5:
		return &domain.AccountUpdated{AvatarURL: &name}
	case 6:
		return &domain.AccountSuspended{}
	case 7:
		return &domain.AccountRestored{}
	default:
		return &domain.AccountErased{}
	}
}

func drawPair(r *rapid.T, other domain.UserID) domain.Fact {
	text := rapid.SampledFrom([]string{"", "é 👋 '\\\x00"}).Draw(r, "text")
	switch rapid.IntRange(0, 8).Draw(r, "fact") {
	case 0, 1:
		return &domain.ContactRequested{User: other, Message: text}
	case 2, 3:
		return &domain.ContactAccepted{User: other}
	case 4:
		return &domain.ContactDeclined{User: other}
	case 5:
		return &domain.ContactRemoved{User: other}
	case 6:
		return &domain.ContactRemarked{User: other, Remark: text}
	case 7:
		return &domain.UserBlocked{User: other}
	default:
		return &domain.UserUnblocked{User: other}
	}
}
