package history_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mpim/domain"
	"mpim/projections/database"
	"mpim/projections/history"
	"mpim/projections/projectionstest"
)

// checkViews compares what viewers read with what the events say, for a member from the beginning and one that left at any point.
func checkViews(t *testing.T, r *rapid.T, db *database.DB, log *projectionstest.Log) {
	t.Helper()
	q := history.NewQueries(db)
	for _, id := range []domain.ConversationID{group, pair} {
		head := log.Seq(id.Aggregate())
		for _, end := range rapid.SliceOfN(rapid.Int64Range(0, int64(head)), 1, 8).Draw(r, "ends") {
			end := domain.Seq(end)
			view := history.View{User: alice, Windows: domain.Windows{{From: 1, To: end}}}
			messages, err := q.Page(t.Context(), id, view, history.Range{Limit: history.MaxLimit})
			if err != nil {
				r.Fatal(err)
			}
			var got strings.Builder
			for _, m := range messages {
				fmt.Fprintf(&got, "%d %q", m.Seq, text(t, m.Body))
				for _, reaction := range m.Reactions {
					fmt.Fprintf(&got, " %s %d %t", reaction.Emoji, reaction.Count, reaction.Mine)
				}
				got.WriteByte('\n')
			}
			if want := model(t, log, id, end); got.String() != want {
				r.Fatalf("up to %d it reads\n%s\nbut the events say\n%s\nafter\n%s", end, got.String(), want, describe(log))
			}
		}
	}
}

// modelMessage is a message as the events say.
type modelMessage struct {
	text    string
	gone    bool
	reacted map[domain.UserID]bool
}

// model reads a conversation off its events, the plain way: alice's view up to end, or of all of it where end is 0.
func model(t *testing.T, log *projectionstest.Log, id domain.ConversationID, end domain.Seq) string {
	t.Helper()
	messages := make(map[domain.Seq]*modelMessage)
	var order []domain.Seq
	for _, record := range log.Records {
		if record.Conversation() != id {
			continue
		}
		event, err := record.Event()
		if err != nil {
			t.Fatal(err)
		}
		late := end != 0 && event.Seq > end
		switch fact := event.Data.(type) {
		case *domain.MessageSent:
			gone := fact.ExpiresAt != nil && fact.ExpiresAt.Before(time.Now())
			if !late {
				messages[event.Seq] = &modelMessage{text: fact.Body.Text, gone: gone, reacted: make(map[domain.UserID]bool)}
				order = append(order, event.Seq)
			}
		case *domain.MessageEdited:
			if m := messages[fact.Message]; m != nil && !late {
				m.text = fact.Body.Text
			}
		case *domain.MessageReacted:
			if m := messages[fact.Message]; m != nil && !late {
				m.reacted[event.Actor] = !fact.Removed
			}
		case *domain.MessageRecalled:
			if m := messages[fact.Message]; m != nil {
				m.gone = true
			}
		case *domain.MessageExpired:
			if m := messages[fact.Message]; m != nil {
				m.gone = true
			}
		default:
		}
	}
	var b strings.Builder
	for _, seq := range order {
		m := messages[seq]
		if m.gone {
			fmt.Fprintf(&b, "%d \"-\"\n", seq)
			continue
		}
		fmt.Fprintf(&b, "%d %q", seq, m.text)
		count := 0
		for _, on := range m.reacted {
			if on {
				count++
			}
		}
		if count > 0 {
			fmt.Fprintf(&b, " 👍 %d %t", count, m.reacted[alice])
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// checkGone makes sure that no body of what was taken back is left in any row.
func checkGone(t *testing.T, r *rapid.T, db *database.DB) {
	t.Helper()
	left := projectionstest.Rows(t.Context(), t, db, "SELECT m.conversation, m.seq, m.body, r.body AS revision "+
		"FROM history_1_messages m LEFT JOIN history_1_revisions r ON r.conversation = m.conversation AND r.message = m.seq "+
		"WHERE (m.recalled_at IS NOT NULL OR m.expired_at IS NOT NULL) AND (m.body IS NOT NULL OR r.body IS NOT NULL)")
	if len(left) > 0 {
		r.Fatalf("bodies of messages that were taken back are left: %q", left)
	}
}
