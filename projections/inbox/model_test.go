package inbox_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/inbox"
	"mpim/projections/projectionstest"
	"mpim/streams/streamstest"
)

// member is what the model knows of one user.
type member struct {
	present            bool
	joined, left, read domain.Seq
}

// said is a message as the model remembers it.
type said struct {
	seq      domain.Seq
	by       domain.UserID
	mentions []string
}

// model is the obvious inbox of one group: it remembers every message and counts.
type model struct {
	log      *projectionstest.Log
	members  map[domain.UserID]*member
	messages []said
}

// ordinal returns how many messages stand at or below seq.
func (m *model) ordinal(seq domain.Seq) (n int64) {
	for _, message := range m.messages {
		if message.seq <= seq {
			n++
		}
	}
	return n
}

// step draws something that deciders would let happen.
func (m *model) step(tb testing.TB, r *rapid.T) {
	tb.Helper()
	user := rapid.SampledFrom([]domain.UserID{alice, bob, carol}).Draw(r, "user")
	who := m.members[user]
	happens := func(fact domain.Fact) domain.Seq {
		return m.log.Append(tb, group.Aggregate(), user, fact).ConversationSeq
	}
	if !who.present {
		who.joined, who.present = happens(&domain.MemberJoined{User: user}), true
		return
	}
	switch rapid.IntRange(0, 6).Draw(r, "what") {
	case 0:
		who.left, who.present = happens(&domain.MemberLeft{User: user}), false
	case 1, 2:
		seq := domain.Seq(rapid.Int64Range(1, int64(m.log.Seq(group.Aggregate()))).Draw(r, "read"))
		happens(&domain.ReceiptMoved{ReadSeq: seq, ReadOrdinal: m.ordinal(seq)})
		who.read = max(who.read, seq)
	case 3:
		happens(&domain.MessageRecalled{Message: 2})
	default:
		mentions := rapid.SliceOfNDistinct(
			rapid.SampledFrom([]string{string(alice), string(bob), domain.MentionAll}), 0, 2, rapid.ID).Draw(r, "mentions")
		who.read = happens(sent("x", mentions...))
		m.messages = slices.Concat(m.messages, []said{{who.read, user, mentions}})
	}
}

// counts returns what a user's entry should say.
func (m *model) counts(user domain.UserID) string {
	who := m.members[user]
	top := m.log.Seq(group.Aggregate())
	if who.left > who.joined {
		top = who.left
	}
	unread, mentions := 0, 0
	for _, message := range m.messages {
		if message.seq <= max(who.read, who.joined) || message.seq > top || message.by == user {
			continue
		}
		unread++
		if slices.Contains(message.mentions, string(user)) || slices.Contains(message.mentions, domain.MentionAll) {
			mentions++
		}
	}
	return fmt.Sprintf("head %d, read %d, unread %d, mentions %d", top, who.read, unread, mentions)
}

func TestCountsAreThoseOfTheModel(t *testing.T) {
	t.Parallel()
	client := streamstest.Miniredis(t)
	rapid.Check(t, func(r *rapid.T) {
		if err := client.FlushAll(t.Context()).Err(); err != nil {
			r.Fatal(err)
		}
		m := &model{log: projectionstest.NewLog(3), members: map[domain.UserID]*member{
			alice: {present: true}, bob: {present: true}, carol: {},
		}}
		m.log.Append(t, group.Aggregate(), alice, created(alice, bob))
		for range rapid.IntRange(1, 60).Draw(r, "steps") {
			m.step(t, r)
		}
		p := inbox.New(inbox.Config{Client: client, Partitions: 16})
		if _, err := p.Take(t.Context(), 3, 1); err != nil {
			r.Fatal(err)
		}
		if err := p.Apply(t.Context(), projections.Step{Batch: *m.log.Batch(1, 1, int64(len(m.log.Records)))}); err != nil {
			r.Fatal(err)
		}
		for _, user := range []domain.UserID{alice, bob, carol} {
			entries, err := inbox.NewQueries(client).Entries(t.Context(), user, "", []domain.ConversationID{group})
			if err != nil {
				r.Fatal(err)
			}
			e := entries[0]
			got := fmt.Sprintf("head %d, read %d, unread %d, mentions %d", e.HeadSeq, e.ReadSeq, e.Unread, e.Mentions)
			if want := m.counts(user); got != want {
				r.Fatalf("%s: got %s, want %s", user, got, want)
			}
		}
	})
}
