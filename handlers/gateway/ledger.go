package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"mpim/domain"
	"mpim/domain/account"
	"mpim/handlers/command"
	"mpim/schema"
)

// Accounts is the ledger that gives commands to accounts.
type Accounts struct{ Store command.Store }

// Connect records that a connection was opened.
func (a Accounts) Connect(ctx context.Context, c schema.Connected) error {
	return a.execute(ctx, c.User, account.Connect{
		Stamp: domain.NewStamp(c.User, time.Now()), Session: c.Session, Connection: c.Connection, Gateway: c.Gateway, Client: c.Client,
	})
}

// Disconnect records that it has ended.
func (a Accounts) Disconnect(ctx context.Context, c schema.Connected, reason string) error {
	err := a.execute(ctx, c.User, account.Disconnect{
		Stamp: domain.NewStamp(c.User, time.Now()), Connection: c.Connection, Reason: reason,
	})
	// What can never be recorded must not be tried for ever.
	if e, ok := errors.AsType[*domain.Error](err); ok && e.Code != domain.Unavailable && e.Code != domain.Internal {
		return nil
	}
	return err
}

func (a Accounts) execute(ctx context.Context, user domain.UserID, c account.Command) error {
	entropy := make([]byte, domain.EventEntropy)
	_, _ = rand.Read(entropy)
	_, err := command.Execute(ctx, a.Store, command.Account, command.Request[account.Command]{
		Aggregate: user.Aggregate(), Command: c, Entropy: entropy,
	})
	return err
}
