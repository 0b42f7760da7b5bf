package account

import (
	"maps"
	"slices"

	"mpim/domain"
)

func decideChangePassword(s State, c ChangePassword) ([]domain.Fact, error) {
	if err := s.admits(c.Keep); err != nil {
		return nil, err
	}
	if !same(c.Verified, s.PasswordHash) {
		return nil, domain.Errorf(domain.PermissionDenied, "the old password is wrong")
	}
	return append([]domain.Fact{&domain.AccountPasswordChanged{PasswordHash: c.PasswordHash}}, s.end(c.Keep, Password)...), nil
}

func decideResetPassword(s State, c ResetPassword) ([]domain.Fact, error) {
	if err := s.exists(); err != nil {
		return nil, err
	}
	return append([]domain.Fact{&domain.AccountPasswordChanged{PasswordHash: c.PasswordHash}}, s.end("", ByAdministrator)...), nil
}

// end ends every session but one, in the order of their ids, so that the same decision comes out the same each time.
func (s State) end(keep domain.SessionID, reason string) []domain.Fact {
	var facts []domain.Fact
	for _, id := range slices.Sorted(maps.Keys(s.Sessions)) {
		if id != keep {
			facts = append(facts, &domain.SessionRevoked{Session: id, Reason: reason})
		}
	}
	return facts
}
