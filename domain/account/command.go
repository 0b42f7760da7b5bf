package account

import "mpim/domain"

// Command is something that is asked of an account.
//
//sumtype:decl
type Command interface {
	// By returns who asks, and when.
	By() domain.Stamp
	command()
}

// Register makes the account. The actor is the account itself, or the administrator who makes it for somebody.
type Register struct {
	domain.Stamp
	Username string
	// DisplayName is the user name where it is empty.
	DisplayName string
	// PasswordHash is in the PHC string format.
	PasswordHash string
}

// CreateSession logs in.
type CreateSession struct {
	domain.Stamp
	// Session is the new session's id.
	Session domain.SessionID
	// DeviceID is what the client calls its device; the session of a known one is replaced. It may be empty.
	DeviceID   string
	DeviceName string
	// RefreshHash is SHA-256 of the refresh token's secret, in hexadecimal.
	RefreshHash string
	// Verified is the password hash that the password given was found to match. It must still be the account's.
	Verified string
}

// RefreshSession trades a refresh token for the next. Whoever gives it has made sure that the token was issued here,
// by its signature: a secret that is not the session's present one is taken for a copy of an older one.
type RefreshSession struct {
	domain.Stamp
	Session domain.SessionID
	// Presented and Next are hashes as in CreateSession.RefreshHash: of the token that came in, and of the one to go out.
	Presented, Next string
}

// RevokeSession ends a login.
type RevokeSession struct {
	domain.Stamp
	Session domain.SessionID
	// Reason is one of those that SessionRevoked lists; empty for a logout.
	Reason string
}

// Update changes what stands of the profile and settings.
type Update struct {
	domain.Stamp
	// DisplayName is the user name where it is empty.
	DisplayName *string
	AvatarURL   *string
	// Strangers is Anyone or Contacts.
	Strangers *string
}

// From whom a user takes direct messages, in Update.Strangers.
const (
	Anyone   = "anyone"
	Contacts = "contacts"
)

// ChangePassword replaces the password, and ends every session but one.
type ChangePassword struct {
	domain.Stamp
	// Verified is as in CreateSession.
	Verified string
	// PasswordHash is the new one, in the PHC string format.
	PasswordHash string
	// Keep is the session that goes on.
	Keep domain.SessionID
}

// ResetPassword replaces the password on an administrator's word, and ends every session.
type ResetPassword struct {
	domain.Stamp
	PasswordHash string
}

// Suspend keeps the user out. Its sessions stay, and work again when it is let in.
type Suspend struct {
	domain.Stamp
	Reason string
}

// Restore lets a suspended user in again.
type Restore struct{ domain.Stamp }

// Appoint says whether the user may do what administrators do.
type Appoint struct {
	domain.Stamp
	Administrator bool
}

// Connect records that a socket of a session was opened.
type Connect struct {
	domain.Stamp
	Session    domain.SessionID
	Connection domain.ConnectionID
	Gateway    string
	// Client is the name and version that the client gave, or empty.
	Client string
}

// Disconnect records that a socket is gone. Where that is known already, it does nothing.
type Disconnect struct {
	domain.Stamp
	Connection domain.ConnectionID
	// Reason is Closed, Lost or Expired.
	Reason string
}

// Why a session ended.
const (
	Logout   = "logout"
	Replaced = "replaced"
	Limit    = "limit"
	Reused   = "reused"
	Erased   = "erased"
	Password = "password"
	// ByAdministrator is for sessions that an administrator ended.
	ByAdministrator = "administrator"
)

// Why a connection ended: with a close frame, without one, or because its gateway fell silent.
const (
	Closed  = "closed"
	Lost    = "lost"
	Expired = "expired"
)

func (Register) command()       {}
func (CreateSession) command()  {}
func (RefreshSession) command() {}
func (RevokeSession) command()  {}
func (Update) command()         {}
func (ChangePassword) command() {}
func (ResetPassword) command()  {}
func (Suspend) command()        {}
func (Restore) command()        {}
func (Appoint) command()        {}
func (Connect) command()        {}
func (Disconnect) command()     {}

// Needs returns the fields that a command is decided on; nil means all of them.
func Needs(c Command) []string {
	switch c := c.(type) {
	case Register, Update, Suspend, Restore, Appoint:
		return []string{domain.HeaderField}
	case CreateSession, ChangePassword, ResetPassword, Erase:
		// Which sessions are to go is decided among all.
		return nil
	case RefreshSession:
		return []string{domain.HeaderField, sessionField(c.Session)}
	case RevokeSession:
		return []string{sessionField(c.Session)}
	case PublishNotice:
		return []string{}
	case Connect:
		return []string{domain.HeaderField, sessionField(c.Session), connectionField(c.Connection)}
	case Disconnect:
		return []string{connectionField(c.Connection)}
	case ChangeSettings:
		return []string{settingsField(c.Conversation)}
	default:
		return nil
	}
}
