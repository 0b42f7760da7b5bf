package conversation

import (
	"cmp"
	"slices"

	"mpim/domain"
)

// Erase takes what the actor wrote in the conversation away from all who fold it: the actor's key is destroyed. What waits to be
// sent is taken back. From a group the actor goes, as somebody who leaves does; what it owns goes to the heir before, so that the
// group is not without an owner for ever.
type Erase struct {
	domain.Stamp
	// Waiting is what the actor has waiting, as State.Queues said; nothing can be added to it without a key.
	Waiting []domain.ScheduledID
	// Peer is the other of a pair; empty in a group, and where nothing was ever said between them as contacts.
	Peer domain.UserID
	// Heir is the member who gets the group that the actor owns; see [State.Heir]. Where it has gone meanwhile, the error is of kind
	// FailedPrecondition. It is not needed where the actor is no owner, or alone.
	Heir domain.UserID
}

func (Erase) command() {}
func (Erase) message() {}

// QueueFields returns what State.Queues of one user is read from.
func QueueFields(user domain.UserID) []string { return []string{queueField(user)} }

func (c Erase) needs() []string {
	fields := QueueFields(c.Actor)
	for _, id := range c.Waiting {
		fields = append(fields, WaitingField(id))
	}
	return fields
}

func decideErase(s State, c Erase) ([]domain.Fact, error) {
	var facts []domain.Fact
	for _, id := range s.Queues[c.Actor] {
		if slices.Contains(c.Waiting, id) {
			facts = append(facts, &domain.ScheduleCancelled{Scheduled: id})
		}
	}
	going, err := s.going(c)
	if err != nil {
		return nil, err
	}
	return append(append(facts, going...), &domain.AccountErased{Peer: c.Peer}), nil
}

// going returns what takes the actor out of a group that it is in.
func (s State) going(c Erase) ([]domain.Fact, error) {
	if s.Kind != domain.GroupConversation || s.Role(c.Actor) == "" {
		return nil, nil
	}
	left := &domain.MemberLeft{User: c.Actor}
	if s.Role(c.Actor) != domain.Owner || s.MemberCount == 1 {
		return []domain.Fact{left}, nil
	}
	if c.Heir == c.Actor || s.Role(c.Heir) == "" {
		return nil, domain.Errorf(domain.FailedPrecondition, "the group needs another owner, and %q is none of its members", c.Heir)
	}
	return []domain.Fact{
		&domain.MemberRoleChanged{User: c.Heir, Role: domain.Owner},
		&domain.MemberRoleChanged{User: c.Actor, Role: domain.Admin},
		left,
	}, nil
}

// Heir returns who gets the group when its owner is erased: the admin, and without one the member, who has been in it for longest.
// It is empty where nobody else is in it. All members must have been loaded.
func (s State) Heir(owner domain.UserID) (heir domain.UserID) {
	earlier := func(user domain.UserID) bool {
		a, b := s.Members[user], s.Members[heir]
		if heir == "" || a.Role != b.Role {
			return heir == "" || a.Role == domain.Admin
		}
		if since := cmp.Compare(a.Windows[len(a.Windows)-1].From, b.Windows[len(b.Windows)-1].From); since != 0 {
			return since < 0
		}
		return user < heir
	}
	for user := range s.Members {
		if user != owner && s.Role(user) != "" && earlier(user) {
			heir = user
		}
	}
	return heir
}
