package main_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// userObject is a user as the protocol shows it.
type userObject struct {
	ID          string `json:"id"`
	Username    string `json:"username"`
	DisplayName string `json:"display_name"`
	AvatarURL   string `json:"avatar_url"`
	CreatedAt   string `json:"created_at"`
}

type users struct {
	Users []userObject `json:"users"`
}

// names are the user names, in order.
func (u users) names() string {
	var names []string
	for _, user := range u.Users {
		names = append(names, user.Username)
	}
	return strings.Join(names, " ")
}

type oneUser struct {
	User      userObject `json:"user"`
	Strangers string     `json:"strangers"`
}

type sessionList struct {
	Sessions []struct {
		Session  string `json:"session"`
		DeviceID string `json:"device_id"`
		Online   bool   `json:"online"`
		Current  bool   `json:"current"`
	} `json:"sessions"`
}

// TestPeople has users do what they do with their accounts and with each other, over both transports on real servers.
func TestPeople(t *testing.T) {
	d := deploy(t, layout{gateways: 2, workers: 1})
	t.Run("profile", func(t *testing.T) { overBoth(t, d, profiles) })
	t.Run("sessions", func(t *testing.T) { overBoth(t, d, sessions) })
	t.Run("password", func(t *testing.T) { overBoth(t, d, passwords) })
	t.Run("contacts", func(t *testing.T) { overBoth(t, d, contactBooks) })
	t.Run("blocks", func(t *testing.T) { overBoth(t, d, blocks) })
	t.Run("strangers", func(t *testing.T) { overBoth(t, d, strangers) })
	t.Run("administration", func(t *testing.T) { overBoth(t, d, administration(d)) })
	t.Run("notices", func(t *testing.T) { overBoth(t, d, noticeBoard(d)) })
}

func profiles(t *testing.T, meet func(string) *person) {
	t.Helper()
	ann, ben := meet("profile-ann"), meet("profile-ben")
	other, err := connect(t.Context(), ann.base, ann.Token, "", ann.pushes.add)
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	var mine, seen oneUser
	position := ann.do(t, "account.update", params{"display_name": "Ännchen " + ann.User.Username, "avatar_url": "https://a.example/1"}, &mine)
	if mine.User.DisplayName != "Ännchen "+ann.User.Username || mine.Strangers != "anyone" || mine.User.CreatedAt == "" {
		t.Errorf("the updated account is %+v", mine)
	}
	ann.told(t, "account.updated", ann.User.ID)
	for _, name := range []string{ann.User.ID, "@" + ann.User.Username, "@" + strings.ToUpper(ann.User.Username)} {
		if ben.do(t, "user.get", params{"user": name}, &seen); seen.User != mine.User {
			t.Errorf("%s is %+v, want %+v", name, seen.User, mine.User)
		}
	}
	ann.do(t, "account.get", nil, &seen)
	if seen.User != mine.User {
		t.Errorf("the account is %+v, want %+v", seen.User, mine.User)
	}
	var found users
	ben.do(t, "user.list", params{"id": []string{ben.User.ID, "nobody", ann.User.ID}}, &found)
	if got := found.names(); got != ben.User.Username+" "+ann.User.Username {
		t.Errorf("listed %q", got)
	}
	for _, prefix := range []string{"ÄNNCHEN " + ann.User.Username, ann.User.Username} {
		ben.do(t, "user.search", params{"q": prefix, "limit": 5, "after_position": position}, &found)
		if got := found.names(); got != ann.User.Username {
			t.Errorf("%q finds %q", prefix, got)
		}
	}
	ann.refused(t, "invalid_argument", "account.update", params{"strangers": "nobody"})
	ann.refused(t, "too_large", "account.update", params{"display_name": strings.Repeat("n", 65)})
	ann.refused(t, "not_found", "user.get", params{"user": "@nobody-at-all"})
}

