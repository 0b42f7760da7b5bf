package domain

// Other returns the user whom a fact of a pair names beside its actor; empty for facts that name nobody.
func Other(fact Fact) UserID {
	switch fact := fact.(type) {
	case *ContactRequested:
		return fact.User
	case *ContactAccepted:
		return fact.User
	case *ContactDeclined:
		return fact.User
	case *ContactRemoved:
		return fact.User
	case *ContactRemarked:
		return fact.User
	case *UserBlocked:
		return fact.User
	case *UserUnblocked:
		return fact.User
	case *AccountErased:
		return fact.Peer
	default:
		return ""
	}
}

// Concerned returns the users whose membership in a conversation a fact changes, or their role or mute; nobody for all others.
func Concerned(fact Fact) []UserID {
	switch fact := fact.(type) {
	case *ConversationCreated:
		users := make([]UserID, len(fact.Members))
		for i, m := range fact.Members {
			users[i] = m.User
		}
		return users
	case *MemberAdded:
		return []UserID{fact.User}
	case *MemberJoined:
		return []UserID{fact.User}
	case *MemberLeft:
		return []UserID{fact.User}
	case *MemberRemoved:
		return []UserID{fact.User}
	case *MemberRoleChanged:
		return []UserID{fact.User}
	case *MemberMuted:
		return []UserID{fact.User}
	default:
		return nil
	}
}
