package inbox_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/inbox"
	"mpim/projections/projectionstest"
	"mpim/streams/streamstest"
)

// world is a log that is folded into a live inbox as it grows.
type world struct {
	*testing.T
	log     *projectionstest.Log
	p       *inbox.Projection
	queries *inbox.Queries
}

func newWorld(t *testing.T, client *redis.Client) *world {
	t.Helper()
	w := &world{
		T: t, log: projectionstest.NewLog(3), p: inbox.New(inbox.Config{Client: client, Partitions: 16}),
		queries: inbox.NewQueries(client),
	}
	if _, err := w.p.Take(t.Context(), 3, 1); err != nil {
		t.Fatal(err)
	}
	return w
}

func onBoth(t *testing.T, test func(w *world)) {
	t.Helper()
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(newWorld(t, streamstest.StartRedis(t).Client()))
	})
	t.Run("miniredis", func(t *testing.T) {
		t.Parallel()
		test(newWorld(t, streamstest.Miniredis(t)))
	})
}

// happens appends an event, folds it, and returns its sequence.
func (w *world) happens(c domain.ConversationID, actor domain.UserID, fact domain.Fact) domain.Seq {
	w.Helper()
	r := w.log.Append(w.T, c.Aggregate(), actor, fact)
	step := projections.Step{Batch: *w.log.Batch(1, r.Seq, r.Seq), At: r.At}
	if err := w.p.Apply(w.Context(), step); err != nil {
		w.Fatal(err)
	}
	return r.ConversationSeq
}

func (w *world) entry(user domain.UserID, session domain.SessionID) inbox.Entry {
	w.Helper()
	entries, err := w.queries.Entries(w.Context(), user, session, []domain.ConversationID{pair, group})
	if err != nil {
		w.Fatal(err)
	}
	if entries[0].Conversation != pair || entries[0].Kind != "" && entries[0].Kind != domain.DirectConversation {
		w.Fatalf("got %+v", entries[0])
	}
	return entries[1]
}

// wants compares the counts of a user's entry, written as one line.
func (w *world) wants(user domain.UserID, want string) {
	w.Helper()
	e := w.entry(user, "s1")
	got := fmt.Sprintf("head %d of %d messages, delivered %d, read %d, acknowledged %d, unread %d, mentions %d",
		e.HeadSeq, e.Ordinal, e.DeliveredSeq, e.ReadSeq, e.AcknowledgedSeq, e.Unread, e.Mentions)
	if got != want {
		w.Errorf("%s: got  %s\nwant %s", user, got, want)
	}
}

const carol domain.UserID = "u0123456789abcdefghjc01"

func created(users ...domain.UserID) *domain.ConversationCreated {
	fact := &domain.ConversationCreated{Kind: domain.GroupConversation, Title: "Ünion", Join: "open"}
	for _, user := range users {
		fact.Members = append(fact.Members, domain.MemberRole{User: user, Role: domain.Member})
	}
	return fact
}

func TestCounts(t *testing.T) {
	t.Parallel()
	onBoth(t, func(w *world) {
		w.wants(alice, "head 0 of 0 messages, delivered 0, read 0, acknowledged 0, unread 0, mentions 0")
		w.happens(group, alice, created(alice, bob))
		w.happens(group, alice, sent("one"))
		w.happens(group, alice, sent("two", string(bob)))
		w.wants(alice, "head 3 of 2 messages, delivered 3, read 3, acknowledged 0, unread 0, mentions 0")
		w.wants(bob, "head 3 of 2 messages, delivered 0, read 0, acknowledged 0, unread 2, mentions 1")

		// Acknowledged by one session; reading is no acknowledgement.
		w.happens(group, bob, &domain.ReceiptMoved{Session: "s1", DeliveredSeq: 3, DeliveredOrdinal: 2})
		w.happens(group, bob, &domain.ReceiptMoved{ReadSeq: 2, ReadOrdinal: 1})
		w.wants(bob, "head 3 of 2 messages, delivered 3, read 2, acknowledged 3, unread 1, mentions 1")
		if e := w.entry(bob, "s2"); e.AcknowledgedSeq != 0 || e.Unread != 1 {
			w.Errorf("another session sees %+v", e)
		}

		// A new member counts from where it joined; who joined again, from there.
		w.happens(group, alice, &domain.MemberAdded{User: carol})
		w.wants(carol, "head 4 of 2 messages, delivered 0, read 0, acknowledged 0, unread 0, mentions 0")
		w.happens(group, bob, sent("three", domain.MentionAll, string(carol)))
		w.wants(carol, "head 5 of 3 messages, delivered 0, read 0, acknowledged 0, unread 1, mentions 1")
		w.happens(group, alice, &domain.MemberRemoved{User: carol})
		w.happens(group, bob, sent("four", string(carol)))
		w.wants(carol, "head 6 of 3 messages, delivered 0, read 0, acknowledged 0, unread 1, mentions 1")
		w.happens(group, carol, &domain.MemberJoined{User: carol})
		w.wants(carol, "head 8 of 4 messages, delivered 0, read 0, acknowledged 0, unread 0, mentions 0")

		// Sending reads everything before; a recall lowers nothing.
		five := w.happens(group, alice, sent("five"))
		w.happens(group, alice, &domain.MessageRecalled{Message: five})
		w.wants(carol, "head 10 of 5 messages, delivered 0, read 0, acknowledged 0, unread 1, mentions 0")
		w.happens(group, bob, sent("six"))
		w.wants(bob, "head 11 of 6 messages, delivered 11, read 11, acknowledged 3, unread 0, mentions 0")

		// Who is there at the end sees the end.
		w.happens(group, alice, &domain.ConversationDissolved{})
		w.wants(carol, "head 12 of 6 messages, delivered 0, read 0, acknowledged 0, unread 2, mentions 0")
	})
}

