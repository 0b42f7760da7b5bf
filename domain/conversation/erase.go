package conversation

import (
	"slices"

	"mpim/domain"
)

// Erase takes what the actor wrote in the conversation away from all who fold it: the actor's key is destroyed. What waits to be
// sent is taken back.
type Erase struct {
	domain.Stamp
	// Waiting is what the actor has waiting, as State.Queues said; nothing can be added to it without a key.
	Waiting []domain.ScheduledID
	// Peer is the other of a pair; empty in a group, and where nothing was ever said between them as contacts.
	Peer domain.UserID
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
	return append(facts, &domain.AccountErased{Peer: c.Peer}), nil
}
