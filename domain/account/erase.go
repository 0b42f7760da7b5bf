package account

import "mpim/domain"

// Erase ends the account for good: its sessions end, and nothing about the person stays in the state. The name stays taken,
// since the id that all events name is made of it. It does nothing where that was done before.
type Erase struct{ domain.Stamp }

func (Erase) command() {}

func decideErase(s State) ([]domain.Fact, error) {
	if s.Erased {
		return nil, nil
	}
	if err := s.exists(); err != nil {
		return nil, err
	}
	return append(s.end("", Erased), &domain.AccountErased{}), nil
}
