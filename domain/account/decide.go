package account

import (
	"strings"

	"mpim/domain"
)

// Decide returns what a command comes to: the facts to append, none where nothing is left to do, or a *domain.Error.
// With both, the facts are to be appended and the caller refused all the same; see [RefreshSession].
func Decide(s State, c Command) ([]domain.Fact, error) {
	switch c := c.(type) {
	case Register:
		return decideRegister(s, c)
	case CreateSession:
		return decideCreateSession(s, c)
	case RefreshSession:
		return decideRefreshSession(s, c)
	case RevokeSession:
		return decideRevokeSession(s, c)
	case Update:
		return decideUpdate(s, c)
	case ChangePassword:
		return decideChangePassword(s, c)
	case ResetPassword:
		return decideResetPassword(s, c)
	case Suspend:
		return decideSuspend(s, c)
	case Restore:
		return decideRestore(s)
	case Appoint:
		return decideAppoint(s, c)
	case Erase:
		return decideErase(s)
	case PublishNotice:
		return decidePublishNotice(c)
	case Connect:
		return decideConnect(s, c)
	case Disconnect:
		return decideDisconnect(s, c)
	case ChangeSettings:
		return decideChangeSettings(s, c)
	default:
		return nil, domain.Errorf(domain.Internal, "no rule for %T", c)
	}
}

func decideRegister(s State, c Register) ([]domain.Fact, error) {
	name, err := Username(c.Username)
	if err != nil {
		return nil, err
	}
	display, err := displayName(c.DisplayName, name)
	if err != nil {
		return nil, err
	}
	if s.Exists() || s.Erased {
		return nil, domain.Errorf(domain.Conflict, "the user name %s is taken", name)
	}
	return []domain.Fact{&domain.AccountRegistered{Username: name, DisplayName: display, PasswordHash: c.PasswordHash}}, nil
}

func decideRevokeSession(s State, c RevokeSession) ([]domain.Fact, error) {
	if _, ok := s.Sessions[c.Session]; !ok {
		return nil, domain.Errorf(domain.NotFound, "there is no such session")
	}
	reason := c.Reason
	if reason == "" {
		reason = Logout
	}
	return []domain.Fact{&domain.SessionRevoked{Session: c.Session, Reason: reason}}, nil
}

func decideConnect(s State, c Connect) ([]domain.Fact, error) {
	if _, ok := s.Connections[c.Connection]; ok {
		return nil, nil
	}
	if err := s.admits(c.Session); err != nil {
		return nil, err
	}
	if c.Gateway == "" || strings.ContainsFunc(c.Gateway, func(r rune) bool { return r <= ' ' }) {
		return nil, domain.Errorf(domain.Internal, "%q is no gateway id", c.Gateway)
	}
	if err := domain.CheckText("client", c.Client, MaxDevice); err != nil {
		return nil, err
	}
	return []domain.Fact{&domain.SessionConnected{
		Session: c.Session, Connection: c.Connection, Gateway: c.Gateway, Client: c.Client,
	}}, nil
}

func decideDisconnect(s State, c Disconnect) ([]domain.Fact, error) {
	connection, ok := s.Connections[c.Connection]
	if !ok {
		return nil, nil
	}
	return []domain.Fact{&domain.SessionDisconnected{
		Session: connection.Session, Connection: c.Connection, Gateway: connection.Gateway, Reason: c.Reason,
	}}, nil
}

// admits refuses a session that is no more, or whose account is suspended.
func (s State) admits(session domain.SessionID) error {
	if _, ok := s.Sessions[session]; !ok || !s.Exists() {
		return domain.Errorf(domain.Unauthenticated, "this session has ended: log in again")
	}
	return s.unsuspended()
}

func (s State) unsuspended() error {
	if s.Suspended {
		return domain.Errorf(domain.PermissionDenied, "this account is suspended")
	}
	return nil
}
