package domain

import (
	"encoding/json"
	"errors"
)

// Recipients are those whom a notice is for: everyone, some users, or the members of a conversation, and of these, where
// conditions are given, those that meet all of them.
type Recipients struct {
	// Users are at most MaxRecipients; none where it is for everyone or for a conversation.
	Users []UserID
	// Conversation is empty where it is for everyone or for users.
	Conversation ConversationID
	// Roles are those that members must have one of; none for all. They stand with Conversation only.
	Roles []Role
	// Gateway is where they are connected; empty for anywhere.
	Gateway string
	// Client is what their client programs call themselves before the slash when they say hello; empty for any.
	Client string
}

// MaxRecipients bounds the users that a notice names.
const MaxRecipients = 1000

// maxCondition bounds a gateway's id and a client's name, in characters.
const maxCondition = 128

// everyone is how recipients without any condition are written.
const everyone = `"all"`

// recipientsForm is the written form, which can never change but by new members.
type recipientsForm struct {
	Users        []UserID       `json:"users,omitempty"`
	Conversation ConversationID `json:"conversation,omitempty"`
	Roles        []Role         `json:"roles,omitempty"`
	Gateway      string         `json:"gateway,omitempty"`
	Client       string         `json:"client,omitempty"`
}

// Everyone says that no user and no conversation is named.
func (r Recipients) Everyone() bool { return len(r.Users) == 0 && r.Conversation == "" }

func (r Recipients) narrowed() bool { return r.Gateway != "" || r.Client != "" }

// MarshalJSON writes "all", or an object of what is given.
func (r Recipients) MarshalJSON() ([]byte, error) {
	if r.Everyone() && !r.narrowed() {
		return []byte(everyone), nil
	}
	return json.Marshal(recipientsForm(r))
}

// UnmarshalJSON reads what MarshalJSON writes.
func (r *Recipients) UnmarshalJSON(b []byte) error {
	if string(b) == everyone {
		*r = Recipients{}
		return nil
	}
	var form recipientsForm
	if err := json.Unmarshal(b, &form); err != nil {
		return err
	}
	*r = Recipients(form)
	if r.Everyone() && !r.narrowed() {
		return errors.New(`recipients are "all", or an object that names some`)
	}
	return nil
}

// Check refuses, with InvalidArgument or TooLarge, recipients that contradict themselves.
func (r Recipients) Check() error {
	switch {
	case len(r.Users) > 0 && r.Conversation != "":
		return Errorf(InvalidArgument, "to names users or a conversation, not both")
	case len(r.Users) > MaxRecipients:
		return Errorf(TooLarge, "to names at most %d users", MaxRecipients)
	case len(r.Roles) > 0 && r.Conversation == "":
		return Errorf(InvalidArgument, "to.roles are those of a conversation's members: name the conversation")
	}
	for _, role := range r.Roles {
		if role != Owner && role != Admin && role != Member {
			return Errorf(InvalidArgument, "to.roles are owner, admin and member")
		}
	}
	if err := CheckName("to.gateway", r.Gateway, maxCondition); err != nil {
		return err
	}
	return CheckName("to.client", r.Client, maxCondition)
}
