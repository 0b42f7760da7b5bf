package account

import (
	"crypto/subtle"

	"mpim/domain"
)

func decideCreateSession(s State, c CreateSession) ([]domain.Fact, error) {
	// The same answer whether there is no account or the password is not its own.
	if !s.Exists() || !same(c.Verified, s.PasswordHash) {
		return nil, domain.Errorf(domain.Unauthenticated, "the user name or the password is wrong")
	}
	if err := s.unsuspended(); err != nil {
		return nil, err
	}
	if err := domain.CheckText("device_id", c.DeviceID, MaxDevice); err != nil {
		return nil, err
	}
	if err := domain.CheckName("device_name", c.DeviceName, MaxDevice); err != nil {
		return nil, err
	}
	return append(s.makeRoom(c), &domain.SessionCreated{
		Session: c.Session, DeviceID: c.DeviceID, DeviceName: c.DeviceName, RefreshHash: c.RefreshHash,
	}), nil
}

// makeRoom ends the session that a new one replaces: that of the same device, else, of as many as a user may have, the
// one unused longest.
func (s State) makeRoom(c CreateSession) []domain.Fact {
	if c.DeviceID != "" {
		for id, session := range s.Sessions {
			if session.DeviceID == c.DeviceID {
				return []domain.Fact{&domain.SessionRevoked{Session: id, Reason: Replaced}}
			}
		}
	}
	if len(s.Sessions) < MaxSessions {
		return nil
	}
	return []domain.Fact{&domain.SessionRevoked{Session: s.idlest(), Reason: Limit}}
}

// idlest returns the session that was used longest ago. One with an open connection is in use now, whenever it was last
// refreshed.
func (s State) idlest() domain.SessionID {
	connected := make(map[domain.SessionID]bool, len(s.Connections))
	for _, connection := range s.Connections {
		connected[connection.Session] = true
	}
	var idlest domain.SessionID
	for id, session := range s.Sessions {
		other := s.Sessions[idlest]
		switch {
		case idlest == "":
			idlest = id
		case connected[id] != connected[idlest]:
			if connected[idlest] {
				idlest = id
			}
		case session.LastUsedAt.Before(other.LastUsedAt), session.LastUsedAt.Equal(other.LastUsedAt) && id < idlest:
			idlest = id
		}
	}
	return idlest
}

// decideRefreshSession accepts the present token alone. An older one was copied: whoever comes second, the thief or the
// owner, shows it, and the session ends for both (RFC 9700, section 4.14.2).
func decideRefreshSession(s State, c RefreshSession) ([]domain.Fact, error) {
	if err := s.admits(c.Session); err != nil {
		return nil, err
	}
	if !same(c.Presented, s.Sessions[c.Session].RefreshHash) {
		return []domain.Fact{&domain.SessionRevoked{Session: c.Session, Reason: Reused}},
			domain.Errorf(domain.Unauthenticated, "this refresh token was used before, so its session has ended: log in again")
	}
	return []domain.Fact{&domain.SessionRefreshed{Session: c.Session, RefreshHash: c.Next}}, nil
}

// same compares two hashes. An empty one is like no other.
func same(a, b string) bool {
	return a != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}
