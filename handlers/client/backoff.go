package client

import (
	"context"
	"math/rand/v2"
	"time"
)

// backOff waits longer each time, at random, so that those who lost the same gateway do not come back together.
type backOff struct{ attempt int }

const (
	firstWait = 250 * time.Millisecond
	longWait  = 15 * time.Second
)

// next returns how long to wait: a random part of a limit that doubles, and no less than atLeast.
func (b *backOff) next(atLeast time.Duration) time.Duration {
	limit := min(firstWait<<min(b.attempt, 10), longWait)
	b.attempt++
	return atLeast + rand.N(limit) //nolint:gosec // a pause needs no secret
}

// pause waits, or returns why the context ended.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
