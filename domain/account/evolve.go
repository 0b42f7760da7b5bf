package account

import (
	"time"

	"mpim/domain"
)

// Evolve returns the state after an event. It takes over the state it was given, which must not be used afterwards.
func Evolve(s State, e domain.Event) State {
	at := e.At.UTC().Truncate(time.Millisecond)
	switch fact := e.Data.(type) {
	case *domain.AccountRegistered:
		s.Profile = Profile{
			Username: fact.Username, DisplayName: fact.DisplayName, PasswordHash: fact.PasswordHash, CreatedAt: at,
		}
	case *domain.AccountUpdated:
		if fact.DisplayName != nil {
			s.DisplayName = *fact.DisplayName
		}
		if fact.AvatarURL != nil {
			s.AvatarURL = *fact.AvatarURL
		}
		if fact.Strangers != nil {
			s.ContactsOnly = *fact.Strangers == Contacts
		}
		if fact.Administrator != nil {
			s.Administrator = *fact.Administrator
		}
	case *domain.AccountPasswordChanged:
		s.PasswordHash = fact.PasswordHash
	case *domain.AccountSuspended:
		s.Suspended = true
	case *domain.AccountRestored:
		s.Suspended = false
	case *domain.AccountErased:
		s.Profile = Profile{CreatedAt: s.CreatedAt, Erased: true}
	case *domain.SessionCreated:
		s.setSession(fact.Session, Session{
			DeviceID: fact.DeviceID, DeviceName: fact.DeviceName, RefreshHash: fact.RefreshHash, CreatedAt: at, LastUsedAt: at,
		})
	case *domain.SessionRefreshed:
		session := s.Sessions[fact.Session]
		session.RefreshHash, session.LastUsedAt = fact.RefreshHash, at
		s.setSession(fact.Session, session)
	case *domain.SessionRevoked:
		delete(s.Sessions, fact.Session)
	case *domain.SessionConnected:
		s.setConnection(fact.Connection, Connection{Session: fact.Session, Gateway: fact.Gateway})
	case *domain.SessionDisconnected:
		delete(s.Connections, fact.Connection)
	case *domain.SettingsChanged:
		s.change(fact)
	default:
	}
	return s
}

// Touched returns the fields that Evolve may have changed with an event.
func Touched(e domain.Event) []string {
	switch fact := e.Data.(type) {
	case *domain.AccountRegistered, *domain.AccountUpdated, *domain.AccountPasswordChanged,
		*domain.AccountSuspended, *domain.AccountRestored, *domain.AccountErased:
		return []string{domain.HeaderField}
	case *domain.SessionCreated:
		return []string{sessionField(fact.Session)}
	case *domain.SessionRefreshed:
		return []string{sessionField(fact.Session)}
	case *domain.SessionRevoked:
		return []string{sessionField(fact.Session)}
	case *domain.SessionConnected:
		return []string{connectionField(fact.Connection)}
	case *domain.SessionDisconnected:
		return []string{connectionField(fact.Connection)}
	case *domain.SettingsChanged:
		return []string{settingsField(fact.Conversation)}
	default:
		return nil
	}
}
