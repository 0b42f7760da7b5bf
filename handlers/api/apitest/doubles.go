package apitest

import (
	"context"
	"sync"
	"time"

	"mpim/domain"
	"mpim/schema"
)

// waiter lets the projections catch up in the time in which the real one would wait for them.
type waiter struct{ bench *Bench }

// Wait folds, and is true to the real one where the projection is held.
func (w waiter) Wait(ctx context.Context, projection string, positions ...domain.Position) error {
	if err := w.bench.Fold(ctx); err != nil {
		return err
	}
	w.bench.mu.Lock()
	defer w.bench.mu.Unlock()
	for _, p := range positions {
		if applied := w.bench.applied[projection]; p.Seq > 0 && (applied == nil || applied[p.Partition] < p.Seq) {
			return domain.Errorf(domain.Unavailable, "%s is behind: try again", projection)
		}
	}
	return nil
}

type typing struct{ bench *Bench }

// Typing keeps the entry.
func (t typing) Typing(_ context.Context, _ int, entry schema.Typing) error {
	t.bench.mu.Lock()
	defer t.bench.mu.Unlock()
	t.bench.Typed = append(t.bench.Typed, entry)
	return nil
}

// Attempts counts in memory, in windows that never end.
type Attempts struct {
	mu    sync.Mutex
	taken map[string]int
}

// Take takes an attempt.
func (a *Attempts) Take(_ context.Context, key string, limit int, window time.Duration) (time.Duration, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.taken[key] >= limit {
		return window, nil
	}
	if a.taken == nil {
		a.taken = make(map[string]int)
	}
	a.taken[key]++
	return 0, nil
}

// Return gives one back.
func (a *Attempts) Return(_ context.Context, key string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.taken[key]--
	return nil
}
