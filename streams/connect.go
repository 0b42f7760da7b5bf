package streams

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/redis/go-redis/v9"
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
	return redis.NewClient(options), nil
}
