package auth

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/alexedwards/argon2id"

	"mpim/domain"
)

// PasswordParams is what one hash costs.
type PasswordParams struct {
	// Memory is in KiB, Iterations how often it is passed over.
	Memory, Iterations uint32
}

// PasswordsConfig bounds hashing.
type PasswordsConfig struct {
	// Params is the cost of new hashes; old ones are checked with their own. Default: 19 MiB and 2 passes, of the choices
	// that OWASP holds equal the one that takes little memory.
	Params PasswordParams
	// Concurrent is how many hashes are computed at a time. Default: half the processors, at least one.
	Concurrent int
	// Waiting is how many more may wait; others get unavailable. Default: 64 for each concurrent one.
	Waiting int
	// Patience is how long one waits at most. Default: 5 s.
	Patience time.Duration
}

// Passwords hashes and checks passwords. It is safe for concurrent use.
type Passwords struct {
	config  PasswordsConfig
	params  argon2id.Params
	slots   chan struct{}
	waiting atomic.Int64
	// nobody is a hash that no password matches, checked where there is no account so that this takes as long.
	nobody string
}

// NewPasswords returns passwords within the configured bounds. It computes one hash.
func NewPasswords(config PasswordsConfig) (*Passwords, error) {
	if config.Params == (PasswordParams{}) {
		config.Params = PasswordParams{Memory: 19 << 10, Iterations: 2}
	}
	if config.Concurrent <= 0 {
		config.Concurrent = max(1, runtime.GOMAXPROCS(0)/2)
	}
	if config.Waiting <= 0 {
		config.Waiting = 64 * config.Concurrent
	}
	if config.Patience <= 0 {
		config.Patience = 5 * time.Second
	}
	if config.Params.Memory < 8 || config.Params.Iterations < 1 {
		return nil, fmt.Errorf("auth: Params of %d KiB and %d passes are less than argon2id has",
			config.Params.Memory, config.Params.Iterations)
	}
	p := &Passwords{
		config: config,
		params: argon2id.Params{
			Memory: config.Params.Memory, Iterations: config.Params.Iterations, Parallelism: 1, SaltLength: 16, KeyLength: 32,
		},
		slots: make(chan struct{}, config.Concurrent),
	}
	var err error
	p.nobody, err = argon2id.CreateHash("", &p.params)
	return p, err
}

// Hash returns the hash of a password, in the PHC string format. An error is of kind Unavailable when too many wait.
func (p *Passwords) Hash(ctx context.Context, password string) (string, error) {
	release, err := p.acquire(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	hash, err := argon2id.CreateHash(password, &p.params)
	if err != nil {
		return "", fmt.Errorf("hash a password: %w", err)
	}
	return hash, nil
}

// Matches says whether the hash is that of the password. An empty hash, that of an account which does not exist, matches
// nothing, and takes as long to say so. An error is of kind Unavailable when too many wait.
func (p *Passwords) Matches(ctx context.Context, password, hash string) (bool, error) {
	release, err := p.acquire(ctx)
	if err != nil {
		return false, err
	}
	defer release()
	exists := hash != ""
	if !exists {
		hash = p.nobody
	}
	matches, err := argon2id.ComparePasswordAndHash(password, hash)
	if err != nil {
		return false, fmt.Errorf("check a password: %w", err)
	}
	return matches && exists, nil
}

// acquire waits for a turn.
func (p *Passwords) acquire(ctx context.Context) (release func(), err error) {
	release = func() { <-p.slots }
	select {
	case p.slots <- struct{}{}:
		return release, nil
	default:
	}
	defer p.waiting.Add(-1)
	if p.waiting.Add(1) > int64(p.config.Waiting) {
		return nil, p.busy(errors.New("the queue is full"))
	}
	timer := time.NewTimer(p.config.Patience)
	defer timer.Stop()
	select {
	case p.slots <- struct{}{}:
		return release, nil
	case <-timer.C:
		return nil, p.busy(errors.New("waited too long"))
	case <-ctx.Done():
		return nil, p.busy(ctx.Err())
	}
}

func (p *Passwords) busy(cause error) error {
	return &domain.Error{
		Code: domain.Unavailable, Message: "too many log in at the same time: try again", RetryAfter: time.Second, Cause: cause,
	}
}
