package conversation_test

import (
	"testing"
	"time"

	"mpim/domain"
	"mpim/domain/conversation"
	"mpim/domain/domaintest"
)

var (
	placement = domain.Placement{Partitions: 4}
	ann       = placement.User("ann")
	bob       = placement.User("bob")
	eve       = placement.User("eve")
	start     = time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	limits    = conversation.DefaultLimits()
)

type log = domaintest.Log[conversation.State, conversation.Command]

func newLog() *log {
	return domaintest.New(domaintest.Rules[conversation.State, conversation.Command]{
		Needs: conversation.Needs, Load: conversation.Load, Decide: conversation.Decide,
		Evolve: conversation.Evolve, Touched: conversation.Touched, Store: conversation.Store,
	})
}

func by(user domain.UserID) domain.Stamp { return domain.NewStamp(user, start) }

// give gives a command that must be accepted.
func give(t *testing.T, l *log, c conversation.Command) []domain.Event {
	t.Helper()
	events, refused, err := l.Give(c)
	if err != nil {
		t.Fatal(err)
	}
	if refused != nil {
		t.Fatalf("%+v was refused: %v", c, refused)
	}
	return events
}

// refuse gives a command that must be refused for a reason of the given kind.
func refuse(t *testing.T, l *log, c conversation.Command, code domain.Code) {
	t.Helper()
	events, refused, err := l.Give(c)
	if err != nil {
		t.Fatal(err)
	}
	if refused == nil || domain.CodeOf(refused) != code {
		t.Errorf("%+v: got %v (%s), want %s", c, refused, domain.CodeOf(refused), code)
	}
	if len(events) != 0 {
		t.Errorf("%+v was refused but appended %v", c, events)
	}
}

func group(t *testing.T, members ...domain.UserID) *log {
	t.Helper()
	l := newLog()
	give(t, l, conversation.CreateGroup{Stamp: by(ann), Title: "Tea", Members: members, Limits: limits})
	return l
}

func text(s string) domain.Body { return domain.Body{Type: domain.TextBody, Text: s} }

func send(user domain.UserID) conversation.SendMessage {
	return conversation.SendMessage{Stamp: by(user), ClientID: "1", Body: text("hello"), Limits: limits}
}
