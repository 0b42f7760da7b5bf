package asof_test

import (
	"encoding/json"
	"testing"
	"time"

	"mpim/domain"
	"mpim/projections/asof"
	"mpim/schema"
)

var (
	start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	group = domain.ConversationID("g1")
)

// story applies facts one second apart, all by ann but those that name another actor.
func story(t *testing.T, facts ...any) *asof.Conversation {
	t.Helper()
	c := asof.NewConversation(group)
	actor, seq := domain.UserID("ann"), domain.Seq(0)
	for n, step := range facts {
		if user, ok := step.(domain.UserID); ok {
			actor = user
			continue
		}
		fact, _ := step.(domain.Fact)
		data, err := json.Marshal(fact)
		if err != nil {
			t.Fatal(err)
		}
		r := &schema.Record{
			ID: "e", Type: fact.EventType(), Version: 1, At: start.Add(time.Duration(n) * time.Second), Actor: actor,
			Aggregate: domain.Aggregate{Kind: domain.Group, ID: string(group)}, Data: data,
		}
		if fact.Sequenced() {
			seq++
			r.ConversationSeq = seq
		}
		if err := c.Apply(r); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func created() domain.Fact {
	return &domain.ConversationCreated{Kind: domain.GroupConversation, Title: "first", Members: []domain.MemberRole{
		{User: "ann", Role: domain.Owner}, {User: "ben", Role: domain.Member},
	}}
}

func said(text string) domain.Fact {
	return &domain.MessageSent{ClientID: "1", Body: domain.Body{Type: domain.TextBody, Text: text}}
}

func edited(text string) domain.Fact {
	return &domain.MessageEdited{Message: 2, Body: domain.Body{Type: domain.TextBody, Text: text}}
}

// What was to be gone by the instant is gone, although no timer has said so yet.
func TestExpiry(t *testing.T) {
	t.Parallel()
	until := domain.NewInstant(start.Add(time.Minute))
	c := story(t, created(), &domain.MessageSent{ClientID: "1", Body: domain.Body{Type: domain.TextBody, Text: "soon gone"}, ExpiresAt: &until})
	if m := c.Everything(start.Add(59 * time.Second)).Messages[0]; m.Body == nil {
		t.Error("gone before its time")
	}
	if m := c.Everything(start.Add(time.Minute)).Messages[0]; m.Body != nil || m.ExpiresAt == "" {
		t.Errorf("still there: %+v", m)
	}
}

// In a closed window a message reads as it stood when the window closed.
func TestClosedWindow(t *testing.T) {
	t.Parallel()
	title := "second"
	c := story(t, created(), said("one"), edited("two"), domain.UserID("ben"), &domain.MessageReacted{Message: 2, Emoji: "+"},
		domain.UserID("ann"), &domain.MemberRemoved{User: "ben"}, edited("three"), &domain.MessageReacted{Message: 2, Emoji: "+"},
		&domain.ConversationUpdated{Title: &title}, said("later"))
	all := c.Everything(start.Add(time.Hour))
	if len(all.Messages) != 2 || all.Messages[0].Body.Text != "three" || len(all.Messages[0].Reactions[0].Users) != 2 || all.Title != title {
		t.Errorf("everything is %+v", all)
	}
	if len(all.Members) != 1 || all.Members[0].User != "ann" {
		t.Errorf("members are %+v", all.Members)
	}
	ben, ok := c.For("ben", start.Add(time.Hour))
	if !ok || !ben.Left || ben.HeadSeq != 5 || ben.Title != "first" || len(ben.Members) != 0 {
		t.Fatalf("ben saw %+v", ben)
	}
	if len(ben.Messages) != 1 || ben.Messages[0].Body.Text != "two" || len(ben.Messages[0].Reactions[0].Users) != 1 {
		t.Errorf("ben read %+v", ben.Messages)
	}
	if _, ok := c.For("cat", start.Add(time.Hour)); ok {
		t.Error("cat never was a member")
	}
}

// A recall is final, and for everyone.
func TestRecall(t *testing.T) {
	t.Parallel()
	c := story(t, created(), said("one"), &domain.MemberRemoved{User: "ben"}, &domain.MessageRecalled{Message: 2}, edited("two"))
	ben, _ := c.For("ben", start.Add(time.Hour))
	if m := ben.Messages[0]; m.Body != nil || m.Recalled == "" || m.EditedAt != "" {
		t.Errorf("ben reads %+v", m)
	}
}

// Sending moves one's own read cursor, as reading does.
func TestReceipts(t *testing.T) {
	t.Parallel()
	c := story(t, created(), said("one"), domain.UserID("ben"), &domain.ReceiptMoved{DeliveredSeq: 2}, domain.UserID("ann"), said("two"))
	got := c.Everything(start.Add(time.Hour)).Receipts
	want := map[domain.UserID]asof.Receipt{
		"ann": {User: "ann", DeliveredSeq: 3, ReadSeq: 3}, "ben": {User: "ben", DeliveredSeq: 2},
	}
	if len(got) != len(want) || got[0] != want[got[0].User] || got[1] != want[got[1].User] {
		t.Errorf("receipts are %+v", got)
	}
}
