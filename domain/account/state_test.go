package account_test

import (
	"testing"

	"mpim/domain"
	"mpim/domain/account"
)

// stored is every field in every form it was ever written in. What is stored must read the same for ever: lines may be
// added here, but never changed.
var stored = []struct {
	field, value string
	want         account.State
}{
	{
		field: "h",
		value: `{"username":"ann","display_name":"Ann","password_hash":"argon","created_at":1767323045678}`,
		want: account.State{Profile: account.Profile{
			Username: "ann", DisplayName: "Ann", PasswordHash: "argon", CreatedAt: start,
		}},
	},
	{
		field: "h",
		value: `{"username":"ann","display_name":"Ann","avatar_url":"https://a.example/1","password_hash":"argon","created_at":1767323045678,"suspended":true}`,
		want: account.State{Profile: account.Profile{
			Username: "ann", DisplayName: "Ann", AvatarURL: "https://a.example/1", PasswordHash: "argon", CreatedAt: start,
			Suspended: true,
		}},
	},
	{
		field: "h",
		value: `{"username":"ann","display_name":"Ann","password_hash":"argon","created_at":1767323045678,"contacts_only":true,"administrator":true}`,
		want: account.State{Profile: account.Profile{
			Username: "ann", DisplayName: "Ann", PasswordHash: "argon", CreatedAt: start, ContactsOnly: true, Administrator: true,
		}},
	},
	{
		field: "s:s1",
		value: `{"refresh_hash":"aa","created_at":1767323045678,"last_used_at":1767323045678}`,
		want: account.State{Sessions: map[domain.SessionID]account.Session{
			"s1": {RefreshHash: "aa", CreatedAt: start, LastUsedAt: start},
		}},
	},
	{
		field: "s:s1",
		value: `{"device_id":"d","device_name":"My phone","refresh_hash":"aa","created_at":1767323045678,"last_used_at":1767323105678}`,
		want: account.State{Sessions: map[domain.SessionID]account.Session{
			"s1": {DeviceID: "d", DeviceName: "My phone", RefreshHash: "aa", CreatedAt: start, LastUsedAt: at(1).At},
		}},
	},
	{
		field: "k:c1",
		value: "s1 gw-1",
		want: account.State{Connections: map[domain.ConnectionID]account.Connection{
			"c1": {Session: "s1", Gateway: "gw-1"},
		}},
	},
	{
		field: "t:g1",
		value: "pm",
		want: account.State{Settings: map[domain.ConversationID]account.Settings{
			"g1": {Pinned: true, Muted: true},
		}},
	},
	{
		field: "t:g1",
		value: "m",
		want:  account.State{Settings: map[domain.ConversationID]account.Settings{"g1": {Muted: true}}},
	},
}

func TestStoredFormsNeverChange(t *testing.T) {
	for _, test := range stored {
		got, err := account.Load(domain.Fields{test.field: test.value})
		if err != nil {
			t.Errorf("%s: %v", test.value, err)
			continue
		}
		if value, _ := account.Store(got, test.field); value != test.value {
			t.Errorf("%q was read and stored again as %q", test.value, value)
		}
		if value, present := account.Store(test.want, test.field); !present || value != test.value {
			t.Errorf("%+v is stored as %q, want %q", test.want, value, test.value)
		}
	}
}

func TestLoad(t *testing.T) {
	s, err := account.Load(domain.Fields{"h": "", "v": "7", "something": "newer"})
	if err != nil || s.Exists() {
		t.Errorf("got %+v, %v", s, err)
	}
	for field, value := range map[string]string{"h": "{", "s:s1": "7", "k:c1": "s1"} {
		if _, err := account.Load(domain.Fields{field: value}); err == nil {
			t.Errorf("%s = %q was read", field, value)
		}
	}
	for _, field := range []string{"h", "s:s1", "k:c1", "v"} {
		if value, present := account.Store(account.State{}, field); present {
			t.Errorf("%s of nothing is %q", field, value)
		}
	}
}

// Events that no command of this version makes are heeded all the same: a newer version may have written them.
func TestEvolveHeedsEventsOfLaterVersions(t *testing.T) {
	l := registered(t)
	name, avatar := "Anna", "https://a.example/2"
	for _, fact := range []domain.Fact{
		&domain.AccountUpdated{DisplayName: &name, AvatarURL: &avatar},
		&domain.AccountPasswordChanged{PasswordHash: "other"},
		&domain.AccountSuspended{},
		&domain.AccountRestored{},
	} {
		e := domain.Event{At: start, Actor: ann, Data: fact}
		s := account.Evolve(l.State(), e)
		for _, field := range account.Touched(e) {
			l.Fields[field], _ = account.Store(s, field)
		}
		l.Events = append(l.Events, e)
		if err := l.Check(); err != nil {
			t.Errorf("%s: %v", fact.EventType(), err)
		}
	}
	want := account.Profile{Username: "ann", DisplayName: name, AvatarURL: avatar, PasswordHash: "other", CreatedAt: start}
	if got := l.State().Profile; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