func TestCountsEndAtAThousand(t *testing.T) {
	t.Parallel()
	w := newWorld(t, streamstest.StartRedis(t).Client())
	w.happens(group, alice, created(alice, bob))
	from := int64(len(w.log.Records)) + 1
	for range 1500 {
		w.log.Append(t, group.Aggregate(), alice, sent("x", string(bob)))
	}
	if err := w.p.Apply(t.Context(), projections.Step{Batch: *w.log.Batch(1, from, from+1499)}); err != nil {
		t.Fatal(err)
	}
	w.wants(bob, "head 1501 of 1500 messages, delivered 0, read 0, acknowledged 0, unread 1000, mentions 1000")
	w.happens(group, bob, &domain.ReceiptMoved{ReadSeq: 502, ReadOrdinal: 501})
	w.wants(bob, "head 1501 of 1500 messages, delivered 502, read 502, acknowledged 0, unread 999, mentions 999")
}

func TestLastMessageAsItStands(t *testing.T) {
	t.Parallel()
	onBoth(t, func(w *world) {
		w.happens(group, alice, created(alice, bob))
		if e := w.entry(alice, ""); e.Last != nil || e.Title != "Ünion" || e.Join != "open" || !e.UpdatedAt.Equal(w.log.Records[0].At) {
			w.Fatalf("got %+v", e)
		}
		one := w.happens(group, alice, sent("one"))
		two := w.happens(group, bob, sent("two"))
		w.happens(group, alice, &domain.MessageEdited{Message: one, Body: domain.Body{Type: domain.TextBody, Text: "no"}})
		edit := w.happens(group, bob, &domain.MessageEdited{Message: two, Body: domain.Body{Type: domain.TextBody, Text: "2 <b>"}})
		title := "Other"
		w.happens(group, alice, &domain.ConversationUpdated{Title: &title})
		e := w.entry(alice, "")
		m, record := e.Last, w.log.Records[2]
		if m == nil || m.Seq != two || m.Event != record.ID || m.Sender != bob || !m.At.Equal(record.At) || m.ClientID != "c1" ||
			!m.EditedAt.Equal(w.log.Records[4].At) || m.ChangedSeq != edit || m.Gone() || !e.UpdatedAt.Equal(record.At) || e.Title != "Other" {
			w.Fatalf("got %+v, last %+v", e, m)
		}
		if want := `{"type":"text","text":"2 \u003cb\u003e"}`; string(m.Body) != want {
			w.Errorf("body is %s, want %s", m.Body, want)
		}
		for _, test := range []struct {
			windows domain.Windows
			sees    bool
		}{
			{domain.Windows{{From: 1}}, true},
			{domain.Windows{{From: two + 1}}, false},
			{domain.Windows{{From: 1, To: edit}}, true},
			{domain.Windows{{From: 1, To: edit - 1}}, false}, // it read otherwise then
			{nil, false},
		} {
			if got := e.Within(test.windows).Last != nil; got != test.sees {
				w.Errorf("within %s: seen %v", test.windows, got)
			}
		}
		w.happens(group, bob, &domain.MessageRecalled{Message: two})
		w.happens(group, bob, &domain.MessageEdited{Message: two, Body: domain.Body{Type: domain.TextBody, Text: "again"}})
		e = w.entry(alice, "")
		if m := e.Last; !m.Gone() || m.Body != nil || m.RecalledAt.IsZero() || m.ChangedSeq != 7 {
			w.Errorf("got %+v", m)
		}
		// What is gone is gone for everyone.
		if e.Within(domain.Windows{{From: 1, To: two}}).Last == nil {
			w.Error("a recalled message is hidden from who saw it")
		}
	})
}

func TestPair(t *testing.T) {
	t.Parallel()
	onBoth(t, func(w *world) {
		w.happens(pair, alice, &domain.ConversationCreated{Kind: domain.DirectConversation, Members: []domain.MemberRole{
			{User: alice, Role: domain.Member}, {User: bob, Role: domain.Member},
		}})
		w.happens(pair, alice, sent("hello"))
		entries, err := w.queries.Entries(w.Context(), bob, "", []domain.ConversationID{pair})
		if err != nil {
			w.Fatal(err)
		}
		if e := entries[0]; e.Kind != domain.DirectConversation || !slices.Equal(e.Peers, []domain.UserID{alice, bob}) || e.Unread != 1 {
			w.Errorf("got %+v", e)
		}
	})
}

