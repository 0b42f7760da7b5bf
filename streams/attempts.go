package streams

import (
	"context"
	_ "embed"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/attempt.lua
var attemptLua string

var attemptScript = redis.NewScript(attemptLua)

// Attempts counts, across all gateways, what may be done only a few times: logins that fail, registrations.
type Attempts struct {
	// Client reaches the server; it is not closed.
	Client redis.UniversalClient
}

// Take takes one of limit attempts in the window that began with the first of them. Where none is left, it returns how
// long until the window ends; otherwise 0.
func (a Attempts) Take(ctx context.Context, key string, limit int, window time.Duration) (wait time.Duration, err error) {
	ms, err := attemptScript.Run(ctx, a.Client, []string{attemptKey(key)}, limit, window.Milliseconds()).Int64()
	if err != nil {
		return 0, unreachable(err)
	}
	return time.Duration(ms) * time.Millisecond, nil
}

// Return gives one back. An attempt whose window has ended meanwhile needs no giving back.
func (a Attempts) Return(ctx context.Context, key string) error {
	if err := attemptScript.Run(ctx, a.Client, []string{attemptKey(key)}, -1, 0).Err(); err != nil {
		return unreachable(err)
	}
	return nil
}

func attemptKey(key string) string { return "attempts:{" + key + "}" }
