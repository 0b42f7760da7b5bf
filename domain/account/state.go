package account

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"mpim/domain"
)

// State is what an account's commands are decided on, as far as it was loaded.
type State struct {
	Profile
	// Sessions and Connections are those that are open.
	Sessions    map[domain.SessionID]Session
	Connections map[domain.ConnectionID]Connection
	// Settings are those that differ from everybody's.
	Settings map[domain.ConversationID]Settings
}

// Profile is what an account has once. A profile without a user name means that there is no such account.
type Profile struct {
	Username    string
	DisplayName string
	AvatarURL   string
	// PasswordHash is in the PHC string format.
	PasswordHash string
	CreatedAt    time.Time
	// Suspended keeps the user out.
	Suspended bool
	// ContactsOnly says that the user takes direct messages from contacts alone.
	ContactsOnly bool
	// Administrator says that the user may do what administrators do.
	Administrator bool
	// Erased says that there was an account, of which nothing is left but its id.
	Erased bool
}

// Exists says whether the account was registered, and not erased since.
func (p Profile) Exists() bool { return p.Username != "" }

// Session is a login.
type Session struct {
	DeviceID   string
	DeviceName string
	// RefreshHash is SHA-256 of the present refresh token's secret, in hexadecimal.
	RefreshHash string
	CreatedAt   time.Time
	// LastUsedAt is when the session was created or last refreshed.
	LastUsedAt time.Time
}

// Connection is an open socket.
type Connection struct {
	Session domain.SessionID
	Gateway string
}

const (
	sessionPrefix    = "s:"
	connectionPrefix = "k:"
)

func sessionField(id domain.SessionID) string       { return sessionPrefix + string(id) }
func connectionField(id domain.ConnectionID) string { return connectionPrefix + string(id) }

// profileForm and sessionForm are the stored forms, which can never change but by new members.
type (
	profileForm struct {
		Username      string `json:"username"`
		DisplayName   string `json:"display_name"`
		AvatarURL     string `json:"avatar_url,omitempty"`
		PasswordHash  string `json:"password_hash"`
		CreatedAt     int64  `json:"created_at"`
		Suspended     bool   `json:"suspended,omitempty"`
		ContactsOnly  bool   `json:"contacts_only,omitempty"`
		Administrator bool   `json:"administrator,omitempty"`
		Erased        bool   `json:"erased,omitempty"`
	}
	sessionForm struct {
		DeviceID    string `json:"device_id,omitempty"`
		DeviceName  string `json:"device_name,omitempty"`
		RefreshHash string `json:"refresh_hash"`
		CreatedAt   int64  `json:"created_at"`
		LastUsedAt  int64  `json:"last_used_at"`
	}
)

// Load reads a stored state. An error means that what is stored is damaged.
func Load(fields domain.Fields) (State, error) {
	var s State
	for field, value := range fields {
		if value == "" {
			continue
		}
		if err := s.load(field, value); err != nil {
			return State{}, fmt.Errorf("account field %q: %w", field, err)
		}
	}
	return s, nil
}

func (s *State) load(field, value string) error {
	if field == domain.HeaderField {
		var form profileForm
		if err := json.Unmarshal([]byte(value), &form); err != nil {
			return err
		}
		s.Profile = Profile{
			Username: form.Username, DisplayName: form.DisplayName, AvatarURL: form.AvatarURL,
			PasswordHash: form.PasswordHash, CreatedAt: time.UnixMilli(form.CreatedAt).UTC(), Suspended: form.Suspended,
			ContactsOnly: form.ContactsOnly, Administrator: form.Administrator, Erased: form.Erased,
		}
		return nil
	}
	if id, ok := strings.CutPrefix(field, sessionPrefix); ok {
		var form sessionForm
		if err := json.Unmarshal([]byte(value), &form); err != nil {
			return err
		}
		s.setSession(domain.SessionID(id), Session{
			DeviceID: form.DeviceID, DeviceName: form.DeviceName, RefreshHash: form.RefreshHash,
			CreatedAt: time.UnixMilli(form.CreatedAt).UTC(), LastUsedAt: time.UnixMilli(form.LastUsedAt).UTC(),
		})
		return nil
	}
	if id, ok := strings.CutPrefix(field, connectionPrefix); ok {
		session, gateway, found := strings.Cut(value, " ")
		if !found {
			return fmt.Errorf("%q is no connection", value)
		}
		s.setConnection(domain.ConnectionID(id), Connection{Session: domain.SessionID(session), Gateway: gateway})
	}
	if id, ok := strings.CutPrefix(field, settingsPrefix); ok {
		if s.Settings == nil {
			s.Settings = make(map[domain.ConversationID]Settings)
		}
		s.Settings[domain.ConversationID(id)] = parseSettings(value)
	}
	return nil
}

// Store returns the stored form of a field; present is false where the field is to be deleted.
func Store(s State, field string) (value string, present bool) {
	if field == domain.HeaderField {
		if !s.Exists() && !s.Erased {
			return "", false
		}
		return encode(profileForm{
			Username: s.Username, DisplayName: s.DisplayName, AvatarURL: s.AvatarURL,
			PasswordHash: s.PasswordHash, CreatedAt: s.CreatedAt.UnixMilli(), Suspended: s.Suspended,
			ContactsOnly: s.ContactsOnly, Administrator: s.Administrator, Erased: s.Erased,
		}), true
	}
	if id, ok := strings.CutPrefix(field, sessionPrefix); ok {
		session, found := s.Sessions[domain.SessionID(id)]
		if !found {
			return "", false
		}
		return encode(sessionForm{
			DeviceID: session.DeviceID, DeviceName: session.DeviceName, RefreshHash: session.RefreshHash,
			CreatedAt: session.CreatedAt.UnixMilli(), LastUsedAt: session.LastUsedAt.UnixMilli(),
		}), true
	}
	if id, ok := strings.CutPrefix(field, connectionPrefix); ok {
		connection, found := s.Connections[domain.ConnectionID(id)]
		if !found {
			return "", false
		}
		return string(connection.Session) + " " + connection.Gateway, true
	}
	if id, ok := strings.CutPrefix(field, settingsPrefix); ok {
		settings := s.Settings[domain.ConversationID(id)].String()
		return settings, settings != ""
	}
	return "", false
}

func encode(form any) string {
	b, err := json.Marshal(form)
	if err != nil {
		// Strings, numbers and truth values always encode.
		panic(err)
	}
	return string(b)
}

func (s *State) setSession(id domain.SessionID, session Session) {
	if s.Sessions == nil {
		s.Sessions = make(map[domain.SessionID]Session)
	}
	s.Sessions[id] = session
}

func (s *State) setConnection(id domain.ConnectionID, connection Connection) {
	if s.Connections == nil {
		s.Connections = make(map[domain.ConnectionID]Connection)
	}
	s.Connections[id] = connection
}
