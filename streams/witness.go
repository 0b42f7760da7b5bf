package streams

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// headKey holds the signed head that was written last.
const headKey = "audit:head"

// Witness keeps the newest signed head of the audit in Redis, where who can write to SQL alone cannot change it.
type Witness struct {
	// Client reaches the server; it is not closed.
	Client redis.UniversalClient
}

// Kept returns the head that was kept last, nil for none.
func (w Witness) Kept(ctx context.Context) ([]byte, error) {
	head, err := w.Client.Get(ctx, headKey).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the signed head that is kept in Redis: %w", err)
	}
	return head, nil
}

// Keep keeps a head in the place of the one before.
func (w Witness) Keep(ctx context.Context, signed []byte) error {
	if err := w.Client.Set(ctx, headKey, signed, 0).Err(); err != nil {
		return fmt.Errorf("keep the signed head in Redis: %w", err)
	}
	return nil
}
