package pair

import (
	"fmt"

	"mpim/domain"
	"mpim/domain/conversation"
)

// State is what a pair's commands are decided on.
type State struct {
	conversation.State
	// Sides is what the users have decided about each other; who has decided nothing is not in it.
	Sides map[domain.UserID]Side
}

// Command is something that is asked of a pair.
//
//sumtype:decl
type Command interface {
	// By returns who asks, and when.
	By() domain.Stamp
	command()
}

// Send says something to the other, and creates the conversation if this is the first word.
type Send struct {
	// To is the other user, of whom it was checked that it exists; empty where the conversation is named instead, which
	// must then exist.
	To      domain.UserID
	Message conversation.SendMessage
	// ContactsOnly says that the other takes messages from its contacts alone, as far as its account said shortly before.
	ContactsOnly bool
}

// Shared is any command that pairs share with groups, to a conversation that exists.
type Shared struct {
	Command conversation.MessageCommand
}

// By returns who sends, and when.
func (c Send) By() domain.Stamp { return c.Message.By() }

// By returns who asks, and when.
func (c Shared) By() domain.Stamp { return c.Command.By() }

func (Send) command()   {}
func (Shared) command() {}

// Needs returns the fields that a command is decided on.
func Needs(c Command) []string {
	switch c := c.(type) {
	case Send:
		return append(conversation.MessageNeeds(c.Message), sidesField)
	case Shared:
		return append(conversation.MessageNeeds(c.Command), sidesField)
	case ContactCommand:
		return []string{sidesField}
	default:
		return nil
	}
}

// SideFields returns what State.Sides is read from.
func SideFields() []string { return []string{sidesField} }

// Load reads a stored state. An error means that what is stored is damaged.
func Load(fields domain.Fields) (s State, err error) {
	if s.State, err = conversation.Load(fields); err != nil {
		return s, err
	}
	if s.Sides, err = loadSides(fields[sidesField]); err != nil {
		return s, fmt.Errorf("pair field %q: %w", sidesField, err)
	}
	return s, nil
}

// Decide returns what a command comes to: the facts to append, none where nothing is left to do, or a *domain.Error.
func Decide(s State, c Command) ([]domain.Fact, error) {
	switch c := c.(type) {
	case Send:
		return decideSend(s, c)
	case Shared:
		return decideShared(s, c)
	case ContactCommand:
		return decideContact(s, c)
	default:
		return nil, domain.Errorf(domain.Internal, "no rule for %T", c)
	}
}

// Evolve returns the state after an event. It takes over the state it was given, which must not be used afterwards.
func Evolve(s State, e domain.Event) State {
	if !s.evolve(e) {
		s.State = conversation.Evolve(s.State, e)
	}
	return s
}

// Touched returns the fields that Evolve may have changed with an event.
func Touched(e domain.Event) []string {
	if aboutSides(e.Data) {
		return []string{sidesField}
	}
	return conversation.Touched(e)
}

// Store returns the stored form of a field; present is false where the field is to be deleted.
func Store(s State, field string) (value string, present bool) {
	if field == sidesField {
		return storeSides(s.Sides)
	}
	return conversation.Store(s.State, field)
}
