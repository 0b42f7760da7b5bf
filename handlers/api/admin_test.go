package api_test

import (
	"fmt"
	"strings"
	"testing"

	"mpim/domain"
	"mpim/handlers/api"
	"mpim/handlers/api/apitest"
)

func TestAdministrationIsForAdministrators(t *testing.T) {
	b := apitest.New(t, nil)
	alice, root := b.User(t, "alice"), b.Administrator(t, "root")
	n := 0
	for _, operation := range b.Registry.Operations() {
		if operation.Admin != strings.HasPrefix(operation.Path, "/v1/admin/") {
			t.Errorf("%s at %s is for administrators: %v", operation.Method, operation.Path, operation.Admin)
		}
		if !operation.Admin {
			if _, err := b.Call(t, api.Caller{Operator: true}, operation.Method, P{}); !operation.Public && apitest.Code(err) != domain.Unauthenticated {
				t.Errorf("%s without a user: %v", operation.Method, err)
			}
			continue
		}
		n++
		for params := range bad[operation.Method][domain.NotFound] {
			_, err := b.Call(t, alice, operation.Method, bad[operation.Method][domain.NotFound][params])
			wantCode(t, err, domain.PermissionDenied)
		}
		_, err := b.Call(t, alice, operation.Method, P{"no_such_member": 1}) // nothing is said of what it takes
		wantCode(t, err, domain.PermissionDenied)
	}
	if n < 9 {
		t.Errorf("only %d operations are for administrators", n)
	}
	wantMembers(t, b.Must(t, root, "account.get", P{}), P{"administrator": true})
	b.Must(t, root, "admin.user.administrator", P{"user": "@alice", "administrator": true})
	b.Must(t, alice, "admin.user.administrator", P{"user": "@root", "administrator": false})
	_, err := b.Call(t, root, "admin.user.get", P{"user": "@alice"})
	wantCode(t, err, domain.PermissionDenied)
}

func TestAdministratorsManageUsers(t *testing.T) {
	b := apitest.New(t, nil)
	root := b.Administrator(t, "root")
	made := b.Must(t, root, "admin.user.create", P{"username": "Alice", "password": apitest.Password, "display_name": "A"})
	wantMembers(t, made["user"], P{"username": "alice", "display_name": "A", "suspended": false, "administrator": false, "strangers": "anyone"})
	alice := b.Login(t, "alice")
	wantMembers(t, b.Must(t, root, "admin.user.get", P{"user": alice.User})["user"], P{"id": string(alice.User)})
	for range 2 {
		suspended := b.Must(t, root, "admin.user.suspend", P{"user": alice.User, "reason": "spam"})
		wantMembers(t, suspended["user"], P{"suspended": true})
	}
	_, err := b.Call(t, stranger, "session.create", P{"username": "alice", "password": apitest.Password})
	wantCode(t, err, domain.PermissionDenied)
	listed := b.Must(t, root, "admin.user.list", P{"limit": 1})
	rest := b.Must(t, root, "admin.user.list", P{"after": listed["next"]})
	all := append(list(t, listed["users"]), list(t, rest["users"])...)
	if len(all) != 2 || rest["next"] != nil {
		t.Fatalf("listed %v, then %v", listed, rest)
	}
	for _, u := range all {
		if u["suspended"] != (u["username"] == "alice") {
			t.Errorf("listed %v", u)
		}
	}
	for range 2 {
		wantMembers(t, b.Must(t, root, "admin.user.restore", P{"user": "@alice"})["user"], P{"suspended": false})
	}
	again := b.Login(t, "alice")
	if sessions := list(t, b.Must(t, root, "admin.session.list", P{"user": alice.User})["sessions"]); len(sessions) != 2 || sessions[0]["current"] != false {
		t.Errorf("sessions %v", sessions)
	}
	b.Must(t, root, "admin.session.revoke", P{"user": alice.User, "session": again.Session})
	b.Must(t, root, "admin.user.password", P{"user": alice.User, "password": "another horse"})
	if sessions := list(t, b.Must(t, root, "admin.session.list", P{"user": alice.User})["sessions"]); len(sessions) != 0 {
		t.Errorf("sessions %v", sessions)
	}
	b.Must(t, stranger, "session.create", P{"username": "alice", "password": "another horse"})
	// What was done is in the log, and who did it.
	kinds := map[string]string{}
	partition, _ := alice.User.Partition()
	for _, r := range b.Log.Records(partition, 0) {
		if r.Aggregate.ID == string(alice.User) {
			kinds[string(r.Type)] = string(r.Actor)
		}
	}
	for _, kind := range []string{"account.registered", "account.suspended", "account.restored", "account.password_changed", "session.revoked"} {
		if kinds[kind] != string(root.User) {
			t.Errorf("%s is by %q, want the administrator: %s", kind, kinds[kind], fmt.Sprint(kinds))
		}
	}
}