func TestCursorsAndUnloggedReceipts(t *testing.T) {
	t.Parallel()
	onBoth(t, func(w *world) {
		w.happens(group, alice, created(alice, bob))
		w.happens(group, alice, sent("one"))
		w.happens(group, bob, &domain.ReceiptMoved{Session: "s1", DeliveredSeq: 1})
		for _, seq := range []domain.Seq{2, 1} { // the second is late
			if err := w.queries.Delivered(w.Context(), group, bob, "s1", seq); err != nil {
				w.Fatal(err)
			}
		}
		w.wants(bob, "head 2 of 1 messages, delivered 2, read 0, acknowledged 2, unread 1, mentions 0")
		got, err := w.queries.Cursors(w.Context(), group, []domain.UserID{bob, carol, alice})
		want := []inbox.Cursor{{bob, 2, 0}, {carol, 0, 0}, {alice, 2, 2}}
		if err != nil || !slices.Equal(got, want) {
			w.Errorf("got %v, %v, want %v", got, err, want)
		}
		if _, err := w.queries.Cursors(w.Context(), "nonsense", nil); domain.CodeOf(err) != domain.NotFound {
			w.Errorf("got %v", err)
		}
		if _, err := w.queries.Entries(w.Context(), bob, "", []domain.ConversationID{"x"}); domain.CodeOf(err) != domain.NotFound {
			w.Errorf("got %v", err)
		}
	})
}

func TestRedisAwayIsUnavailable(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	_, err := inbox.NewQueries(client).Entries(t.Context(), bob, "", []domain.ConversationID{group})
	if domain.CodeOf(err) != domain.Unavailable {
		t.Errorf("got %v", err)
	}
}

func TestReactionsOnTheLastMessage(t *testing.T) {
	t.Parallel()
	onBoth(t, func(w *world) {
		w.happens(group, alice, created(alice, bob))
		one := w.happens(group, alice, sent("one"))
		react := func(user domain.UserID, message domain.Seq, emoji string, removed bool) domain.Seq {
			return w.happens(group, user, &domain.MessageReacted{Message: message, Emoji: emoji, Removed: removed})
		}
		reacted := func(want ...inbox.Reaction) {
			w.Helper()
			if got := w.entry(alice, "").Last.Reactions; !slices.Equal(got, want) {
				w.Errorf("got %+v, want %+v", got, want)
			}
		}
		reacted()
		react(bob, one, "👍", false)
		last := react(alice, one, "👍", false)
		react(bob, one, "a b", false)
		reacted(inbox.Reaction{Emoji: "👍", Count: 2, Mine: true}, inbox.Reaction{Emoji: "a b", Count: 1})
		// Who went before the last one sees the message as it was; what that was history knows.
		if e := w.entry(alice, ""); e.Within(domain.Windows{{From: 1, To: last}}).Last != nil {
			w.Error("a reaction is shown to who had gone")
		}
		react(alice, one, "👍", true)
		react(bob, one, "👍", true)
		reacted(inbox.Reaction{Emoji: "a b", Count: 1})
		two := w.happens(group, bob, sent("two"))
		react(alice, one, "👍", false)
		reacted()
		react(alice, two, "👍", false)
		react(bob, one, "👎", false)
		reacted(inbox.Reaction{Emoji: "👍", Count: 1, Mine: true})
		w.happens(group, bob, &domain.MessageRecalled{Message: two})
		reacted()
	})
}

func TestSettings(t *testing.T) {
	t.Parallel()
	onBoth(t, func(w *world) {
		w.happens(group, alice, created(alice, bob))
		wants := func(user domain.UserID, pinned, muted bool) {
			w.Helper()
			if e := w.entry(user, ""); e.Pinned != pinned || e.Muted != muted {
				w.Errorf("pinned %t, muted %t; want %t, %t", e.Pinned, e.Muted, pinned, muted)
			}
		}
		set := func(pinned, muted *bool) {
			w.Helper()
			r := w.log.Append(w.T, alice.Aggregate(), alice, &domain.SettingsChanged{Conversation: group, Pinned: pinned, Muted: muted})
			if err := w.p.Apply(w.Context(), projections.Step{Batch: *w.log.Batch(1, r.Seq, r.Seq), At: r.At}); err != nil {
				w.Fatal(err)
			}
		}
		wants(alice, false, false)
		set(new(true), nil)
		wants(alice, true, false)
		set(nil, new(true))
		wants(alice, true, true)
		wants(bob, false, false)
		set(new(false), new(true))
		wants(alice, false, true)
	})
}

func TestAMessageIsGoneWhenItsTimeIsUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, streamstest.Miniredis(t))
	w.happens(group, alice, created(alice, bob))
	message := sent("soon gone")
	message.ExpiresAt = new(domain.NewInstant(time.Now().Add(-time.Second)))
	w.happens(group, alice, message)
	if last := w.entry(bob, "").Last; !last.Gone() || last.ExpiresAt.IsZero() {
		t.Errorf("got %+v", last)
	}
}
