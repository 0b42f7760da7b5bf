package history_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun"
	"pgregory.net/rapid"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/database"
	"mpim/projections/history"
	"mpim/projections/projectionstest"
)

// TestAnyBatchingGivesTheSameRows draws a log and applies it twice: event by event in one database, and in any batches, with
// any redelivery and take-over, in another. The first is the obvious fold, as a rebuild would do it; the second what
// happens live.
func TestAnyBatchingGivesTheSameRows(t *testing.T) {
	t.Parallel()
	for name, empty := range projectionstest.Databases {
		if name == "sqlite" {
			continue // the one in memory runs the same statements
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reference, db := projectionstest.Databases["sqlite memory"](t), empty(t)
			rapid.Check(t, func(r *rapid.T) {
				clean(t, reference)
				clean(t, db)
				log := drawLog(t, r)
				p := take(t, reference, 0, 1)
				for n := int64(1); n <= int64(len(log.Records)); n++ {
					if err := p.Apply(t.Context(), projections.Step{Batch: *log.Batch(1, n, n)}); err != nil {
						r.Fatal(err)
					}
				}
				applyLive(t, r, db, log)
				want, got := dump(t.Context(), t, reference), dump(t.Context(), t, db)
				if got != want {
					r.Fatalf("rows differ after\n%s\n%s", describe(log), firstDifference(want, got))
				}
				checkViews(t, r, reference, log) // whose rows are the same
				checkGone(t, r, db)
			})
		})
	}
}

// clean empties the tables of the first build and forgets how far it came.
func clean(t *testing.T, db *database.DB) {
	t.Helper()
	if err := history.New(db).Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := db.Write(t.Context(), func(ctx context.Context, tx bun.Tx) error {
		for _, table := range append([]string{"checkpoints"}, tables...) {
			if _, err := tx.ExecContext(ctx, "DELETE FROM "+table); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// applyLive applies the log as a flawed world would: in batches of any size, some of them delivered again, some by a worker
// that was deposed meanwhile.
func applyLive(t *testing.T, r *rapid.T, db *database.DB, log *projectionstest.Log) {
	t.Helper()
	token := int64(1)
	p := take(t, db, 0, token)
	end := int64(len(log.Records))
	for from := int64(1); from <= end; {
		to := rapid.Int64Range(from, end).Draw(r, "to")
		step := projections.Step{Batch: *log.Batch(token, from, to), At: log.Records[to-1].At}
		if err := p.Apply(t.Context(), step); err != nil {
			r.Fatal(err)
		}
		switch rapid.IntRange(0, 3).Draw(r, "what happens") {
		case 0: // the answer was lost
			if err := p.Apply(t.Context(), step); err != nil {
				r.Fatalf("a redelivered step: %v", err)
			}
		case 1: // another worker takes over
			token++
			old := p
			p = take(t, db, 0, token)
			if err := old.Apply(t.Context(), step); err == nil {
				r.Fatal("a deposed worker applied a step")
			}
			if to < end {
				next := projections.Step{Batch: *log.Batch(token-1, to+1, end)}
				if err := old.Apply(t.Context(), next); err == nil {
					r.Fatal("a deposed worker went on")
				}
			}
		}
		from = to + 1
	}
}

// drawLog draws the events of a few conversations, sound ones and ones that name what is not there.
func drawLog(t *testing.T, r *rapid.T) *projectionstest.Log {
	t.Helper()
	log := projectionstest.NewLog(0)
	messages := make(map[domain.Aggregate][]domain.Seq)
	for range rapid.IntRange(1, 60).Draw(r, "events") {
		c := rapid.SampledFrom([]domain.ConversationID{group, pair}).Draw(r, "conversation").Aggregate()
		users := rapid.SampledFrom([]domain.UserID{alice, bob, carol})
		user, other := users.Draw(r, "actor"), users.Draw(r, "user")
		if log.Seq(c) == 0 && rapid.Bool().Draw(r, "created") {
			log.Append(t, c, user, created(alice, bob))
			continue
		}
		// Mostly a message that is there, now and then what is none.
		message := rapid.SampledFrom(append(messages[c], log.Seq(c)+1)).Draw(r, "message")
		fact := drawFact(r, other, message)
		record := log.Append(t, c, user, fact)
		if record.Type == domain.TypeMessageSent {
			messages[c] = append(messages[c], record.ConversationSeq)
		}
	}
	return log
}

func drawFact(r *rapid.T, user domain.UserID, message domain.Seq) domain.Fact {
	word := rapid.SampledFrom([]string{"", "é 👋 '\\\x00", "plain", "other"}).Draw(r, "word")
	switch rapid.IntRange(0, 26).Draw(r, "fact") {
	case 0:
		return &domain.ConversationUpdated{Title: new("title")}
	case 1:
		return &domain.ConversationUpdated{Announcement: new("it's"), Muted: new(word == ""), History: new("all")}
	case 2:
		return &domain.ConversationDissolved{}
	case 3:
		return &domain.MemberAdded{User: user}
	case 4:
		return &domain.MemberJoined{User: user}
	case 5:
		return &domain.MemberLeft{User: user}
	case 6:
		return &domain.MemberRemoved{User: user}
	case 7:
		return &domain.MemberRoleChanged{User: user, Role: domain.Admin}
	case 8:
		return &domain.MemberMuted{User: user, Until: rapid.SampledFrom([]*domain.Instant{nil, new(domain.NewInstant(at(100)))}).Draw(r, "until")}
	case 9, 10, 11, 12:
		return edited(message, word)
	case 13, 14:
		return &domain.MessageRecalled{Message: message}
	case 15:
		return &domain.MessageExpired{Message: message}
	case 16, 17, 18, 19:
		return &domain.MessageReacted{Message: message, Emoji: "👍", Removed: rapid.Bool().Draw(r, "removed")}
	case 20:
		return &domain.ReceiptMoved{ReadSeq: message}
	default:
		m := sent(word)
		m.ReplyTo = rapid.SampledFrom([]domain.Seq{0, message}).Draw(r, "reply to")
		m.Mentions = rapid.SampledFrom([][]string{nil, {"all"}}).Draw(r, "mentions")
		m.ExpiresAt = rapid.SampledFrom([]*domain.Instant{
			nil, nil, new(domain.NewInstant(at(1000))), new(domain.NewInstant(time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC))),
		}).Draw(r, "expires")
		return m
	}
}

func describe(log *projectionstest.Log) string {
	var b strings.Builder
	for _, r := range log.Records {
		fmt.Fprintf(&b, "%d %s %d %s %s %s\n", r.Seq, r.Conversation(), r.ConversationSeq, r.Type, r.Actor, r.Data)
	}
	return b.String()
}

// firstDifference shows the first line in which two dumps differ.
func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		a, b := "(nothing)", "(nothing)"
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			return fmt.Sprintf("want %s\ngot  %s", a, b)
		}
	}
	return "no difference"
}
