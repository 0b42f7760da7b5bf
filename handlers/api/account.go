package api

import (
	"context"
	"time"

	"mpim/domain"
	"mpim/domain/account"
	"mpim/handlers/command"
)

type (
	registerInput struct {
		Username    string `json:"username" doc:"3 to 32 of a–z 0–9 . _ -, folded to lower case."`
		Password    string `json:"password" doc:"8 to 256 bytes."`
		DisplayName string `json:"display_name,omitempty" doc:"The user name where it is left out."`
	}
	registerResult struct {
		User User `json:"user"`
		Changed
	}
	userResult struct {
		User User `json:"user"`
	}
	accountGetInput struct {
		ReadAfter
	}
	userGetInput struct {
		User string `json:"user" doc:"The id of a user, or @ and a user name."`
		ReadAfter
	}
)

func (o *Operations) register(ctx context.Context, caller Caller, in registerInput) (registerResult, error) {
	name, err := account.Username(in.Username)
	if err != nil {
		return registerResult{}, err
	}
	if err := account.CheckPassword(in.Password); err != nil {
		return registerResult{}, err
	}
	user := o.Placement.User(name)
	// Asked before the password is hashed, which costs more than everything else here together.
	switch _, err := o.profile(ctx, user); {
	case err == nil:
		return registerResult{}, domain.Errorf(domain.Conflict, "the user name %s is taken", name)
	case domain.CodeOf(err) != domain.NotFound:
		return registerResult{}, err
	}
	giveBack, err := o.attempt(ctx, "register:"+caller.RemoteAddr, o.rates.Load().RegisterPerHour, time.Hour)
	if err != nil {
		return registerResult{}, err
	}
	hash, err := o.Passwords.Hash(ctx, in.Password)
	if err != nil {
		return registerResult{}, err
	}
	result, err := command.Execute(ctx, o.Log, command.Account, command.Request[account.Command]{
		Aggregate: user.Aggregate(), Entropy: entropy(),
		Command: account.Register{
			Stamp: domain.NewStamp(user, o.Now()), Username: name, DisplayName: in.DisplayName, PasswordHash: hash,
		},
	})
	if err != nil {
		giveBack(ctx)
		return registerResult{}, err
	}
	return registerResult{User: userObject(user, result.State.Profile), Changed: at(result.Position)}, nil
}

func (o *Operations) userGet(ctx context.Context, _ Caller, in userGetInput) (userResult, error) {
	return o.user(ctx, o.named(in.User), in.ReadAfter)
}

func (o *Operations) user(ctx context.Context, user domain.UserID, a ReadAfter) (userResult, error) {
	// Accounts are read from decision state, which has passed every position that was ever answered.
	if _, err := o.parsePosition(a.AfterPosition); err != nil {
		return userResult{}, err
	}
	profile, err := o.profile(ctx, user)
	if err != nil {
		return userResult{}, err
	}
	return userResult{User: userObject(user, profile)}, nil
}
