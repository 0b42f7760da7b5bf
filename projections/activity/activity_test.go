package activity_test

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/activity"
	"mpim/projections/database"
	"mpim/projections/projectionstest"
	"mpim/projections/rows/rowstest"
)

func TestMain(m *testing.M) { os.Exit(projectionstest.Main(m)) }

const (
	group = domain.ConversationID("g0123456789abcdefghjk00")
	pair  = domain.ConversationID("d0123456789abcdefghjk00")
	alice = domain.UserID("ualice")
	bob   = domain.UserID("ubob")
)

func open(db *database.DB) projections.Projection { return activity.New(db) }

func created(kind string, members ...domain.UserID) *domain.ConversationCreated {
	c := &domain.ConversationCreated{Kind: kind}
	for _, m := range members {
		c.Members = append(c.Members, domain.MemberRole{User: m, Role: domain.Member})
	}
	return c
}

func sent() *domain.MessageSent {
	return &domain.MessageSent{ClientID: "c", Body: domain.Body{Type: domain.TextBody, Text: "hi"}}
}

func TestActivity(t *testing.T) {
	t.Parallel()
	projectionstest.Each(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		logs := []*projectionstest.Log{projectionstest.NewLog(0), projectionstest.NewLog(1)}
		add := func(log *projectionstest.Log, at string, c domain.ConversationID, actor domain.UserID, fact domain.Fact) {
			when, err := time.Parse(time.DateTime, at)
			if err != nil {
				t.Fatal(err)
			}
			log.Start(when.Add(-time.Second))
			log.Append(t, c.Aggregate(), actor, fact)
		}
		add(logs[0], "2026-03-01 22:00:00", group, alice, created(domain.GroupConversation, alice, bob))
		add(logs[0], "2026-03-01 23:59:58", group, alice, sent())
		add(logs[0], "2026-03-02 00:00:01", group, bob, sent())   // within 5 s
		add(logs[0], "2026-03-02 00:00:02", group, bob, sent())   // no answer
		add(logs[0], "2026-03-02 00:00:42", group, alice, sent()) // within 60 s
		add(logs[0], "2026-03-05 00:00:42", group, bob, sent())   // too late for an answer
		add(logs[0], "2026-03-05 00:00:43", group, alice, &domain.MemberAdded{User: "ucarol"})
		add(logs[0], "2026-03-05 00:00:43", group, alice, &domain.MessageReacted{Message: 2, Emoji: "x"})
		add(logs[1], "2026-03-02 00:30:00", pair, alice, created(domain.DirectConversation, alice, bob))
		add(logs[1], "2026-03-02 00:31:00", pair, alice, sent())
		add(logs[1], "2026-03-02 00:31:05", pair, bob, &domain.ReceiptMoved{ReadSeq: 2})
		for _, log := range logs {
			rowstest.Apply(t, open(db), log)
		}
		want := []string{
			`activity_1_conversations conversation="d0123456789abcdefghjk00" kind="direct" members=2 messages=1 last_sender="ualice" last_at=2026-03-02T00:31:00Z`,
			`activity_1_conversations conversation="g0123456789abcdefghjk00" kind="group" members=3 messages=5 last_sender="ubob" last_at=2026-03-05T00:00:42Z`,
			`activity_1_responses day="2026-03-02" kind="group" within_s=5 responses=1`,
			`activity_1_responses day="2026-03-02" kind="group" within_s=60 responses=1`,
			`activity_1_users day="2026-03-01" hour=23 user_id="ualice" messages=1 edits=0 reactions=0 receipts=0 logins=0`,
			`activity_1_users day="2026-03-02" hour=0 user_id="ualice" messages=2 edits=0 reactions=0 receipts=0 logins=0`,
			`activity_1_users day="2026-03-02" hour=0 user_id="ubob" messages=2 edits=0 reactions=0 receipts=1 logins=0`,
			`activity_1_users day="2026-03-05" hour=0 user_id="ualice" messages=0 edits=0 reactions=1 receipts=0 logins=0`,
			`activity_1_users day="2026-03-05" hour=0 user_id="ubob" messages=1 edits=0 reactions=0 receipts=0 logins=0`,
		}
		if got := rowstest.Dump(t, db, activity.Name); !slices.Equal(got, want) {
			t.Errorf("the rows are\n%q\nwant\n%q", got, want)
		}
	})
}

func TestAnyBatchingGivesTheSameRows(t *testing.T) {
	t.Parallel()
	rowstest.AnyBatching(t, open, draw, nil)
}

func draw(tb testing.TB, r *rapid.T, log *projectionstest.Log) {
	tb.Helper()
	users := rapid.SampledFrom([]domain.UserID{alice, bob, ""})
	for range rapid.IntRange(1, 50).Draw(r, "events") {
		c := rapid.SampledFrom([]domain.ConversationID{group, pair}).Draw(r, "conversation")
		log.Start(time.Date(2026, 1, 2, rapid.IntRange(0, 60).Draw(r, "hour"), 4, rapid.IntRange(0, 90).Draw(r, "second"), 0, time.UTC))
		user := users.Draw(r, "user")
		fact := rapid.SampledFrom([]domain.Fact{
			sent(), sent(), sent(), created(domain.GroupConversation, alice, bob), &domain.MemberAdded{User: user},
			&domain.MemberLeft{User: user}, &domain.ConversationDissolved{}, &domain.MessageReacted{Message: 1, Emoji: "x"},
			&domain.ReceiptMoved{ReadSeq: 1}, &domain.MessageEdited{Message: 1, Body: domain.Body{Type: domain.TextBody, Text: "x"}},
			&domain.SessionConnected{Session: "s", Connection: "c", Gateway: "g"},
		}).Draw(r, "fact")
		if fact.EventType() == domain.TypeSessionConnected {
			log.Append(tb, user.Aggregate(), user, fact)
			continue
		}
		log.Append(tb, c.Aggregate(), user, fact)
	}
}

// BenchmarkApply counts messages of 97 users in 50 groups.
func BenchmarkApply(b *testing.B) {
	n := 0
	rowstest.Bench(b, open, func(log *projectionstest.Log) {
		for range 500 {
			n++
			user := domain.UserID(fmt.Sprintf("u%020d00", n%97))
			c := domain.ConversationID(fmt.Sprintf("g%020d00", n%50)).Aggregate()
			if log.Seq(c) == 0 {
				log.Append(b, c, user, created(domain.GroupConversation, user))
			}
			log.Append(b, c, user, sent())
		}
	}, "conversations")
}
