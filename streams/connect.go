package streams

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Connect returns a client for redis:// and rediss:// addresses. It does not reach out yet; the caller closes it.
// Pool is how many connections it may open.
func Connect(address string, pool int) (redis.UniversalClient, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("the Redis address is no URL: write redis://host:6379/0")
	}
	switch u.Scheme {
	case "redis", "rediss":
	default:
		return nil, fmt.Errorf("the Redis address starts with %q: write redis://host:6379/0, or rediss:// for TLS", u.Scheme+"://")
	}
	options, err := redis.ParseURL(address)
	if err != nil {
		return nil, fmt.Errorf("the Redis address is not understood: %w", err)
	}
	options.PoolSize = pool
	options.ReadTimeout = 5 * time.Second
	options.DisableIdentity = true
	// A call ends with its context, so that a server that hangs holds nobody up for longer than he wants to wait.
	options.ContextTimeoutEnabled = true
	// Plain servers announce no maintenance, and asking for it races with connections that are set aside.
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return redis.NewClient(options), nil
}
