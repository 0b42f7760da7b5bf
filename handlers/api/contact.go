package api

import (
	"context"

	"mpim/domain"
	"mpim/domain/pair"
	"mpim/handlers/command"
)

type (
	contactInput struct {
		User domain.UserID `json:"user"`
	}
	contactRequestInput struct {
		User    domain.UserID `json:"user"`
		Message string        `json:"message,omitempty" doc:"Up to 256 characters for the one who is asked."`
	}
	contactRemarkInput struct {
		User   domain.UserID `json:"user"`
		Remark string        `json:"remark" doc:"Up to 64 characters for oneself alone; empty for none."`
	}
)

func (o *Operations) contactRequest(ctx context.Context, caller Caller, in contactRequestInput) (Changed, error) {
	return o.between(ctx, caller, in.User, func(stamp domain.Stamp, other pair.Other) pair.ContactCommand {
		return pair.RequestContact{Stamp: stamp, Other: other, Message: in.Message}
	})
}

func (o *Operations) contactAccept(ctx context.Context, caller Caller, in contactInput) (Changed, error) {
	return o.between(ctx, caller, in.User, func(stamp domain.Stamp, other pair.Other) pair.ContactCommand {
		return pair.AcceptContact{Stamp: stamp, Other: other}
	})
}

func (o *Operations) contactDecline(ctx context.Context, caller Caller, in contactInput) (Changed, error) {
	return o.between(ctx, caller, in.User, func(stamp domain.Stamp, other pair.Other) pair.ContactCommand {
		return pair.DeclineContact{Stamp: stamp, Other: other}
	})
}

func (o *Operations) contactRemove(ctx context.Context, caller Caller, in contactInput) (Changed, error) {
	return o.between(ctx, caller, in.User, func(stamp domain.Stamp, other pair.Other) pair.ContactCommand {
		return pair.RemoveContact{Stamp: stamp, Other: other}
	})
}

func (o *Operations) contactRemark(ctx context.Context, caller Caller, in contactRemarkInput) (Changed, error) {
	return o.between(ctx, caller, in.User, func(stamp domain.Stamp, other pair.Other) pair.ContactCommand {
		return pair.RemarkContact{Stamp: stamp, Other: other, Remark: in.Remark}
	})
}

func (o *Operations) userBlock(ctx context.Context, caller Caller, in contactInput) (Changed, error) {
	return o.between(ctx, caller, in.User, func(stamp domain.Stamp, other pair.Other) pair.ContactCommand {
		return pair.Block{Stamp: stamp, Other: other}
	})
}

func (o *Operations) userUnblock(ctx context.Context, caller Caller, in contactInput) (Changed, error) {
	return o.between(ctx, caller, in.User, func(stamp domain.Stamp, other pair.Other) pair.ContactCommand {
		return pair.Unblock{Stamp: stamp, Other: other}
	})
}

// between gives the pair of the caller and another user, who must exist, a command.
func (o *Operations) between(
	ctx context.Context, caller Caller, user domain.UserID, ask func(domain.Stamp, pair.Other) pair.ContactCommand,
) (Changed, error) {
	if _, err := o.profile(ctx, user); err != nil {
		return Changed{}, err
	}
	result, err := command.Execute(ctx, o.Log, command.Pair, command.Request[pair.Command]{
		Aggregate: o.Placement.Pair(caller.User, user).Aggregate(), Entropy: entropy(),
		Command: ask(o.stamp(caller), pair.Other{User: user}),
	})
	return at(result.Position), err
}

// contacts says whether two users are contacts.
func (o *Operations) contacts(ctx context.Context, user, other domain.UserID) (bool, error) {
	state, _, err := o.pair(ctx, o.Placement.Pair(user, other), pair.SideFields())
	return state.Sides[user].Contact, err
}
