package api

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"mpim/domain"
	"mpim/domain/account"
	"mpim/domain/conversation"
)

// view is a conversation as decision state has it for one user. What it says is never behind.
type view struct {
	id      domain.ConversationID
	user    domain.UserID
	state   conversation.State
	windows domain.Windows
	// ordinal is how many messages there are.
	ordinal int64
}

// role is the user's present role, or the last one for who has left.
func (v view) role() domain.Role {
	if role := v.state.Role(v.user); role != "" {
		return role
	}
	return v.state.Members[v.user].Role
}

// present refuses who is no member any more.
func (v view) present() error {
	if !v.windows.Open() {
		return domain.Errorf(domain.PermissionDenied, "you are no longer a member of this conversation")
	}
	return nil
}

// see reads what the user may see of a conversation. An error is of kind NotFound where there is no such conversation or
// the user was never a member.
func (o *Operations) see(ctx context.Context, user domain.UserID, id domain.ConversationID) (view, error) {
	fields := conversation.PairFields(user)
	if id.IsGroup() {
		fields = conversation.Fields(user)
	}
	v := view{id: id, user: user}
	stored, err := o.load(ctx, id, append(fields, domain.OrdinalField))
	if err != nil {
		return v, err
	}
	if v.state, err = conversation.Load(stored); err != nil {
		return v, fmt.Errorf("read the state of %s: %w", id, err)
	}
	v.ordinal = stored.Int(domain.OrdinalField)
	v.windows, err = v.state.See(user)
	return v, err
}

// load reads decision state of a conversation. What is no conversation id at all names nothing.
func (o *Operations) load(ctx context.Context, id domain.ConversationID, fields []string) (domain.Fields, error) {
	if err := o.placed(id.Partition()); err != nil {
		return nil, err
	}
	stored, err := o.Log.Load(ctx, id.Aggregate(), fields)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", id, err)
	}
	return stored, nil
}

// placed refuses ids that name no partition of this log, before anything is asked with them.
func (o *Operations) placed(partition int, ok bool) error {
	if !ok || partition >= o.Placement.Partitions {
		return domain.Errorf(domain.NotFound, "there is nothing with this id")
	}
	return nil
}

// concurrent bounds how many loads one request makes at a time.
const concurrent = 16

// seeAll reads what the user may see of each of the conversations, in their order. Where it sees nothing, the windows
// are none and there is no error.
func (o *Operations) seeAll(ctx context.Context, user domain.UserID, ids []domain.ConversationID) ([]view, error) {
	views := make([]view, len(ids))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(concurrent)
	for i, id := range ids {
		group.Go(func() error {
			v, err := o.see(ctx, user, id)
			if err != nil && domain.CodeOf(err) != domain.NotFound {
				return err
			}
			views[i] = v
			return nil
		})
	}
	return views, group.Wait()
}

// profile returns a user's profile. An error is of kind NotFound where there is no such user.
func (o *Operations) profile(ctx context.Context, user domain.UserID) (account.Profile, error) {
	if err := o.placed(user.Partition()); err != nil {
		return account.Profile{}, noSuchUser()
	}
	stored, err := o.Log.Load(ctx, user.Aggregate(), account.ProfileFields())
	if err != nil {
		return account.Profile{}, fmt.Errorf("load %s: %w", user, err)
	}
	state, err := account.Load(stored)
	if err != nil {
		return account.Profile{}, fmt.Errorf("read the state of %s: %w", user, err)
	}
	if !state.Exists() {
		return account.Profile{}, noSuchUser()
	}
	return state.Profile, nil
}

func noSuchUser() error { return domain.Errorf(domain.NotFound, "there is no such user") }

// exist refuses, with NotFound, users that were never registered.
func (o *Operations) exist(ctx context.Context, users []domain.UserID) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(concurrent)
	for _, user := range users {
		group.Go(func() error {
			_, err := o.profile(ctx, user)
			return err
		})
	}
	return group.Wait()
}
