package main_test

import (
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
