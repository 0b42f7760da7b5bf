package pair

import "mpim/domain"

// Limits of what is said about contacts, in characters.
const (
	MaxRequest = 256
	MaxRemark  = 64
)

// ContactCommand is a command about what the actor and another user allow each other. That the other exists was checked.
//
//sumtype:decl
type ContactCommand interface {
	Command
	other() domain.UserID
}

// Other is embedded in commands about another user.
type Other struct{ User domain.UserID }

func (o Other) other() domain.UserID { return o.User }

type (
	// RequestContact asks the other to be a contact. Where the other asked already, it accepts.
	RequestContact struct {
		domain.Stamp
		Other
		Message string
	}
	// AcceptContact accepts what the other asked.
	AcceptContact struct {
		domain.Stamp
		Other
	}
	// DeclineContact declines what the other asked.
	DeclineContact struct {
		domain.Stamp
		Other
	}
	// RemoveContact ends the contact on both sides, or takes the actor's request back.
	RemoveContact struct {
		domain.Stamp
		Other
	}
	// RemarkContact notes something about a contact for the actor alone; empty for nothing.
	RemarkContact struct {
		domain.Stamp
		Other
		Remark string
	}
	// Block keeps the other from writing to the actor.
	Block struct {
		domain.Stamp
		Other
	}
	// Unblock lets the other write again.
	Unblock struct {
		domain.Stamp
		Other
	}
)

func (RequestContact) command() {}
func (AcceptContact) command()  {}
func (DeclineContact) command() {}
func (RemoveContact) command()  {}
func (RemarkContact) command()  {}
func (Block) command()          {}
func (Unblock) command()        {}

func decideContact(s State, c ContactCommand) ([]domain.Fact, error) {
	actor, user := c.By().Actor, c.other()
	if user == actor {
		return nil, domain.Errorf(domain.InvalidArgument, "user is oneself: name another user")
	}
	if _, ok := user.Partition(); !ok {
		return nil, domain.Errorf(domain.NotFound, "there is no such user")
	}
	mine, theirs := s.Sides[actor], s.Sides[user]
	switch c := c.(type) {
	case RequestContact:
		return decideRequest(mine, theirs, c)
	case AcceptContact:
		return decideAccept(mine, theirs, user)
	case DeclineContact:
		return decideDecline(mine, theirs, user)
	case RemoveContact:
		return when(mine.Contact || mine.Asked, &domain.ContactRemoved{User: user})
	case RemarkContact:
		return decideRemark(mine, c)
	case Block:
		return decideBlock(mine, theirs, user)
	case Unblock:
		return when(mine.Blocks, &domain.UserUnblocked{User: user})
	default:
		return nil, domain.Errorf(domain.Internal, "no rule for %T", c)
	}
}

// when returns the fact where there is something left to do.
func when(left bool, fact domain.Fact) ([]domain.Fact, error) {
	if !left {
		return nil, nil
	}
	return []domain.Fact{fact}, nil
}

func decideRequest(mine, theirs Side, c RequestContact) ([]domain.Fact, error) {
	if theirs.Blocks {
		return nil, blocked()
	}
	if mine.Blocks {
		return nil, domain.Errorf(domain.FailedPrecondition, "you block this user: unblock it before you ask it")
	}
	if err := domain.CheckText("message", c.Message, MaxRequest); err != nil {
		return nil, err
	}
	if theirs.Asked {
		return []domain.Fact{&domain.ContactAccepted{User: c.User}}, nil
	}
	return when(!mine.Contact && !mine.Asked, &domain.ContactRequested{User: c.User, Message: c.Message})
}

func decideAccept(mine, theirs Side, user domain.UserID) ([]domain.Fact, error) {
	if !theirs.Asked && !mine.Contact {
		return nil, domain.Errorf(domain.NotFound, "there is no request of this user")
	}
	return when(!mine.Contact, &domain.ContactAccepted{User: user})
}

func decideDecline(mine, theirs Side, user domain.UserID) ([]domain.Fact, error) {
	switch {
	case mine.Contact:
		return nil, domain.Errorf(domain.FailedPrecondition, "this user is a contact already: remove the contact instead")
	case !theirs.Asked && !theirs.Declined:
		return nil, domain.Errorf(domain.NotFound, "there is no request of this user")
	}
	return when(theirs.Asked, &domain.ContactDeclined{User: user})
}

func decideRemark(mine Side, c RemarkContact) ([]domain.Fact, error) {
	if !mine.Contact {
		return nil, domain.Errorf(domain.NotFound, "there is no such contact")
	}
	if err := domain.CheckName("remark", c.Remark, MaxRemark); err != nil {
		return nil, err
	}
	return when(mine.Remark != digest(c.Remark), &domain.ContactRemarked{User: c.User, Remark: c.Remark})
}

// decideBlock ends what either asked the other first.
func decideBlock(mine, theirs Side, user domain.UserID) ([]domain.Fact, error) {
	if mine.Blocks {
		return nil, nil
	}
	var facts []domain.Fact
	if theirs.Asked {
		facts = append(facts, &domain.ContactDeclined{User: user})
	}
	if mine.Asked {
		facts = append(facts, &domain.ContactRemoved{User: user})
	}
	return append(facts, &domain.UserBlocked{User: user}), nil
}

func blocked() error {
	return domain.Errorf(domain.PermissionDenied, "this user takes no messages and no requests from you")
}
