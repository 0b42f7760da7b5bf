package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"mpim/domain"
	"mpim/domain/account"
	"mpim/handlers/auth"
	"mpim/handlers/command"
)

type (
	loginInput struct {
		Username   string `json:"username"`
		Password   string `json:"password"`
		DeviceID   string `json:"device_id,omitempty" doc:"A known one replaces that device's session."`
		DeviceName string `json:"device_name,omitempty"`
	}
	refreshInput struct {
		RefreshToken string `json:"refresh_token"`
	}
	// Login is the result of session.create and session.refresh.
	Login struct {
		Token        string           `json:"token"`
		RefreshToken string           `json:"refresh_token" doc:"Works once."`
		ExpiresAt    string           `json:"expires_at" format:"date-time"`
		Session      domain.SessionID `json:"session"`
		User         User             `json:"user"`
		Changed
	}
	sessionListInput struct {
		ReadAfter
	}
	sessionListResult struct {
		Sessions []sessionObject `json:"sessions" nullable:"false"`
	}
	sessionObject struct {
		Session    domain.SessionID `json:"session"`
		DeviceID   string           `json:"device_id"`
		DeviceName string           `json:"device_name"`
		CreatedAt  string           `json:"created_at" format:"date-time"`
		LastSeenAt string           `json:"last_seen_at" format:"date-time"`
		Online     bool             `json:"online"`
		Current    bool             `json:"current"`
	}
	sessionInput struct {
		Session string `json:"session" doc:"The id of a session, or current."`
	}
)

// errLogin does not say which of the two is wrong, so that nobody learns here which names exist.
var errLogin = domain.Errorf(domain.Unauthenticated, "the user name or the password is wrong")

func (o *Operations) login(ctx context.Context, caller Caller, in loginInput) (Login, error) {
	if in.Username == "" || in.Password == "" {
		return Login{}, domain.Errorf(domain.InvalidArgument, "a login needs username and password")
	}
	user := o.Placement.User(in.Username)
	// Taken before the password is checked, so that a thousand tries at once are not a thousand tries; given back where
	// it was right, because only failures count.
	key := fmt.Sprintf("login:%s:%s", user, caller.RemoteAddr)
	giveBack, err := o.attempt(ctx, key, o.rates.Load().LoginPerMinute, time.Minute)
	if err != nil {
		return Login{}, err
	}
	profile, err := o.profile(ctx, user)
	if err != nil && domain.CodeOf(err) != domain.NotFound {
		giveBack(ctx)
		return Login{}, err
	}
	// Where there is no account the hash is empty, and checking it takes as long.
	matches, err := o.Passwords.Matches(ctx, in.Password, profile.PasswordHash)
	if err != nil {
		giveBack(ctx)
		return Login{}, err
	}
	if !matches {
		return Login{}, errLogin
	}
	giveBack(ctx)
	return o.createSession(ctx, user, profile, in)
}

func (o *Operations) createSession(ctx context.Context, user domain.UserID, profile account.Profile, in loginInput) (Login, error) {
	now := o.Now()
	session := domain.NewSessionID(user, entropy())
	issued, err := o.Tokens.Issue(user, session, now)
	if err != nil {
		return Login{}, err
	}
	result, err := command.Execute(ctx, o.Log, command.Account, command.Request[account.Command]{
		Aggregate: user.Aggregate(), Entropy: entropy(),
		Command: account.CreateSession{
			Stamp: domain.NewStamp(user, now), Session: session, DeviceID: in.DeviceID, DeviceName: in.DeviceName,
			RefreshHash: issued.RefreshHash, Verified: profile.PasswordHash,
		},
	})
	if err != nil {
		return Login{}, err
	}
	return loginResult(user, session, issued, result), nil
}

func (o *Operations) refresh(ctx context.Context, _ Caller, in refreshInput) (Login, error) {
	presented, err := o.Tokens.Refresh(in.RefreshToken)
	if err != nil {
		return Login{}, err
	}
	now := o.Now()
	issued, err := o.Tokens.Issue(presented.User, presented.Session, now)
	if err != nil {
		return Login{}, err
	}
	result, err := command.Execute(ctx, o.Log, command.Account, command.Request[account.Command]{
		Aggregate: presented.User.Aggregate(), Entropy: entropy(),
		Command: account.RefreshSession{
			Stamp: domain.NewStamp(presented.User, now), Session: presented.Session,
			Presented: presented.Hash, Next: issued.RefreshHash,
		},
	})
	if err != nil {
		return Login{}, err
	}
	return loginResult(presented.User, presented.Session, issued, result), nil
}

func loginResult(user domain.UserID, session domain.SessionID, issued auth.Issued, result command.Result[account.State]) Login {
	return Login{
		Token: issued.Access, RefreshToken: issued.Refresh, ExpiresAt: formatTime(issued.ExpiresAt), Session: session,
		User: userObject(user, result.State.Profile), Changed: at(result.Position),
	}
}

func (o *Operations) sessions(ctx context.Context, caller Caller, in sessionListInput) (sessionListResult, error) {
	if _, err := o.parsePosition(in.AfterPosition); err != nil {
		return sessionListResult{}, err
	}
	return o.sessionsOf(ctx, caller.User, caller.Session)
}

// sessionsOf lists a user's sessions, the newest first.
func (o *Operations) sessionsOf(ctx context.Context, user domain.UserID, current domain.SessionID) (sessionListResult, error) {
	state, err := o.account(ctx, user, nil)
	if err != nil {
		return sessionListResult{}, err
	}
	online := make(map[domain.SessionID]bool)
	for _, connection := range state.Connections {
		online[connection.Session] = true
	}
	list := make([]sessionObject, 0, len(state.Sessions))
	for id, s := range state.Sessions {
		seen := s.LastUsedAt
		if online[id] {
			seen = o.Now()
		}
		list = append(list, sessionObject{
			Session: id, DeviceID: s.DeviceID, DeviceName: s.DeviceName, CreatedAt: formatTime(s.CreatedAt),
			LastSeenAt: formatTime(seen), Online: online[id], Current: id == current,
		})
	}
	slices.SortFunc(list, func(a, b sessionObject) int {
		return cmp.Or(cmp.Compare(b.CreatedAt, a.CreatedAt), cmp.Compare(a.Session, b.Session))
	})
	return sessionListResult{Sessions: list}, nil
}

func (o *Operations) revoke(ctx context.Context, caller Caller, in sessionInput) (Changed, error) {
	session := domain.SessionID(in.Session)
	if session == "current" {
		session = caller.Session
	}
	if _, ok := session.Partition(); !ok {
		return Changed{}, domain.Errorf(domain.NotFound, "there is no such session")
	}
	result, err := command.Execute(ctx, o.Log, command.Account, command.Request[account.Command]{
		Aggregate: caller.User.Aggregate(), Entropy: entropy(),
		Command: account.RevokeSession{Stamp: o.stamp(caller), Session: session},
	})
	return at(result.Position), err
}
