package api_test

import (
	"testing"

	"mpim/domain"
	"mpim/handlers/api"
	"mpim/handlers/api/apitest"
)

func TestAccountUpdate(t *testing.T) {
	b := apitest.New(t, nil)
	alice := b.User(t, "alice")
	updated := b.Must(t, alice, "account.update", P{"display_name": " A. Liddell ", "avatar_url": "https://a.example/1"})
	want := P{"username": "alice", "display_name": "A. Liddell", "avatar_url": "https://a.example/1"}
	wantMembers(t, updated["user"], want)
	if updated["position"] == "" || updated["position"] == nil {
		t.Error("no position")
	}
	wantMembers(t, b.Must(t, alice, "account.update", P{})["user"], want)
	wantMembers(t, b.Must(t, b.User(t, "bob"), "user.get", P{"user": "@ALICE"})["user"], want)
	wantMembers(t, b.Must(t, alice, "account.update", P{"display_name": "", "avatar_url": ""})["user"], P{"display_name": "alice", "avatar_url": ""})
}

func TestUserList(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob := b.User(t, "alice"), b.User(t, "bob")
	users := list(t, b.Must(t, alice, "user.list", P{"id": []domain.UserID{bob.User, "nobody", alice.User, b.Placement.User("ghost"), bob.User}})["users"])
	if len(users) != 2 || users[0]["username"] != "bob" || users[1]["username"] != "alice" {
		t.Errorf("got %v", users)
	}
	if users := list(t, b.Must(t, alice, "user.list", P{"id": []string{}})["users"]); len(users) != 0 {
		t.Errorf("got %v", users)
	}
}

func TestPasswordChangeEndsOtherSessions(t *testing.T) {
	b := apitest.New(t, func(c *api.Config) { c.Rates = api.Rates{LoginPerMinute: 2} })
	first := b.User(t, "alice")
	login := b.Must(t, stranger, "session.create", P{"username": "alice", "password": apitest.Password})
	b.Must(t, first, "account.password", P{"old_password": apitest.Password, "new_password": "another horse"})
	sessions := list(t, b.Must(t, first, "session.list", P{})["sessions"])
	if len(sessions) != 1 || sessions[0]["session"] != string(first.Session) {
		t.Errorf("sessions %v, want that which changed the password", sessions)
	}
	_, err := b.Call(t, stranger, "session.refresh", P{"refresh_token": login["refresh_token"]})
	wantCode(t, err, domain.Unauthenticated)
	_, err = b.Call(t, stranger, "session.create", P{"username": "alice", "password": apitest.Password})
	wantCode(t, err, domain.Unauthenticated)
	b.Must(t, stranger, "session.create", P{"username": "alice", "password": "another horse"})
	for range 2 {
		_, err = b.Call(t, first, "account.password", P{"old_password": apitest.Password, "new_password": "a third horse"})
		wantCode(t, err, domain.PermissionDenied)
	}
	_, err = b.Call(t, first, "account.password", P{"old_password": "another horse", "new_password": "a third horse"})
	wantCode(t, err, domain.RateLimited)
}
