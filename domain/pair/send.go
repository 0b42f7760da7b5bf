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
		if err := s.mayWrite(by.Actor, c.ContactsOnly); err != nil {
			return nil, err
		}
		return conversation.DecideMessage(s.State, c.Message)
	}
	if _, ok := c.To.Partition(); !ok {
		return nil, domain.Errorf(domain.NotFound, "there is no such user")
	}
	if err := s.heardBy(c.To, c.ContactsOnly); err != nil {
		return nil, err
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

// decideShared keeps who is blocked from saying anything in any way. What it may do besides is the conversation's matter.
func decideShared(s State, c Shared) ([]domain.Fact, error) {
	switch c := c.Command.(type) {
	case conversation.ScheduleMessage:
		if _, err := decideSend(s, Send{To: c.To, Message: c.Message, ContactsOnly: c.ContactsOnly}); err != nil {
			return nil, err
		}
		return conversation.Scheduled(s.State, c)
	case conversation.FireScheduled:
		return decideFire(s, c)
	default:
	}
	if says(c.Command) {
		if err := s.mayWrite(c.By().Actor, false); err != nil {
			return nil, err
		}
	}
	return conversation.DecideMessage(s.State, c.Command)
}

// decideFire sends what was scheduled by the rules of now, and creates the conversation where that is the first word.
func decideFire(s State, c conversation.FireScheduled) ([]domain.Fact, error) {
	waiting, found := s.Waiting[c.Scheduled]
	if !found {
		return nil, nil
	}
	sent, err := decideSend(s, Send{To: waiting.To, Message: waiting.Message(c), ContactsOnly: c.ContactsOnly})
	return conversation.Fired(c, sent, err), nil
}

// says tells whether a command puts something before the other user, rather than taking it away.
func says(c conversation.MessageCommand) bool {
	switch c := c.(type) {
	case conversation.SendMessage, conversation.EditMessage:
		return true
	case conversation.React:
		return !c.Removed
	default:
		return false
	}
}

// mayWrite refuses who the other side does not hear. Who is no side at all is left to the conversation, which knows
// nothing of it.
func (s State) mayWrite(user domain.UserID, contactsOnly bool) error {
	if s.Role(user) == "" {
		return nil
	}
	return s.heardBy(s.Peer(user), contactsOnly)
}

// HeardBy refuses whom the other user blocks. It is for what is told and no event: commands are refused by themselves.
func (s State) HeardBy(other domain.UserID) error { return s.heardBy(other, false) }

// heardBy refuses a user whom the other blocks, and a stranger where the other takes contacts only.
func (s State) heardBy(other domain.UserID, contactsOnly bool) error {
	switch {
	case s.Sides[other].Blocks:
		return blocked()
	case contactsOnly && !s.Sides[other].Contact:
		return domain.Errorf(domain.PermissionDenied, "this user takes messages from contacts only: send a contact request first")
	default:
		return nil
	}
}

// Sent returns the sequence and the event id of a Send's message. The first sequence of a pair is that of
// conversation.created, so a commit that begins there has its message right behind.
func Sent(a domain.Appended) (domain.Seq, domain.EventID) {
	if a.Seq == 1 {
		return 2, a.Event.Behind(1)
	}
	return a.Seq, a.Event
}