func sessions(t *testing.T, meet func(string) *person) {
	t.Helper()
	ann := meet("session-ann")
	credentials := params{"username": ann.User.Username, "password": ann.User.Username + "-password", "device_id": "phone"}
	var phone, next login
	ann.do(t, "session.create", credentials, &phone)
	phonePushes := new(pushes)
	phoneSocket, err := connect(t.Context(), ann.base, phone.Token, "", phonePushes.add)
	if err != nil {
		t.Fatal(err)
	}
	var list sessionList
	ann.do(t, "session.list", nil, &list)
	for _, s := range list.Sessions {
		if s.Current != (s.Session == ann.Session) || !s.Online || (s.DeviceID == "phone") != (s.Session == phone.Session) {
			t.Errorf("session %+v", s)
		}
	}
	if len(list.Sessions) != 2 {
		t.Errorf("sessions %+v", list)
	}
	// The same device again: the old session ends, and with it its socket.
	ann.do(t, "session.create", credentials, &next)
	if code := phoneSocket.code(); code != 4101 {
		t.Errorf("the replaced device's socket closed with %d", code)
	}
	// A refresh token works once; the second use ends the session for both.
	var refreshed login
	ann.do(t, "session.refresh", params{"refresh_token": next.RefreshToken}, &refreshed)
	if refreshed.Session != next.Session || refreshed.RefreshToken == next.RefreshToken {
		t.Errorf("refreshed %+v", refreshed)
	}
	stolen, err := connect(t.Context(), ann.base, refreshed.Token, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	ann.refused(t, "unauthenticated", "session.refresh", params{"refresh_token": next.RefreshToken})
	if code := stolen.code(); code != 4101 {
		t.Errorf("the socket of a stolen session closed with %d", code)
	}
	ann.refused(t, "unauthenticated", "session.refresh", params{"refresh_token": refreshed.RefreshToken})
	ann.refused(t, "not_found", "session.revoke", params{"session": next.Session})
	if err := ann.try(t.Context(), "session.revoke", params{"session": "current"}, nil); err != nil {
		t.Errorf("revoke the current session: %v", err)
	}
	if code := ann.socket.code(); code != 4101 {
		t.Errorf("the revoked session's socket closed with %d", code)
	}
	if _, err := rest(t.Context(), "GET", ann.base+"/v1/me", ann.Token, nil, nil); codeOf(err) != "unauthenticated" {
		t.Errorf("a revoked session: %v", err)
	}
}

func passwords(t *testing.T, meet func(string) *person) {
	t.Helper()
	ann := meet("password-ann")
	old := ann.User.Username + "-password"
	other, err := register(t.Context(), ann.base, ann.User.Username)
	if err != nil {
		t.Fatal(err)
	}
	socket, err := connect(t.Context(), ann.base, other.Token, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	ann.refused(t, "permission_denied", "account.password", params{"old_password": "not this one", "new_password": "long enough"})
	ann.refused(t, "invalid_argument", "account.password", params{"old_password": old, "new_password": "short"})
	ann.do(t, "account.password", params{"old_password": old, "new_password": "another password"}, nil)
	if code := socket.code(); code != 4101 {
		t.Errorf("the other session's socket closed with %d", code)
	}
	ann.do(t, "account.get", nil, nil)
	ann.refused(t, "unauthenticated", "session.create", params{"username": ann.User.Username, "password": old})
	ann.do(t, "session.create", params{"username": ann.User.Username, "password": "another password"}, nil)
}

type contactBook struct {
	Contacts []struct {
		User, Since, Remark string
	} `json:"contacts"`
	Incoming, Outgoing []struct {
		User, Message, At string
	}
}

func contactBooks(t *testing.T, meet func(string) *person) {
	t.Helper()
	ann, ben := meet("contact-ann"), meet("contact-ben")
	annID, benID := ann.User.ID, ben.User.ID
	book := func(p *person, after string) (b contactBook) {
		t.Helper()
		p.do(t, "contact.list", params{"after_position": after}, &b)
		return b
	}
	position := ann.do(t, "contact.request", params{"user": benID, "message": "it is me"}, nil)
	ann.do(t, "contact.request", params{"user": benID}, nil)
	if data := string(ben.told(t, "contact.requested", annID)); !strings.Contains(data, "it is me") {
		t.Errorf("told of the request with %s", data)
	}
	if in := book(ben, position).Incoming; len(in) != 1 || in[0].User != annID || in[0].Message != "it is me" || in[0].At == "" {
		t.Errorf("incoming %+v", in)
	}
	if out := book(ann, position).Outgoing; len(out) != 1 || out[0].User != benID {
		t.Errorf("outgoing %+v", out)
	}
	ben.do(t, "contact.decline", params{"user": annID}, nil)
	ben.do(t, "contact.decline", params{"user": annID}, nil)
	ann.told(t, "contact.declined", benID)
	ann.do(t, "contact.request", params{"user": benID}, nil)
	ben.do(t, "contact.accept", params{"user": annID}, nil)
	ben.do(t, "contact.accept", params{"user": annID}, nil)
	ann.told(t, "contact.accepted", benID)
	position = ben.do(t, "contact.remark", params{"user": annID, "remark": "Ann from work"}, nil)
	ben.told(t, "contact.remarked", benID)
	if b := book(ben, position); len(b.Contacts) != 1 || b.Contacts[0].Remark != "Ann from work" || b.Contacts[0].Since == "" || len(b.Incoming) != 0 {
		t.Errorf("ben's book is %+v", b)
	}
	if b := book(ann, position); len(b.Contacts) != 1 || b.Contacts[0].Remark != "" || len(b.Outgoing) != 0 {
		t.Errorf("ann's book is %+v", b)
	}
	var synced struct {
		UserSeq         int64 `json:"user_seq"`
		ContactsChanged bool  `json:"contacts_changed"`
	}
	ann.do(t, "sync", params{"user_seq": 0}, &synced)
	if synced.UserSeq != 4 || !synced.ContactsChanged {
		t.Errorf("ann's sync says %+v", synced)
	}
	position = ann.do(t, "contact.remove", params{"user": benID}, nil)
	ann.do(t, "contact.remove", params{"user": benID}, nil)
	ben.told(t, "contact.removed", annID)
	if b := book(ben, position); len(b.Contacts) != 0 {
		t.Errorf("ben's book is %+v", b)
	}
	ben.refused(t, "not_found", "contact.remark", params{"user": annID, "remark": "gone"})
	ben.refused(t, "not_found", "contact.accept", params{"user": annID})
	ben.refused(t, "not_found", "contact.request", params{"user": "nobody"})
	ben.refused(t, "invalid_argument", "contact.request", params{"user": benID})
	// What ben noted about ann was for nobody else.
	if ann.heard("contact.remarked") {
		t.Error("ann was told of a remark")
	}
}

func blocks(t *testing.T, meet func(string) *person) {
	t.Helper()
	ann, ben := meet("block-ann"), meet("block-ben")
	annID, benID := ann.User.ID, ben.User.ID
	var first sent
	ann.do(t, "message.send", params{"to": params{"user": benID}, "client_id": "1", "body": text("hello")}, &first)
	position := ben.do(t, "user.block", params{"user": annID}, nil)
	ben.do(t, "user.block", params{"user": annID}, nil)
	ben.told(t, "user.blocked", benID)
	var list struct {
		Blocks []struct{ User, Since string } `json:"blocks"`
	}
	ben.do(t, "block.list", params{"after_position": position}, &list)
	if len(list.Blocks) != 1 || list.Blocks[0].User != annID || list.Blocks[0].Since == "" {
		t.Errorf("blocks %+v", list)
	}
	for n, to := range []params{{"user": benID}, {"conversation": first.Conversation}} {
		ann.refused(t, "permission_denied", "message.send", params{"to": to, "client_id": string(rune('a' + n)), "body": text("hello?")})
	}
	ann.refused(t, "permission_denied", "contact.request", params{"user": benID})
	ann.refused(t, "permission_denied", "message.edit", params{"conversation": first.Conversation, "seq": first.Seq, "body": text("more")})
	ann.do(t, "message.recall", params{"conversation": first.Conversation, "seq": first.Seq}, nil)
	ben.do(t, "user.unblock", params{"user": annID}, nil)
	ben.do(t, "user.unblock", params{"user": annID}, nil)
	ann.do(t, "message.send", params{"to": params{"user": benID}, "client_id": "2", "body": text("hello again")}, nil)
	ben.refused(t, "not_found", "user.block", params{"user": "nobody"})
	ben.refused(t, "invalid_argument", "user.block", params{"user": benID})
	if ann.heard("user.blocked") {
		t.Error("ann was told that ben blocks her")
	}
}

func strangers(t *testing.T, meet func(string) *person) {
	t.Helper()
	ann, ben := meet("stranger-ann"), meet("stranger-ben")
	ben.do(t, "account.update", params{"strangers": "contacts"}, nil)
	hello := params{"to": params{"user": ben.User.ID}, "client_id": "1", "body": text("hello")}
	ann.refused(t, "permission_denied", "message.send", hello)
	ann.do(t, "contact.request", params{"user": ben.User.ID}, nil)
	ben.do(t, "contact.accept", params{"user": ann.User.ID}, nil)
	ann.do(t, "message.send", hello, nil)
	ben.do(t, "contact.remove", params{"user": ann.User.ID}, nil)
	hello["client_id"] = "2"
	ann.refused(t, "permission_denied", "message.send", hello)
	ben.do(t, "account.update", params{"strangers": "anyone"}, nil)
	ann.do(t, "message.send", hello, nil)
}

// appoint makes an administrator of a person, from the command line.
func (d *deployment) appoint(t *testing.T, p *person) {
	t.Helper()
	if output, err := d.run(t.Context(), "user", "admin", p.User.Username); err != nil {
		t.Fatalf("user admin: %v: %s", err, output)
	}
}

func administration(d *deployment) func(*testing.T, func(string) *person) {
	return func(t *testing.T, meet func(string) *person) {
		t.Helper()
		root, ann := meet("admin-root"), meet("admin-ann")
		user := params{"user": ann.User.ID}
		root.refused(t, "permission_denied", "admin.user.get", user)
		d.appoint(t, root)
		root.do(t, "admin.user.suspend", params{"user": ann.User.ID, "reason": "spam"}, nil)
		root.do(t, "admin.user.suspend", user, nil)
		if code := ann.socket.code(); code != 4102 {
			t.Errorf("the socket of a suspended user closed with %d", code)
		}
		credentials := params{"username": ann.User.Username, "password": ann.User.Username + "-password"}
		root.refused(t, "permission_denied", "session.create", credentials)
		if _, err := rest(t.Context(), "GET", ann.base+"/v1/me", ann.Token, nil, nil); codeOf(err) != "permission_denied" {
			t.Errorf("a suspended user: %v", err)
		}
		var shown struct {
			User struct {
				Suspended bool `json:"suspended"`
			} `json:"user"`
		}
		if root.do(t, "admin.user.get", user, &shown); !shown.User.Suspended {
			t.Errorf("shown as %+v", shown)
		}
		root.do(t, "admin.user.restore", user, nil)
		ann.connect(t)
		var list sessionList
		if root.do(t, "admin.session.list", user, &list); len(list.Sessions) != 1 || list.Sessions[0].Current {
			t.Fatalf("sessions %+v", list)
		}
		root.do(t, "admin.session.revoke", params{"user": ann.User.ID, "session": list.Sessions[0].Session}, nil)
		if code := ann.socket.code(); code != 4101 {
			t.Errorf("the socket of a revoked session closed with %d", code)
		}
		root.do(t, "admin.user.password", params{"user": "@" + ann.User.Username, "password": "set by root"}, nil)
		root.refused(t, "unauthenticated", "session.create", credentials)
		credentials["password"] = "set by root"
		root.do(t, "session.create", credentials, nil)
		root.do(t, "admin.user.list", params{"limit": 1}, nil)
	}
}

func noticeBoard(d *deployment) func(*testing.T, func(string) *person) {
	return func(t *testing.T, meet func(string) *person) {
		t.Helper()
		root, ann, ben := meet("notice-root"), meet("notice-ann"), meet("notice-ben")
		d.appoint(t, root)
		ann.refused(t, "permission_denied", "notice.publish", params{"title": "a", "text": "b", "to": "all"})
		var first, again struct {
			Notice struct {
				Event, Title, Priority string
			} `json:"notice"`
		}
		all := params{"title": "To all of " + root.User.Username, "text": "hello", "to": "all", "client_id": "n1"}
		root.do(t, "notice.publish", all, &first)
		if root.do(t, "notice.publish", all, &again); again != first || first.Notice.Priority != "normal" {
			t.Errorf("published %+v, then %+v", first, again)
		}
		position := root.do(t, "notice.publish", params{"title": "Secret", "text": "for ann", "to": params{"users": []string{ann.User.ID}}, "priority": "high"}, nil)
		noticed := func(p *person, title string) {
			t.Helper()
			p.pushes.find(t, "notice", func(raw json.RawMessage) bool {
				return decoded[struct{ Title string }](t, raw).Title == title
			})
		}
		noticed(ann, first.Notice.Title)
		noticed(ben, first.Notice.Title)
		noticed(ann, "Secret")
		titles := func(p *person) string {
			t.Helper()
			var list struct {
				Notices []struct{ Title string } `json:"notices"`
			}
			p.do(t, "notice.list", params{"limit": 2, "after_position": position}, &list)
			var titles []string
			for _, n := range list.Notices {
				titles = append(titles, n.Title)
			}
			return strings.Join(titles, ", ")
		}
		if got := titles(ann); got != "Secret, "+first.Notice.Title {
			t.Errorf("ann finds %s", got)
		}
		if got := titles(ben); !strings.HasPrefix(got, first.Notice.Title) {
			t.Errorf("ben finds %s", got)
		}
	}
}
