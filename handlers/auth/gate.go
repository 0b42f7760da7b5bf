package auth

import (
	"context"
	"fmt"
	"time"

	"mpim/domain"
	"mpim/domain/account"
)

// Loader reads decision state.
type Loader interface {
	// Load returns the named fields of an aggregate.
	Load(ctx context.Context, aggregate domain.Aggregate, fields []string) (domain.Fields, error)
	// Settled returns an error where the log may have lost what an aggregate had.
	Settled(ctx context.Context, aggregate domain.Aggregate) error
}

// loadTimeout is how long a session may take to load. A log that takes longer does not answer.
const loadTimeout = 2 * time.Second

// Gate lets in who has a token of a session that stands.
type Gate struct {
	tokens *Tokens
	loader Loader
}

// NewGate returns a gate.
func NewGate(tokens *Tokens, loader Loader) *Gate { return &Gate{tokens: tokens, loader: loader} }

// Admit returns whose access token it is. An error is of kind Unauthenticated where the token is not valid or the session
// was revoked, PermissionDenied where the account is suspended, and Unavailable where that cannot be told within 2 s.
func (g *Gate) Admit(ctx context.Context, token string) (Principal, error) {
	principal, err := g.tokens.Access(token)
	if err != nil {
		return Principal{}, err
	}
	limited, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	fields, err := g.loader.Load(limited, principal.User.Aggregate(), account.SessionFields(principal.Session))
	if err != nil && limited.Err() != nil {
		return Principal{}, domain.Wrap(domain.Unavailable, err, "the session could not be looked up in time: try again")
	}
	if err != nil {
		return Principal{}, fmt.Errorf("load the session: %w", err)
	}
	state, err := account.Load(fields)
	if err != nil {
		return Principal{}, fmt.Errorf("read the session: %w", err)
	}
	err = state.Admits(principal.Session)
	if domain.CodeOf(err) == domain.Unauthenticated {
		// Clients forget a session that has ended. One that the log has lost may come back.
		if unsettled := g.loader.Settled(limited, principal.User.Aggregate()); unsettled != nil {
			return Principal{}, fmt.Errorf("see whether the session was lost: %w", unsettled)
		}
	}
	return principal, err
}
