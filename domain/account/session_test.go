package account_test

import (
	"testing"

	"mpim/domain"
	"mpim/domain/account"
)

func TestLoginIsRefused(t *testing.T) {
	l := registered(t)
	unknown := login(1, 0)
	refuse(t, newLog(), unknown, domain.Unauthenticated)

	stale := login(1, 0)
	stale.Verified = "the hash before the last"
	refuse(t, l, stale, domain.Unauthenticated)

	nothing := login(1, 0)
	nothing.Verified = ""
	refuse(t, l, nothing, domain.Unauthenticated)

	keyless := newLog()
	give(t, keyless, account.Register{Stamp: at(0), Username: "ann"})
	refuse(t, keyless, nothing, domain.Unauthenticated)

	unnamed := login(1, 0)
	unnamed.DeviceName = "\xff"
	refuse(t, l, unnamed, domain.InvalidArgument)
}

func TestSuspendedAccountsRefuseSessions(t *testing.T) {
	l := registered(t)
	give(t, l, login(1, 0))
	give(t, l, account.Suspend{Stamp: at(0), Reason: "spam"})

	refuse(t, l, login(2, 1), domain.PermissionDenied)
	refuse(t, l, account.Connect{Stamp: at(1), Session: "s1", Connection: "c1", Gateway: "g"}, domain.PermissionDenied)
	refused := refuse(t, l, account.RefreshSession{Stamp: at(1), Session: "s1", Presented: "r1", Next: "r2"}, domain.PermissionDenied)
	if len(refused) != 0 {
		t.Errorf("the session was ended: %v", refused)
	}
}

func TestOneMoreSessionEndsTheOneUnusedLongest(t *testing.T) {
	l := registered(t)
	for i := range account.MaxSessions {
		give(t, l, login(i, i))
	}
	// The two oldest are in use: one has a socket, the other was refreshed.
	give(t, l, account.Connect{Stamp: at(60), Session: "s0", Connection: "c0", Gateway: "g"})
	give(t, l, account.RefreshSession{Stamp: at(61), Session: "s1", Presented: "r1", Next: "r1b"})

	events := give(t, l, login(100, 62))
	if len(events) != 2 {
		t.Fatalf("got %d events, want two", len(events))
	}
	if revoked, ok := events[0].Data.(*domain.SessionRevoked); !ok || revoked.Session != "s2" || revoked.Reason != account.Limit {
		t.Errorf("got %+v, want s2 revoked", events[0].Data)
	}
	if n := len(l.State().Sessions); n != account.MaxSessions {
		t.Errorf("%d sessions", n)
	}
	// Another login on a known device replaces its session and no other.
	again := login(101, 63)
	again.DeviceID = "d7"
	events = give(t, l, again)
	if revoked, ok := events[0].Data.(*domain.SessionRevoked); !ok || revoked.Session != "s7" || revoked.Reason != account.Replaced {
		t.Errorf("got %+v, want s7 replaced", events[0].Data)
	}
}

// Sessions without a device never replace each other.
func TestNamelessDevicesAreDifferent(t *testing.T) {
	l := registered(t)
	for i := range 3 {
		c := login(i, i)
		c.DeviceID = ""
		give(t, l, c)
	}
	if n := len(l.State().Sessions); n != 3 {
		t.Errorf("%d sessions, want 3", n)
	}
}
