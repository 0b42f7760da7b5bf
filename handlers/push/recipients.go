package push

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"mpim/domain"
	"mpim/domain/conversation"
)

// keeps says whether a connection meets the conditions of recipients.
func keeps(r domain.Recipients) func(*connection) bool {
	return func(c *connection) bool {
		name, _, _ := strings.Cut(c.client, "/")
		return (r.Gateway == "" || r.Gateway == c.gateway.id) && (r.Client == "" || r.Client == name)
	}
}

// to returns the connections of recipients. Members are read anew: the conversation may live in a partition that somebody
// else pushes.
func (p *partition) to(ctx context.Context, r domain.Recipients) (audience, error) {
	switch {
	case r.Everyone():
		return p.gathering.of(p.owner.registry.everybody(), keeps(r)), nil
	case r.Conversation == "":
		// Named twice, a user is still one.
		return p.gathering.of(slices.Values(slices.Compact(slices.Sorted(slices.Values(r.Users)))), keeps(r)), nil
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
	}, keeps(r)), nil
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
