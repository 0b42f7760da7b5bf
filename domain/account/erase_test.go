package account_test

import (
	"testing"
	"time"

	"mpim/domain"
	"mpim/domain/account"
)

func TestErase(t *testing.T) {
	l := registered(t)
	give(t, l, login(1, 1))
	give(t, l, login(2, 2))
	erase := account.Erase{Stamp: domain.NewStamp("", start.Add(time.Hour))}
	events := give(t, l, erase)
	if len(events) != 3 {
		t.Fatalf("got %d events, want two sessions to end and the account", len(events))
	}
	for _, e := range events[:2] {
		if revoked, ok := e.Data.(*domain.SessionRevoked); !ok || revoked.Reason != account.Erased {
			t.Errorf("got %+v", e.Data)
		}
	}
	want := account.Profile{CreatedAt: start, Erased: true}
	if got := l.State(); got.Profile != want || len(got.Sessions) != 0 || got.Exists() {
		t.Errorf("left is %+v", got)
	}
	if value, _ := account.Store(l.State(), domain.HeaderField); value != `{"username":"","display_name":"","password_hash":"","created_at":1767323045678,"erased":true}` {
		t.Errorf("stored is %s", value)
	}
	// It is done once, the name stays taken, and nobody gets in.
	if events = give(t, l, erase); len(events) != 0 {
		t.Errorf("erased again: %+v", events)
	}
	refuse(t, l, account.Register{Stamp: at(90), Username: "ann", PasswordHash: "hash"}, domain.Conflict)
	refuse(t, l, login(3, 91), domain.Unauthenticated)
	refuse(t, newLog(), erase, domain.NotFound)
}
