package pair

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"mpim/domain"
)

// Side is what one user of a pair has decided about the other.
type Side struct {
	// Contact says that the two are contacts; it stands on both sides.
	Contact bool `json:"contact,omitempty"`
	// Asked says that this user asked the other and has no answer.
	Asked bool `json:"asked,omitempty"`
	// Declined says that the other declined the last request of this user.
	Declined bool `json:"declined,omitempty"`
	// Blocks says that this user hears nothing from the other.
	Blocks bool `json:"blocks,omitempty"`
	// Remark is a digest of what this user noted about the other; empty for nothing.
	Remark string `json:"remark,omitempty"`
}

// sidesField holds both sides by user: a JSON object of their stored forms, which can never change but by new members.
const sidesField = "sides"

func loadSides(value string) (sides map[domain.UserID]Side, err error) {
	if value == "" {
		return nil, nil
	}
	err = json.Unmarshal([]byte(value), &sides)
	return sides, err
}

// storeSides returns the stored form; false where nothing was decided.
func storeSides(sides map[domain.UserID]Side) (value string, present bool) {
	kept := make(map[domain.UserID]Side, len(sides))
	for user, side := range sides {
		if side != (Side{}) {
			kept[user] = side
		}
	}
	if len(kept) == 0 {
		return "", false
	}
	b, err := json.Marshal(kept)
	if err != nil {
		// Strings and truth values always encode.
		panic(err)
	}
	return string(b), true
}

// digest tells remarks apart without keeping them.
func digest(remark string) string {
	if remark == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(remark))
	return hex.EncodeToString(sum[:12])
}

// evolve returns the sides after an event about them; false where it is about something else.
func (s *State) evolve(e domain.Event) bool {
	mine := func(change func(*Side)) { s.change(e.Actor, change) }
	switch fact := e.Data.(type) {
	case *domain.ContactRequested:
		mine(func(side *Side) { side.Asked, side.Declined = true, false })
	case *domain.ContactAccepted:
		contact := func(side *Side) { side.Contact, side.Asked, side.Declined = true, false, false }
		mine(contact)
		s.change(fact.User, contact)
	case *domain.ContactDeclined:
		s.change(fact.User, func(side *Side) { side.Asked, side.Declined = false, true })
	case *domain.ContactRemoved:
		mine(func(side *Side) { side.Contact, side.Asked, side.Remark = false, false, "" })
		s.change(fact.User, func(side *Side) { side.Contact, side.Remark = false, "" })
	case *domain.ContactRemarked:
		mine(func(side *Side) { side.Remark = digest(fact.Remark) })
	case *domain.AccountErased:
		mine(func(side *Side) { side.Remark = "" })
	case *domain.UserBlocked:
		mine(func(side *Side) { side.Blocks = true })
	case *domain.UserUnblocked:
		mine(func(side *Side) { side.Blocks = false })
	default:
		return false
	}
	return true
}

func (s *State) change(user domain.UserID, change func(*Side)) {
	if s.Sides == nil {
		s.Sides = make(map[domain.UserID]Side, 2)
	}
	side := s.Sides[user]
	change(&side)
	s.Sides[user] = side
}

// aboutSides says whether an event changes a side.
func aboutSides(fact domain.Fact) bool {
	switch fact.(type) {
	case *domain.ContactRequested, *domain.ContactAccepted, *domain.ContactDeclined, *domain.ContactRemoved,
		*domain.ContactRemarked, *domain.AccountErased, *domain.UserBlocked, *domain.UserUnblocked:
		return true
	default:
		return false
	}
}
