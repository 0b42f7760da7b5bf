package auth_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"mpim/domain"
	"mpim/domain/account"
	"mpim/handlers/auth"
	"mpim/handlers/command"
	"mpim/handlers/command/commandtest"
)

func execute(t *testing.T, log *commandtest.Log, c account.Command) {
	t.Helper()
	_, err := command.Execute(t.Context(), log, command.Account, command.Request[account.Command]{
		Aggregate: alice.Aggregate(), Command: c, Entropy: make([]byte, domain.EventEntropy),
	})
	if err != nil {
		t.Fatalf("%T: %v", c, err)
	}
}

func TestTheGateAsksWhetherTheSessionStands(t *testing.T) {
	log := commandtest.New(placement.Partitions)
	tokens := newTokens(t, auth.TokensConfig{})
	gate := auth.NewGate(tokens, log)
	issued := issue(t, tokens, time.Now())
	refused := func(when string) {
		t.Helper()
		if _, err := gate.Admit(t.Context(), issued.Access); domain.CodeOf(err) != domain.Unauthenticated {
			t.Errorf("%s: got %v, want unauthenticated", when, err)
		}
	}
	stamp := domain.NewStamp(alice, time.Now())

	refused("without an account")
	execute(t, log, account.Register{Stamp: stamp, Username: "alice", PasswordHash: "hash"})
	refused("without a session")
	execute(t, log, account.CreateSession{Stamp: stamp, Session: session, RefreshHash: issued.RefreshHash, Verified: "hash"})
	principal, err := gate.Admit(t.Context(), issued.Access)
	if err != nil || principal.User != alice || principal.Session != session {
		t.Errorf("got %+v, %v", principal, err)
	}
	execute(t, log, account.RevokeSession{Stamp: stamp, Session: session})
	refused("after it was revoked")
}

// hanging is a log that never answers.
type hanging struct{}

// Load waits for the end of the request.
func (hanging) Load(ctx context.Context, _ domain.Aggregate, _ []string) (domain.Fields, error) {
	<-ctx.Done()
	return nil, errors.New("i/o timeout")
}

func (hanging) Settled(context.Context, domain.Aggregate) error { return nil }

// losing is a log that may have lost something.
type losing struct{ *commandtest.Log }

func (losing) Settled(context.Context, domain.Aggregate) error {
	return domain.Errorf(domain.Unavailable, "a part of the log was lost")
}

func TestTheGateEndsNoSessionThatWasLost(t *testing.T) {
	tokens := newTokens(t, auth.TokensConfig{})
	issued := issue(t, tokens, time.Now())
	_, err := auth.NewGate(tokens, losing{commandtest.New(placement.Partitions)}).Admit(t.Context(), issued.Access)
	if domain.CodeOf(err) != domain.Unavailable {
		t.Errorf("got %v, want unavailable", err)
	}
}

func TestTheGateDoesNotWaitForALogThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens := newTokens(t, auth.TokensConfig{})
		issued := issue(t, tokens, time.Now())
		began := time.Now()
		_, err := auth.NewGate(tokens, hanging{}).Admit(t.Context(), issued.Access)
		if domain.CodeOf(err) != domain.Unavailable {
			t.Errorf("got %v, want unavailable", err)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("took %s", took)
		}
	})
}
