package pair

import (
	"mpim/domain"
	"mpim/domain/conversation"
)

// decideSend creates the conversation where it does not exist, with the message in the same commit.
func decideSend(s State, c Send) ([]domain.Fact, error) {
	by := c.By()
	if c.To == by.Actor {
		return nil, domain.Errorf(domain.InvalidArgument, "nobody writes to oneself: name another user")
	}
	if s.Exists() || c.To == "" {
		return conversation.DecideMessage(s.State, c.Message)
	}
	if _, ok := c.To.Partition(); !ok {
		return nil, domain.Errorf(domain.NotFound, "there is no such user")
	}
	created := &domain.ConversationCreated{Kind: domain.DirectConversation, Members: []domain.MemberRole{
		{User: min(by.Actor, c.To), Role: domain.Member},
		{User: max(by.Actor, c.To), Role: domain.Member},
	}}
	// The message is decided on the conversation that the first fact makes.
	s = Evolve(s, domain.Event{At: by.At, Actor: by.Actor, Seq: domain.Pending(0), Data: created})
	sent, err := conversation.DecideMessage(s.State, c.Message)
	if err != nil {
		return nil, err
	}
	return append([]domain.Fact{created}, sent...), nil
}

// Sent returns the sequence and the event id of a Send's message. The first sequence of a pair is that of
// conversation.created, so a commit that begins there has its message right behind.
func Sent(a domain.Appended) (domain.Seq, domain.EventID) {
	if a.Seq == 1 {
		return 2, a.Event.Behind(1)
	}
	return a.Seq, a.Event
}
