package checkpoint

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"mpim/domain"
)

// Source reads how far a projection has come.
type Source interface {
	// Positions returns the sequence of the projection's checkpoint in each of the partitions, in their order; 0 where it
	// has not begun.
	Positions(ctx context.Context, projection string, partitions []int) ([]int64, error)
}

// WaiterConfig is what a Waiter needs.
type WaiterConfig struct {
	// Sources answer for each projection that can be waited for, by name.
	Sources map[string]Source
	// Timeout is how long a Wait waits at most. Default: 2 s.
	Timeout time.Duration
	// Interval is how long the poller pauses between two polls. Default: 2 ms.
	Interval time.Duration
	// Logger takes what goes wrong. Default: nothing is logged.
	Logger *slog.Logger
}

// Waiter lets readers wait until projections have passed positions, so that they see what they or others wrote. One
// poller serves all who wait: see Run.
type Waiter struct{ config WaiterConfig }

// NewWaiter returns a waiter. Nothing is polled until Run.
func NewWaiter(config WaiterConfig) *Waiter { return &Waiter{config: config} }

// Run polls until ctx ends. It returns nil.
func (w *Waiter) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Wait returns once the projection has passed all positions. An error is of kind Unavailable when that took too long, or
// when the checkpoints cannot be read; it is the context's where that ended first.
func (w *Waiter) Wait(ctx context.Context, projection string, positions ...domain.Position) error {
	return errors.New("later")
}
