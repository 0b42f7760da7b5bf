package auth_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"mpim/domain"
	"mpim/handlers/auth"
)

var cheap = auth.PasswordParams{Memory: 8, Iterations: 1}

func newPasswords(t *testing.T, config auth.PasswordsConfig) *auth.Passwords {
	t.Helper()
	passwords, err := auth.NewPasswords(config)
	if err != nil {
		t.Fatal(err)
	}
	return passwords
}

func TestPasswords(t *testing.T) {
	passwords := newPasswords(t, auth.PasswordsConfig{Params: cheap})
	hash, err := passwords.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		password, hash string
		want           bool
	}{
		{"correct horse", hash, true},
		{"wrong horse", hash, false},
		{"", hash, false},
		{"", "", false},
		{"correct horse", "", false},
	} {
		if got, err := passwords.Matches(t.Context(), c.password, c.hash); got != c.want || err != nil {
			t.Errorf("Matches(%q, %.8q…) = %v, %v; want %v", c.password, c.hash, got, err, c.want)
		}
	}
	if _, err := passwords.Matches(t.Context(), "x", "no hash"); err == nil {
		t.Error("a damaged hash is passed over in silence")
	}
}

func TestOldHashesKeepTheirParams(t *testing.T) {
	hash, err := newPasswords(t, auth.PasswordsConfig{Params: cheap}).Hash(t.Context(), "secret word")
	if err != nil {
		t.Fatal(err)
	}
	dearer := newPasswords(t, auth.PasswordsConfig{Params: auth.PasswordParams{Memory: 64, Iterations: 2}})
	if ok, err := dearer.Matches(t.Context(), "secret word", hash); !ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
}

// A flood must neither run all at once nor queue without end. Each hash here takes long enough for the others to arrive.
func TestAFloodIsTurnedAway(t *testing.T) {
	passwords := newPasswords(t, auth.PasswordsConfig{
		Params: auth.PasswordParams{Memory: 8 << 10, Iterations: 4}, Concurrent: 1, Waiting: 2,
	})
	var wait sync.WaitGroup
	results := make(chan error, 40)
	for range cap(results) {
		wait.Go(func() {
			_, err := passwords.Hash(t.Context(), "password")
			results <- err
		})
	}
	wait.Wait()
	close(results)
	var done, refused int
	for err := range results {
		switch {
		case err == nil:
			done++
		case domain.CodeOf(err) == domain.Unavailable:
			refused++
		default:
			t.Errorf("got %v", err)
		}
	}
	if done < 3 || refused == 0 {
		t.Errorf("%d hashed and %d refused of %d", done, refused, cap(results))
	}
}

func TestWaitingEndsWithTheContextOrWithPatience(t *testing.T) {
	passwords := newPasswords(t, auth.PasswordsConfig{
		Params: auth.PasswordParams{Memory: 32 << 10, Iterations: 20}, Concurrent: 1, Patience: time.Millisecond,
	})
	running, done := make(chan struct{}), make(chan struct{})
	go func() {
		close(running)
		_, _ = passwords.Hash(context.WithoutCancel(t.Context()), "slow")
		close(done)
	}()
	<-running
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, ctx := range []context.Context{ended, t.Context()} {
		// Whoever finds the slot free, before the other began or after it ended, is served.
		if _, err := passwords.Hash(ctx, "waits"); err != nil && domain.CodeOf(err) != domain.Unavailable {
			t.Errorf("got %v, want unavailable", err)
		}
	}
	<-done
}
