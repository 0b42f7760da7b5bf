package history_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/database"
	"mpim/projections/history"
	"mpim/projections/projectionstest"
)

// Ids of one partition, in the form that domain gives them.
const (
	group = domain.ConversationID("g0123456789abcdefghjk00")
	pair  = domain.ConversationID("d0123456789abcdefghjk00")
	alice = domain.UserID("ualice")
	bob   = domain.UserID("ubob")
	carol = domain.UserID("ucarol")
)

func sent(text string) *domain.MessageSent {
	return &domain.MessageSent{ClientID: "c-" + text, Body: domain.Body{Type: domain.TextBody, Text: text}}
}

func edited(message domain.Seq, text string) *domain.MessageEdited {
	return &domain.MessageEdited{Message: message, Body: domain.Body{Type: domain.TextBody, Text: text}}
}

func created(members ...domain.UserID) *domain.ConversationCreated {
	c := &domain.ConversationCreated{Kind: domain.GroupConversation, Title: "weekend"}
	for i, m := range members {
		role := domain.Member
		if i == 0 {
			role = domain.Owner
		}
		c.Members = append(c.Members, domain.MemberRole{User: m, Role: role})
	}
	return c
}

// applyAll applies all records of the log in one batch under token 1.
func applyAll(t *testing.T, db *database.DB, log *projectionstest.Log) {
	t.Helper()
	p := take(t, db, log.Partition, 1)
	step := projections.Step{Batch: *log.Batch(1, 1, int64(len(log.Records)))}
	if err := p.Apply(t.Context(), step); err != nil {
		t.Fatal(err)
	}
}

// page returns the texts of a page as a viewer reads them.
func page(t *testing.T, db *database.DB, view history.View, r history.Range) string {
	t.Helper()
	messages, err := history.NewQueries(db).Page(t.Context(), group, view, r)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, m := range messages {
		fmt.Fprintf(&out, "%d:%s ", m.Seq, text(t, m.Body))
	}
	return out.String()
}

func text(t *testing.T, body json.RawMessage) string {
	t.Helper()
	if body == nil {
		return "-"
	}
	var b domain.Body
	if err := json.Unmarshal(body, &b); err != nil {
		t.Fatal(err)
	}
	return b.Text
}

func TestPagesShowWhatTheViewerMaySee(t *testing.T) {
	t.Parallel()
	for name, empty := range projectionstest.Databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testPages(t, empty(t))
		})
	}
}

