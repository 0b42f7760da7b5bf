package api_test

import (
	"fmt"
	"testing"
	"time"

	"mpim/domain"
	"mpim/handlers/api"
	"mpim/handlers/api/apitest"
)

var stranger = api.Caller{RemoteAddr: "192.0.2.7"}

func TestRegisterAndLogIn(t *testing.T) {
	b := apitest.New(t, nil)
	user := object(t, b.Must(t, stranger, "account.register", P{"username": "Alice", "password": apitest.Password, "display_name": "A. Liddell"})["user"])
	wantMembers(t, user, P{"username": "alice", "display_name": "A. Liddell", "avatar_url": "", "id": string(b.Placement.User("alice"))})
	if created, err := time.Parse("2006-01-02T15:04:05.000Z", fmt.Sprint(user["created_at"])); err != nil || created.IsZero() {
		t.Errorf("created_at %v: %v", user["created_at"], err)
	}
	_, err := b.Call(t, stranger, "account.register", P{"username": "aLICE", "password": apitest.Password})
	wantCode(t, err, domain.Conflict)

	login := b.Must(t, stranger, "session.create", P{"username": "ALICE", "password": apitest.Password, "device_id": "d", "device_name": "Phone"})
	principal, err := b.Gate.Admit(t.Context(), fmt.Sprint(login["token"]))
	if err != nil || string(principal.Session) != login["session"] {
		t.Fatalf("the token admits %+v, %v", principal, err)
	}
	alice := api.Caller{User: principal.User, Session: principal.Session}
	wantMembers(t, b.Must(t, alice, "account.get", "")["user"], P{"username": "alice"})
	wantMembers(t, b.Must(t, alice, "user.get", P{"user": "@Alice"})["user"], P{"id": user["id"]})
	wantMembers(t, b.Must(t, alice, "user.get", P{"user": user["id"]})["user"], P{"id": user["id"]})
	for _, ghost := range []string{"@ghost", "ghost", string(b.Placement.User("ghost")), ""} {
		_, err := b.Call(t, alice, "user.get", P{"user": ghost})
		wantCode(t, err, domain.NotFound)
	}
	for _, wrong := range []P{{"username": "alice", "password": "wrong password"}, {"username": "ghost", "password": apitest.Password}} {
		_, err := b.Call(t, stranger, "session.create", wrong)
		wantCode(t, err, domain.Unauthenticated)
	}
}

func TestSessions(t *testing.T) {
	b := apitest.New(t, nil)
	first := b.User(t, "alice")
	phone := P{"username": "alice", "password": apitest.Password, "device_id": "phone"}
	b.Must(t, stranger, "session.create", phone)
	login := b.Must(t, stranger, "session.create", phone)
	sessions := list(t, b.Must(t, first, "session.list", P{})["sessions"])
	if len(sessions) != 2 {
		t.Fatalf("sessions %v, want the first and the newer of the phone's", sessions)
	}
	for _, s := range sessions {
		if s["current"] != (s["session"] == string(first.Session)) || s["online"] != false || s["last_seen_at"] == nil {
			t.Errorf("session %v", s)
		}
	}
	b.Must(t, first, "session.revoke", P{"session": login["session"]})
	_, err := b.Gate.Admit(t.Context(), fmt.Sprint(login["token"]))
	wantCode(t, err, domain.Unauthenticated)
	for _, session := range []string{fmt.Sprint(login["session"]), "nothing", ""} {
		_, err = b.Call(t, first, "session.revoke", P{"session": session})
		wantCode(t, err, domain.NotFound)
	}
	b.Must(t, first, "session.revoke", P{"session": "current"})
	if sessions := list(t, b.Must(t, first, "session.list", P{})["sessions"]); len(sessions) != 0 {
		t.Errorf("sessions %v", sessions)
	}
}

func TestRefreshWorksOnce(t *testing.T) {
	b := apitest.New(t, nil)
	b.User(t, "alice")
	login := b.Must(t, stranger, "session.create", P{"username": "alice", "password": apitest.Password})
	next := b.Must(t, stranger, "session.refresh", P{"refresh_token": login["refresh_token"]})
	if next["session"] != login["session"] || next["refresh_token"] == login["refresh_token"] {
		t.Errorf("refreshed %v", next)
	}
	wantMembers(t, next["user"], P{"username": "alice"})
	if _, err := b.Gate.Admit(t.Context(), fmt.Sprint(next["token"])); err != nil {
		t.Error(err)
	}
	// The second use means that somebody has a copy: the session ends for both.
	_, err := b.Call(t, stranger, "session.refresh", P{"refresh_token": login["refresh_token"]})
	wantCode(t, err, domain.Unauthenticated)
	_, err = b.Gate.Admit(t.Context(), fmt.Sprint(next["token"]))
	wantCode(t, err, domain.Unauthenticated)
	_, err = b.Call(t, stranger, "session.refresh", P{"refresh_token": next["refresh_token"]})
	wantCode(t, err, domain.Unauthenticated)
	_, err = b.Call(t, stranger, "session.refresh", P{"refresh_token": login["token"]})
	wantCode(t, err, domain.Unauthenticated)
}

