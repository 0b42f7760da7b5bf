package domain

// Personal returns the users for whom a fact changes something of their own: contacts, blocks, profile, settings. Each of
// them has a count of such changes, and is told of them. It returns nobody for all other facts. Of is the aggregate that
// the fact belongs to: an account may be changed by somebody else.
func Personal(of Aggregate, actor UserID, fact Fact) []UserID {
	switch fact := fact.(type) {
	case *AccountUpdated:
		return []UserID{UserID(of.ID)}
	case *SettingsChanged, *ContactRemarked, *UserBlocked, *UserUnblocked:
		// Who is blocked is not told.
		return []UserID{actor}
	case *ContactRequested:
		return []UserID{actor, fact.User}
	case *ContactAccepted:
		return []UserID{actor, fact.User}
	case *ContactDeclined:
		return []UserID{actor, fact.User}
	case *ContactRemoved:
		return []UserID{actor, fact.User}
	default:
		return nil
	}
}
