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
	stored, err := o.load(ctx, id, viewFields(user, id))
	if err != nil {
		return view{id: id, user: user}, err
	}
	v, err := viewOf(user, id, stored)
	if err != nil {
		return v, err
	}
	v.windows, err = v.state.See(user)
	return v, err
}

// viewFields are what a view is read from.
func viewFields(user domain.UserID, id domain.ConversationID) []string {
	fields := conversation.PairFields(user)
	if id.IsGroup() {
		fields = conversation.Fields(user)
	}
	return append(fields, domain.OrdinalField)
}

// viewOf returns the view that stored fields make, without its windows.
func viewOf(user domain.UserID, id domain.ConversationID, stored domain.Fields) (v view, err error) {
	v = view{id: id, user: user, ordinal: stored.Int(domain.OrdinalField)}
	if v.state, err = conversation.Load(stored); err != nil {
		return v, fmt.Errorf("read the state of %s: %w", id, err)
	}
	return v, nil
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

// seeAll reads what the user may see of each of the conversations, in their order and in one round trip. Where it sees
// nothing, the windows are none and there is no error.
func (o *Operations) seeAll(ctx context.Context, user domain.UserID, ids []domain.ConversationID) ([]view, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	wanted := make([]domain.Wanted, len(ids))
	for i, id := range ids {
		wanted[i] = domain.Wanted{Aggregate: id.Aggregate(), Fields: viewFields(user, id)}
	}
	stored, err := o.Log.LoadAll(ctx, wanted)
	if err != nil {
		return nil, fmt.Errorf("load %d conversations: %w", len(ids), err)
	}
	views := make([]view, len(ids))
	for i, id := range ids {
		if views[i], err = viewOf(user, id, stored[i]); err != nil {
			return nil, err
		}
		views[i].windows = views[i].state.Windows(user)
	}
	return views, nil
}

// profile returns a user's profile. An error is of kind NotFound where there is no such user.
func (o *Operations) profile(ctx context.Context, user domain.UserID) (account.Profile, error) {
	if err := o.placed(user.Partition()); err != nil {
		return account.Profile{}, noSuchUser()
	}
	state, err := o.account(ctx, user, account.ProfileFields())
	if err != nil {
		return account.Profile{}, err
	}
	if !state.Exists() {
		return account.Profile{}, noSuchUser()
	}
	return state.Profile, nil
}

// account reads fields of an account's decision state, all where they are nil.
func (o *Operations) account(ctx context.Context, user domain.UserID, fields []string) (account.State, error) {
	stored, err := o.Log.Load(ctx, user.Aggregate(), fields)
	if err != nil {
		return account.State{}, fmt.Errorf("load %s: %w", user, err)
	}
	state, err := account.Load(stored)
	if err != nil {
		return account.State{}, fmt.Errorf("read the state of %s: %w", user, err)
	}
	return state, nil
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