func TestRates(t *testing.T) {
	rated := func(t *testing.T, rates api.Rates) *apitest.Bench {
		t.Helper()
		return apitest.New(t, func(c *api.Config) { c.Rates = rates })
	}
	wantLimited := func(t *testing.T, err error) {
		t.Helper()
		wantCode(t, err, domain.RateLimited)
		if e, ok := err.(*domain.Error); !ok || e.RetryAfter <= 0 { //nolint:errorlint // the error is not wrapped
			t.Errorf("%v does not say when to come again", err)
		}
	}
	t.Run("registrations", func(t *testing.T) {
		b := rated(t, api.Rates{RegisterPerHour: 2})
		b.Must(t, stranger, "account.register", P{"username": "alice", "password": apitest.Password})
		_, err := b.Call(t, stranger, "account.register", P{"username": "alice", "password": apitest.Password})
		wantCode(t, err, domain.Conflict)
		b.Must(t, stranger, "account.register", P{"username": "bob", "password": apitest.Password})
		_, err = b.Call(t, stranger, "account.register", P{"username": "carol", "password": apitest.Password})
		wantLimited(t, err)
		b.Must(t, api.Caller{RemoteAddr: "192.0.2.8"}, "account.register", P{"username": "carol", "password": apitest.Password})
	})
	t.Run("failed logins", func(t *testing.T) {
		b := rated(t, api.Rates{LoginPerMinute: 2})
		for _, name := range []string{"one", "two", "three"} {
			b.User(t, name)
		}
		b.User(t, "alice")
		wrong := P{"username": "alice", "password": "wrong password"}
		for range 2 {
			_, err := b.Call(t, stranger, "session.create", wrong)
			wantCode(t, err, domain.Unauthenticated)
		}
		_, err := b.Call(t, stranger, "session.create", P{"username": "Alice", "password": apitest.Password})
		wantLimited(t, err)
		b.Login(t, "alice")
	})
	t.Run("messages", func(t *testing.T) {
		b := rated(t, api.Rates{SendPerSecond: 2, SendBurst: 3, ReceiptPerSecond: 1, ReceiptBurst: 1})
		alice, bob := b.User(t, "alice"), b.User(t, "bob")
		sent := send(t, b, alice, P{"user": bob.User}, "1", "2", "3")
		_, err := b.Call(t, alice, "message.send", P{"to": P{"user": bob.User}, "client_id": "4", "body": text("x")})
		wantLimited(t, err)
		send(t, b, bob, P{"user": alice.User}, "his own")
		b.Pass(500 * time.Millisecond)
		send(t, b, alice, P{"user": bob.User}, "4")
		b.Must(t, bob, "receipt.read", P{"conversation": sent["conversation"], "read_seq": 2})
		_, err = b.Call(t, bob, "receipt.read", P{"conversation": sent["conversation"], "read_seq": 3})
		wantLimited(t, err)
	})
}

func TestPresence(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob, carol, dave := b.User(t, "alice"), b.User(t, "bob"), b.User(t, "carol"), b.User(t, "dave")
	send(t, b, alice, P{"user": bob.User}, "hi")
	group := newGroup(t, b, alice, carol)
	everybody := []domain.UserID{alice.User, bob.User, carol.User, dave.User, "nobody", bob.User}
	visible := func() map[string]bool {
		t.Helper()
		users := map[string]bool{}
		for _, p := range list(t, b.Must(t, alice, "presence.get", P{"users": everybody})["presence"]) {
			users[fmt.Sprint(p["user"])] = true
		}
		return users
	}
	if got := visible(); len(got) != 3 || got[string(dave.User)] {
		t.Errorf("visible are %v, want oneself and those one shares a conversation with", got)
	}
	b.Must(t, carol, "group.leave", P{"conversation": group})
	if got := visible(); len(got) != 2 {
		t.Errorf("visible are %v after one has left", got)
	}
	b.Must(t, dave, "contact.request", P{"user": alice.User})
	b.Must(t, alice, "contact.accept", P{"user": dave.User})
	if got := visible(); !got[string(dave.User)] {
		t.Errorf("visible are %v, want contacts among them", got)
	}
	b.Must(t, bob, "presence.set", P{"status": "busy", "text": "meeting"})
	_, err := b.Call(t, bob, "presence.set", P{"status": "offline"})
	wantCode(t, err, domain.InvalidArgument)
	_, err = b.Call(t, bob, "presence.set", P{"status": "busy", "text": "away\u202e\n"})
	wantCode(t, err, domain.InvalidArgument)
	_, err = b.Call(t, bob, "presence.get", P{"users": make([]domain.UserID, api.MaxPresence+1)})
	wantCode(t, err, domain.TooLarge)
}

func TestTyping(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob, carol := b.User(t, "alice"), b.User(t, "bob"), b.User(t, "carol")
	group := newGroup(t, b, alice, bob)
	b.Must(t, bob, "typing.set", P{"conversation": group, "typing": true})
	if len(b.Typed) != 1 || b.Typed[0].User != bob.User || !b.Typed[0].Typing {
		t.Errorf("typed %v", b.Typed)
	}
	b.Must(t, bob, "group.leave", P{"conversation": group})
	_, err := b.Call(t, bob, "typing.set", P{"conversation": group, "typing": true})
	wantCode(t, err, domain.PermissionDenied)
	_, err = b.Call(t, carol, "typing.set", P{"conversation": group, "typing": true})
	wantCode(t, err, domain.NotFound)

	direct := send(t, b, alice, P{"user": bob.User}, "hi")["conversation"]
	b.Must(t, bob, "user.block", P{"user": alice.User})
	_, err = b.Call(t, alice, "typing.set", P{"conversation": direct, "typing": true})
	wantCode(t, err, domain.PermissionDenied)
	b.Must(t, bob, "typing.set", P{"conversation": direct, "typing": true})
}
