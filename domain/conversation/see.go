package conversation

import (
	"slices"

	"mpim/domain"
)

// Windows returns what a user sees of the conversation; none where it was never a member, or was not loaded.
func (s State) Windows(user domain.UserID) domain.Windows {
	if s.Kind != domain.DirectConversation {
		return s.groupWindows(s.Members[user].Windows)
	}
	if slices.Contains(s.Users, user) {
		return domain.Windows{{From: 1}}
	}
	return nil
}

// groupWindows returns what a member sees whose windows are stored as these. What concerns all members at once, that the
// group shows them everything or has ended, is said once, in the header.
func (s State) groupWindows(stored domain.Windows) domain.Windows {
	if !stored.Open() {
		return stored
	}
	if s.History == All {
		stored = domain.Windows{{From: 1}}
	}
	if s.Dissolved != 0 {
		stored = stored.Closed(s.Dissolved)
	}
	return stored
}

// Role returns what a user may do; "" where it is no member now.
func (s State) Role(user domain.UserID) domain.Role {
	switch {
	case !s.Windows(user).Open():
		return ""
	case s.Kind == domain.DirectConversation:
		return domain.Member
	default:
		return s.Members[user].Role
	}
}

// See returns the windows within which a user may read. Who was never a member gets an error of kind NotFound, the same
// as where there is no such conversation.
func (s State) See(user domain.UserID) (domain.Windows, error) {
	windows := s.Windows(user)
	if len(windows) == 0 {
		return nil, domain.Errorf(domain.NotFound, "there is no such conversation")
	}
	return windows, nil
}

// Peer returns the other user of a pair; "" for a group.
func (s State) Peer(user domain.UserID) domain.UserID {
	for _, side := range s.Users {
		if side != user {
			return side
		}
	}
	return ""
}

// present refuses whoever is no member now: NotFound for those who never were, PermissionDenied for those who were.
func (s State) present(user domain.UserID) error {
	windows, err := s.See(user)
	if err != nil {
		return err
	}
	if !windows.Open() {
		return domain.Errorf(domain.PermissionDenied, "you are no longer a member of this conversation")
	}
	return nil
}

// governs says whether a role carries the rights of an admin.
func governs(role domain.Role) bool { return role == domain.Owner || role == domain.Admin }
