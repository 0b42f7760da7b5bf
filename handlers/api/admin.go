package api

import (
	"context"
	"strings"

	"mpim/domain"
	"mpim/domain/account"
	"mpim/projections/contacts"
)

type (
	// Account is a user as administrators see it.
	Account struct {
		User
		Suspended     bool   `json:"suspended"`
		Administrator bool   `json:"administrator"`
		Strangers     string `json:"strangers" enum:"anyone,contacts"`
	}
	accountOf struct {
		User Account `json:"user"`
	}
	accountChanged struct {
		User Account `json:"user"`
		Changed
	}
	// OfUser is embedded in parameters that name a user.
	OfUser struct {
		User string `json:"user" doc:"The id of a user, or @ and a user name."`
	}
	adminGetInput struct {
		OfUser
		ReadAfter
	}
	adminListInput struct {
		Page
	}
	listedUser struct {
		User
		Suspended bool `json:"suspended"`
	}
	adminListResult struct {
		Users []listedUser `json:"users" nullable:"false"`
		Next  string       `json:"next,omitempty"`
	}
	adminCreateInput struct {
		Username      string `json:"username"`
		Password      string `json:"password"`
		DisplayName   string `json:"display_name,omitempty"`
		Administrator bool   `json:"administrator,omitzero"`
	}
	adminSuspendInput struct {
		OfUser
		Reason string `json:"reason,omitempty" doc:"Up to 256 characters, kept in the event."`
	}
	adminPasswordInput struct {
		OfUser
		Password string `json:"password" doc:"8 to 256 bytes."`
	}
	adminAppointInput struct {
		OfUser
		Administrator bool `json:"administrator"`
	}
	adminSessionInput struct {
		OfUser
		Session string `json:"session" doc:"The id of one of the user's sessions."`
	}
)

// administers refuses whoever is no administrator now. The operator of the process is one.
func (o *Operations) administers(ctx context.Context, caller Caller) error {
	if caller.Operator {
		return nil
	}
	state, err := o.account(ctx, caller.User, account.ProfileFields())
	if err != nil {
		return err
	}
	return state.Administers()
}

// named returns the user that a request means by an id or by @ and a name.
func (o *Operations) named(user string) domain.UserID {
	if name, ok := strings.CutPrefix(user, "@"); ok {
		return o.Placement.User(name)
	}
	return domain.UserID(user)
}

func accountObject(id domain.UserID, p account.Profile) Account {
	return Account{
		User: userObject(id, p), Suspended: p.Suspended, Administrator: p.Administrator, Strangers: p.Strangers(),
	}
}

func (o *Operations) adminUserGet(ctx context.Context, _ Caller, in adminGetInput) (accountOf, error) {
	if _, err := o.parsePosition(in.AfterPosition); err != nil {
		return accountOf{}, err
	}
	user := o.named(in.User)
	profile, err := o.profile(ctx, user)
	if err != nil {
		return accountOf{}, err
	}
	return accountOf{User: accountObject(user, profile)}, nil
}

func (o *Operations) adminUserList(ctx context.Context, _ Caller, in adminListInput) (adminListResult, error) {
	limit, err := limitOf(in.Limit, defaultPage, contacts.MaxLimit)
	if err != nil {
		return adminListResult{}, err
	}
	if err := o.await(ctx, in.ReadAfter, contactsProjection); err != nil {
		return adminListResult{}, err
	}
	found, err := o.Contacts.List(ctx, domain.UserID(in.After), limit)
	if err != nil {
		return adminListResult{}, err
	}
	result := adminListResult{Users: make([]listedUser, len(found))}
	for i, u := range found {
		result.Users[i] = listedUser{User: foundUser(u), Suspended: u.Suspended}
	}
	if len(found) == limit {
		result.Next = string(found[limit-1].ID)
	}
	return result, nil
}

func (o *Operations) adminUserCreate(ctx context.Context, caller Caller, in adminCreateInput) (accountChanged, error) {
	name, err := account.Username(in.Username)
	if err != nil {
		return accountChanged{}, err
	}
	hash, err := o.newPassword(ctx, in.Password)
	if err != nil {
		return accountChanged{}, err
	}
	user := o.Placement.User(name)
	result, err := o.onAccount(ctx, user, account.Register{
		Stamp: o.stamp(caller), Username: name, DisplayName: in.DisplayName, PasswordHash: hash,
	})
	if err == nil && in.Administrator {
		result, err = o.onAccount(ctx, user, account.Appoint{Stamp: o.stamp(caller), Administrator: true})
	}
	if err != nil {
		return accountChanged{}, err
	}
	return accountChanged{accountObject(user, result.State.Profile), at(result.Position)}, nil
}

// newPassword returns the hash of a password that may be one.
func (o *Operations) newPassword(ctx context.Context, password string) (string, error) {
	if err := account.CheckPassword(password); err != nil {
		return "", err
	}
	return o.Passwords.Hash(ctx, password)
}

// administer gives an account a command, and answers with what it is afterwards.
func (o *Operations) administer(ctx context.Context, user string, c account.Command) (accountChanged, error) {
	id := o.named(user)
	if o.placed(id.Partition()) != nil {
		return accountChanged{}, noSuchUser()
	}
	result, err := o.onAccount(ctx, id, c)
	if err != nil {
		return accountChanged{}, err
	}
	return accountChanged{accountObject(id, result.State.Profile), at(result.Position)}, nil
}

func (o *Operations) adminUserSuspend(ctx context.Context, caller Caller, in adminSuspendInput) (accountChanged, error) {
	if o.named(in.User) == caller.User {
		return accountChanged{}, domain.Errorf(domain.FailedPrecondition, "nobody suspends oneself: ask another administrator")
	}
	return o.administer(ctx, in.User, account.Suspend{Stamp: o.stamp(caller), Reason: in.Reason})
}

func (o *Operations) adminUserRestore(ctx context.Context, caller Caller, in OfUser) (accountChanged, error) {
	return o.administer(ctx, in.User, account.Restore{Stamp: o.stamp(caller)})
}

func (o *Operations) adminUserPassword(ctx context.Context, caller Caller, in adminPasswordInput) (accountChanged, error) {
	hash, err := o.newPassword(ctx, in.Password)
	if err != nil {
		return accountChanged{}, err
	}
	return o.administer(ctx, in.User, account.ResetPassword{Stamp: o.stamp(caller), PasswordHash: hash})
}

func (o *Operations) adminUserAdministrator(ctx context.Context, caller Caller, in adminAppointInput) (accountChanged, error) {
	return o.administer(ctx, in.User, account.Appoint{Stamp: o.stamp(caller), Administrator: in.Administrator})
}

func (o *Operations) adminSessionList(ctx context.Context, _ Caller, in adminGetInput) (sessionListResult, error) {
	if _, err := o.parsePosition(in.AfterPosition); err != nil {
		return sessionListResult{}, err
	}
	user := o.named(in.User)
	if _, err := o.profile(ctx, user); err != nil {
		return sessionListResult{}, err
	}
	return o.sessionsOf(ctx, user, "")
}

func (o *Operations) adminSessionRevoke(ctx context.Context, caller Caller, in adminSessionInput) (Changed, error) {
	user, session := o.named(in.User), domain.SessionID(in.Session)
	if _, ok := session.Partition(); !ok || o.placed(user.Partition()) != nil {
		return Changed{}, domain.Errorf(domain.NotFound, "there is no such session")
	}
	result, err := o.onAccount(ctx, user, account.RevokeSession{
		Stamp: o.stamp(caller), Session: session, Reason: account.ByAdministrator,
	})
	return at(result.Position), err
}
