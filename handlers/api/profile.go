package api

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"mpim/domain"
	"mpim/domain/account"
	"mpim/handlers/command"
)

type (
	accountUpdateInput struct {
		DisplayName *string `json:"display_name,omitempty" doc:"The user name where it is empty."`
		AvatarURL   *string `json:"avatar_url,omitempty" doc:"An http or https address, or empty."`
		Strangers   *string `json:"strangers,omitempty" enum:"anyone,contacts" doc:"From whom the caller takes direct messages."`
	}
	accountUpdateResult struct {
		OwnAccount
		Changed
	}
	// OwnAccount is what only oneself sees of an account, beside the user that everybody sees.
	OwnAccount struct {
		User          User   `json:"user"`
		Strangers     string `json:"strangers" enum:"anyone,contacts" doc:"From whom the caller takes direct messages."`
		Administrator bool   `json:"administrator,omitzero" doc:"The caller may do what administrators do."`
	}
	passwordInput struct {
		OldPassword string `json:"old_password"`
		NewPassword string `json:"new_password" doc:"8 to 256 bytes."`
	}
	userListInput struct {
		ID []domain.UserID `json:"id" nullable:"false" doc:"Up to 100. Those that do not exist are left out."`
		ReadAfter
	}
	usersResult struct {
		Users []User `json:"users" nullable:"false"`
	}
)

// MaxUsers is how many users one request names.
const MaxUsers = 100

func ownAccount(user domain.UserID, p account.Profile) OwnAccount {
	return OwnAccount{User: userObject(user, p), Strangers: p.Strangers(), Administrator: p.Administrator}
}

func (o *Operations) accountGet(ctx context.Context, caller Caller, in accountGetInput) (OwnAccount, error) {
	// Accounts are read from decision state, which has passed every position that was ever answered.
	if _, err := o.parsePosition(in.AfterPosition); err != nil {
		return OwnAccount{}, err
	}
	profile, err := o.profile(ctx, caller.User)
	if err != nil {
		return OwnAccount{}, err
	}
	return ownAccount(caller.User, profile), nil
}

func (o *Operations) accountUpdate(ctx context.Context, caller Caller, in accountUpdateInput) (accountUpdateResult, error) {
	result, err := o.onAccount(ctx, caller.User, account.Update{
		Stamp: o.stamp(caller), DisplayName: in.DisplayName, AvatarURL: in.AvatarURL, Strangers: in.Strangers,
	})
	if err != nil {
		return accountUpdateResult{}, err
	}
	return accountUpdateResult{ownAccount(caller.User, result.State.Profile), at(result.Position)}, nil
}

func (o *Operations) accountPassword(ctx context.Context, caller Caller, in passwordInput) (Changed, error) {
	if err := account.CheckPassword(in.NewPassword); err != nil {
		return Changed{}, err
	}
	// Counted like failed logins, so that a session that was left open is no way to try passwords either.
	giveBack, err := o.attempt(ctx, "password:"+string(caller.User), o.rates.Load().LoginPerMinute, time.Minute)
	if err != nil {
		return Changed{}, err
	}
	profile, err := o.profile(ctx, caller.User)
	if err != nil {
		giveBack(ctx)
		return Changed{}, err
	}
	matches, err := o.Passwords.Matches(ctx, in.OldPassword, profile.PasswordHash)
	if err != nil {
		giveBack(ctx)
		return Changed{}, err
	}
	if !matches {
		return Changed{}, domain.Errorf(domain.PermissionDenied, "the old password is wrong")
	}
	giveBack(ctx)
	hash, err := o.Passwords.Hash(ctx, in.NewPassword)
	if err != nil {
		return Changed{}, err
	}
	result, err := o.onAccount(ctx, caller.User, account.ChangePassword{
		Stamp: o.stamp(caller), Verified: profile.PasswordHash, PasswordHash: hash, Keep: caller.Session,
	})
	return at(result.Position), err
}

// onAccount gives an account a command.
func (o *Operations) onAccount(ctx context.Context, user domain.UserID, c account.Command) (command.Result[account.State], error) {
	return command.Execute(ctx, o.Log, command.Account, command.Request[account.Command]{
		Aggregate: user.Aggregate(), Entropy: entropy(), Command: c,
	})
}

func (o *Operations) userList(ctx context.Context, _ Caller, in userListInput) (usersResult, error) {
	if len(in.ID) > MaxUsers {
		return usersResult{}, domain.Errorf(domain.TooLarge, "at most %d users are asked about at once", MaxUsers)
	}
	if _, err := o.parsePosition(in.AfterPosition); err != nil {
		return usersResult{}, err
	}
	if o.Directory == nil || in.AfterPosition != "" {
		users, err := o.users(ctx, in.ID)
		return usersResult{Users: users}, err
	}
	users, err := o.listed(ctx, in.ID)
	return usersResult{Users: users}, err
}

// listed is users from the directory, which reads many at once. Those that it does not have may be newer than it, or
// erased, and are read where nothing is behind; so are all where the directory is out of reach.
func (o *Operations) listed(ctx context.Context, ids []domain.UserID) ([]User, error) {
	placed := slices.DeleteFunc(slices.Clone(ids), func(id domain.UserID) bool { return o.placed(id.Partition()) != nil })
	found, err := o.Directory.Users(ctx, placed)
	if err != nil {
		return o.users(ctx, ids)
	}
	known := make(map[domain.UserID]User, len(found))
	for _, u := range found {
		if !u.Erased {
			known[u.ID] = foundUser(u)
		}
	}
	rest, err := o.users(ctx, slices.DeleteFunc(placed, func(id domain.UserID) bool { _, ok := known[id]; return ok }))
	if err != nil {
		return nil, err
	}
	for _, u := range rest {
		known[u.ID] = u
	}
	users := make([]User, 0, len(known))
	for _, id := range ids {
		if u, ok := known[id]; ok {
			users = append(users, u)
			delete(known, id)
		}
	}
	return users, nil
}

// users returns the users with the given ids in their order, each once, without those that do not exist.
func (o *Operations) users(ctx context.Context, ids []domain.UserID) ([]User, error) {
	found := make([]account.Profile, len(ids))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(concurrent)
	for i, id := range ids {
		group.Go(func() error {
			profile, err := o.profile(ctx, id)
			if err != nil && domain.CodeOf(err) != domain.NotFound {
				return fmt.Errorf("user %s: %w", id, err)
			}
			found[i] = profile
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	users := make([]User, 0, len(ids))
	seen := make(map[domain.UserID]bool, len(ids))
	for i, id := range ids {
		if found[i].Exists() && !seen[id] {
			seen[id] = true
			users = append(users, userObject(id, found[i]))
		}
	}
	return users, nil
}