func testPages(t *testing.T, db *database.DB) {
	t.Helper()
	log := projectionstest.NewLog(0)
	add := func(actor domain.UserID, fact domain.Fact) { log.Append(t, group.Aggregate(), actor, fact) }
	add(alice, created(alice, bob))                                           // 1
	add(alice, sent("one"))                                                   // 2
	add(bob, sent("two"))                                                     // 3
	add(bob, sent("three"))                                                   // 4
	add(alice, edited(2, "one, edited"))                                      // 5
	add(carol, &domain.MessageReacted{Message: 3, Emoji: "👍"})                // 6
	add(alice, &domain.MemberRemoved{User: bob})                              // 7
	add(alice, edited(2, "one, edited twice"))                                // 8
	add(alice, &domain.MessageReacted{Message: 3, Emoji: "👍"})                // 9
	add(carol, &domain.MessageReacted{Message: 3, Emoji: "👍", Removed: true}) // 10
	add(bob, &domain.MessageRecalled{Message: 4})                             // 11
	add(alice, sent("four"))                                                  // 12
	add(alice, &domain.MemberAdded{User: bob})                                // 13
	add(alice, sent("five"))                                                  // 14
	add(alice, edited(4, "never seen"))                                       // 15
	applyAll(t, db, log)

	all := history.View{User: alice, Windows: domain.Windows{{From: 1}}}
	closed := history.View{User: bob, Windows: domain.Windows{{From: 1, To: 7}}}
	both := history.View{User: bob, Windows: domain.Windows{{From: 1, To: 7}, {From: 13}}}
	for _, c := range []struct {
		name string
		view history.View
		r    history.Range
		want string
	}{
		{"newest", all, history.Range{Limit: 2}, "12:four 14:five "},
		{"everything", all, history.Range{Limit: 50}, "2:one, edited twice 3:two 4:- 12:four 14:five "},
		{"before", all, history.Range{Before: 12, Limit: 2}, "3:two 4:- "},
		{"before the first", all, history.Range{Before: 1, Limit: 2}, ""},
		{"after", all, history.Range{After: 2, Limit: 2}, "3:two 4:- "},
		{"after the last", all, history.Range{After: 14, Limit: 2}, ""},
		{"closed window", closed, history.Range{Limit: 50}, "2:one, edited 3:two 4:- "},
		{"two windows", both, history.Range{Limit: 50}, "2:one, edited 3:two 4:- 14:five "},
		{"across windows", both, history.Range{Before: 14, Limit: 1}, "4:- "},
		{"never a member", history.View{User: carol}, history.Range{Limit: 50}, ""},
	} {
		if got := page(t, db, c.view, c.r); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}

	q := history.NewQueries(db)
	m, edits, err := q.Message(t.Context(), group, 2, closed)
	if err != nil || len(edits) != 1 || text(t, edits[0].Body) != "one, edited" || !m.EditedAt.Equal(at(5)) {
		t.Errorf("message 2 in the closed window: %+v, %v, %v", m, edits, err)
	}
	m, edits, err = q.Message(t.Context(), group, 2, all)
	if err != nil || len(edits) != 2 || text(t, m.Body) != "one, edited twice" || !m.EditedAt.Equal(at(8)) ||
		m.ClientID != "c-one" || m.Sender != alice || !m.At.Equal(at(2)) || m.Kind != domain.TextBody {
		t.Errorf("message 2: %+v, %v, %v", m, edits, err)
	}
	m, _, err = q.Message(t.Context(), group, 3, closed)
	if want := (history.Reaction{Emoji: "👍", Count: 1}); err != nil || len(m.Reactions) != 1 || m.Reactions[0] != want {
		t.Errorf("reactions in the closed window: %+v, %v", m.Reactions, err)
	}
	m, _, err = q.Message(t.Context(), group, 3, all)
	if want := (history.Reaction{Emoji: "👍", Count: 1, Mine: true}); err != nil || len(m.Reactions) != 1 || m.Reactions[0] != want {
		t.Errorf("reactions now: %+v, %v", m.Reactions, err)
	}
	for end, want := range map[domain.Seq]int{5: 0, 6: 1, 8: 1, 9: 2, 10: 1} {
		until := history.View{User: bob, Windows: domain.Windows{{From: 1, To: end}}}
		m, _, err := q.Message(t.Context(), group, 3, until)
		count := 0
		for _, reaction := range m.Reactions {
			count += reaction.Count
		}
		if err != nil || count != want {
			t.Errorf("up to %d there are %d reactions, want %d, %v", end, count, want, err)
		}
	}
	m, edits, err = q.Message(t.Context(), group, 4, all)
	if err != nil || m.Body != nil || len(edits) != 0 || !m.RecalledAt.Equal(at(11)) {
		t.Errorf("recalled message: %+v, %v, %v", m, edits, err)
	}
	for _, seq := range []domain.Seq{1, 12, 99} {
		if _, _, err := q.Message(t.Context(), group, seq, closed); domain.CodeOf(err) != domain.NotFound {
			t.Errorf("message %d in the closed window: %v", seq, err)
		}
	}
	facts, err := q.Facts(t.Context(), group, 4)
	if err != nil || facts.Sender != bob || !facts.Recalled || facts.Expired || !facts.At.Equal(at(4)) {
		t.Errorf("facts of message 4: %+v, %v", facts, err)
	}
	if _, err := q.Facts(t.Context(), group, 1); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("facts of what is no message: %v", err)
	}
	if _, err := q.Page(t.Context(), group, all, history.Range{Before: 1, After: 1, Limit: 1}); domain.CodeOf(err) != domain.InvalidArgument {
		t.Errorf("both ends: %v", err)
	}
}

// Of a message that is gone, a closed window shows no edit that came after its end.
func TestAClosedWindowDoesNotSeeLaterEditsOfWhatIsGone(t *testing.T) {
	t.Parallel()
	for name, empty := range projectionstest.Databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, log := empty(t), projectionstest.NewLog(0)
			add := func(actor domain.UserID, fact domain.Fact) { log.Append(t, group.Aggregate(), actor, fact) }
			add(alice, created(alice, bob))              // 1
			add(alice, sent("one"))                      // 2
			add(alice, sent("two"))                      // 3
			add(alice, edited(3, "two, edited"))         // 4
			add(alice, &domain.MemberRemoved{User: bob}) // 5
			add(alice, edited(2, "one, late"))           // 6
			add(alice, edited(3, "two, late"))           // 7
			add(alice, &domain.MessageRecalled{Message: 2})
			add(alice, &domain.MessageRecalled{Message: 3})
			applyAll(t, db, log)
			for last, want := range map[domain.Seq][2]time.Time{5: {{}, at(4)}, 6: {at(6), at(4)}, 0: {at(6), at(7)}} {
				view := history.View{User: bob, Windows: domain.Windows{{From: 1, To: last}}}
				found, err := history.NewQueries(db).Page(t.Context(), group, view, history.Range{Limit: 9})
				if err != nil || len(found) != 2 {
					t.Fatalf("%d messages, %v", len(found), err)
				}
				for i, m := range found {
					if m.Body != nil || m.Kind != domain.TextBody || m.RecalledAt.IsZero() || !m.EditedAt.Equal(want[i]) {
						t.Errorf("up to %d, message %d is %+v", last, m.Seq, m)
					}
				}
			}
		})
	}
}
