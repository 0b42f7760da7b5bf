package account_test

import (
	"strconv"
	"testing"
	"time"

	"mpim/domain"
	"mpim/domain/account"
	"mpim/domain/domaintest"
)

var (
	placement = domain.Placement{Partitions: 4}
	ann       = placement.User("ann")
	start     = time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
)

type log = domaintest.Log[account.State, account.Command]

func newLog() *log {
	return domaintest.New(domaintest.Rules[account.State, account.Command]{
		Needs: account.Needs, Load: account.Load, Decide: account.Decide,
		Evolve: account.Evolve, Touched: account.Touched, Store: account.Store,
	})
}

func at(minutes int) domain.Stamp {
	return domain.NewStamp(ann, start.Add(time.Duration(minutes)*time.Minute))
}

func give(t *testing.T, l *log, c account.Command) []domain.Event {
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

func refuse(t *testing.T, l *log, c account.Command, code domain.Code) []domain.Event {
	t.Helper()
	events, refused, err := l.Give(c)
	if err != nil {
		t.Fatal(err)
	}
	if refused == nil || domain.CodeOf(refused) != code {
		t.Errorf("%+v: got %v (%s), want %s", c, refused, domain.CodeOf(refused), code)
	}
	return events
}

func registered(t *testing.T) *log {
	t.Helper()
	l := newLog()
	give(t, l, account.Register{Stamp: at(0), Username: "ann", PasswordHash: "hash"})
	return l
}

func login(session int, minute int) account.CreateSession {
	name := strconv.Itoa(session)
	return account.CreateSession{
		Stamp: at(minute), Session: domain.SessionID("s" + name), DeviceID: "d" + name, RefreshHash: "r" + name, Verified: "hash",
	}
}
