package auth

import (
	"context"
	"fmt"

	"mpim/domain"
	"mpim/domain/account"
)

// Loader reads decision state.
type Loader interface {
	// Load returns the named fields of an aggregate.
	Load(ctx context.Context, aggregate domain.Aggregate, fields []string) (domain.Fields, error)
}

// Gate lets in who has a token of a session that stands.
type Gate struct {
	tokens *Tokens
	loader Loader
}

// NewGate returns a gate.
func NewGate(tokens *Tokens, loader Loader) *Gate { return &Gate{tokens: tokens, loader: loader} }

// Admit returns whose access token it is. An error is of kind Unauthenticated where the token is not valid or the session
// was revoked, PermissionDenied where the account is suspended, and Unavailable where that cannot be told now.
func (g *Gate) Admit(ctx context.Context, token string) (Principal, error) {
	principal, err := g.tokens.Access(token)
	if err != nil {
		return Principal{}, err
	}
	fields, err := g.loader.Load(ctx, principal.User.Aggregate(), account.SessionFields(principal.Session))
	if err != nil {
		return Principal{}, fmt.Errorf("load the session: %w", err)
	}
	state, err := account.Load(fields)
	if err != nil {
		return Principal{}, fmt.Errorf("read the session: %w", err)
	}
	return principal, state.Admits(principal.Session)
}
