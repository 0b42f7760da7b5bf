package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"mpim/streams"
)

// stage is a set of parts that run together, and stop together before the stages that were started earlier. A part
// blocks until its context ends.
type stage struct {
	name string
	// stopWithin bounds how long the parts may take to stop.
	stopWithin time.Duration
	parts      []func(context.Context) error
	// up, where it is set, says whether the parts have come up.
	up func() bool
}

// runStages starts the stages in order and calls ready. When ctx ends, or a part fails, it stops them in the opposite
// order, each before the next, so that nothing loses what it still needs. It returns the first failure.
func runStages(ctx context.Context, logger *slog.Logger, stages []stage, ready func()) error {
	failed, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	running := make([]*runningStage, 0, len(stages))
	for _, s := range stages {
		running = append(running, s.start(ctx, fail))
	}
	if waitUp(failed, stages) {
		ready()
	}
	<-failed.Done()
	cause := context.Cause(failed)
	if ctx.Err() != nil {
		cause = nil
	}
	for _, r := range slices.Backward(running) {
		if err := r.stop(); err != nil {
			logger.Error("a part did not stop cleanly", slog.String("stage", r.name), slog.Any("error", err))
			cause = errors.Join(cause, err)
		}
	}
	return cause
}

// waitUp waits until all stages are up, and is false where the context ends first.
func waitUp(ctx context.Context, stages []stage) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for _, s := range stages {
		for s.up != nil && !s.up() {
			select {
			case <-ctx.Done():
				return false
			case <-tick.C:
			}
		}
	}
	return ctx.Err() == nil
}

type runningStage struct {
	stage
	cancel context.CancelFunc
	done   chan error
}

// start runs the parts under a context that only stop ends, so that stages end one after the other.
func (s stage) start(ctx context.Context, fail context.CancelCauseFunc) *runningStage {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	group, groupCtx := errgroup.WithContext(own)
	for _, part := range s.parts {
		group.Go(func() error {
			err := part(groupCtx)
			if err != nil && own.Err() == nil {
				fail(fmt.Errorf("%s: %w", s.name, err))
			}
			return err
		})
	}
	r := &runningStage{stage: s, cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- group.Wait() }()
	return r
}

func (r *runningStage) stop() error {
	r.cancel()
	limit := time.NewTimer(r.stopWithin)
	defer limit.Stop()
	select {
	case err := <-r.done:
		if errors.Is(err, context.Canceled) || errors.Is(err, streams.ErrNewEpoch) {
			return nil
		}
		return err
	case <-limit.C:
		return fmt.Errorf("%s did not stop within %s", r.name, r.stopWithin)
	}
}
