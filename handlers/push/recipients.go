package push

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"mpim/domain"
	"mpim/domain/conversation"
)

// Recipients says whose connections get something. One of the first three says who; all the others narrow that.
type Recipients struct {
	// All is everybody who is connected.
	All bool `json:"-"`
	// Users are these.
	Users []domain.UserID `json:"users,omitempty"`
	// Conversation is those who are members now.
	Conversation domain.ConversationID `json:"conversation,omitempty"`

	// Roles are the roles that members need one of; none for any role.
	Roles []domain.Role `json:"roles,omitempty"`
	// Gateway is where they are connected; empty for anywhere.
	Gateway string `json:"gateway,omitempty"`
	// Client is what their clients call themselves, the name without the version; empty for any client.
	Client string `json:"client,omitempty"`
}

// everybody is All in JSON.
const everybody = `"all"`

// ParseRecipients reads "all", or an object. Everybody can be narrowed too: an object that names only a gateway or a client
// is all who are connected there, or with that.
func ParseRecipients(text json.RawMessage) (r Recipients, err error) {
	if string(text) == everybody {
		return Recipients{All: true}, nil
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("recipients cannot be read: %w", err)
	}
	switch {
	case r.Conversation != "" && r.Users != nil:
		return r, errors.New("recipients are users or a conversation, not both")
	case len(r.Roles) > 0 && r.Conversation == "":
		return r, errors.New("roles are those of a conversation")
	}
	r.All = r.Conversation == "" && r.Users == nil
	if r.All && r.Gateway == "" && r.Client == "" {
		return r, errors.New("recipients name nobody")
	}
	return r, nil
}

// keeps says whether a connection fulfils the conditions.
func (r Recipients) keeps(c *connection) bool {
	name, _, _ := strings.Cut(c.client, "/")
	return (r.Gateway == "" || r.Gateway == c.gateway.id) && (r.Client == "" || r.Client == name)
}

// to returns the connections of recipients. Members are read anew: the conversation may live in a partition that somebody
// else pushes.
func (p *partition) to(ctx context.Context, r Recipients) (audience, error) {
	switch {
	case r.All:
		return p.gathering.of(p.owner.registry.everybody(), r.keeps), nil
	case r.Conversation == "":
		// Named twice, a user is still one.
		return p.gathering.of(slices.Values(slices.Compact(slices.Sorted(slices.Values(r.Users)))), r.keeps), nil
	}
	if number, ok := r.Conversation.Partition(); !ok || number >= p.owner.config.Partitions {
		return audience{}, nil
	}
	states, err := p.owner.config.Bus.Members(ctx, []domain.ConversationID{r.Conversation})
	if err != nil {
		return audience{}, fmt.Errorf("members of %s: %w", r.Conversation, err)
	}
	state, err := conversation.Load(states[0])
	if err != nil {
		return audience{}, fmt.Errorf("members of %s: %w", r.Conversation, err)
	}
	members := &roster{id: r.Conversation, state: state}
	return p.gathering.of(func(yield func(domain.UserID) bool) {
		for user, windows := range members.users {
			if windows.Open() && (len(r.Roles) == 0 || slices.Contains(r.Roles, state.Role(user))) && !yield(user) {
				return
			}
		}
	}, r.keeps), nil
}

// everybody returns all users who are connected. It is read under the lock, so within gathering.of alone.
func (r *registry) everybody() func(yield func(domain.UserID) bool) {
	return func(yield func(domain.UserID) bool) {
		for user := range r.users {
			if !yield(user) {
				return
			}
		}
	}
}
