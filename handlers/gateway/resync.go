package gateway

import (
	"context"
	"sync/atomic"
	"time"
)

// resyncer tells connections that pushes may be missing, spread over time: thousands of clients that sync at once would
// make it slow for all.
type resyncer struct {
	hub    *hub
	spread time.Duration
	count  func(n int)

	losses atomic.Int64 // how often a loss was noticed
	wake   chan struct{}
}

func newResyncer(h *hub, spread time.Duration, count func(int)) *resyncer {
	return &resyncer{hub: h, spread: spread, count: count, wake: make(chan struct{}, 1)}
}

// all has every connection told that something was lost before now.
func (r *resyncer) all() {
	r.note()
	r.begin()
}

// note notes a loss: who is welcomed from now on has missed nothing by it.
func (r *resyncer) note() { r.losses.Add(1) }

// begin begins a round.
func (r *resyncer) begin() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// run tells them until the context ends.
func (r *resyncer) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
			r.round(ctx)
		}
	}
}

// round tells every connection once. A loss that is noticed meanwhile begins another round after this one, which passes
// over those who were told, or welcomed, after it.
func (r *resyncer) round(ctx context.Context) {
	told := 0
	spread(ctx, r.hub.all(), r.spread, func(c *conn) {
		if c.resync(r.losses.Load()) {
			told++
		}
	})
	r.count(told)
}

// spreadStep is how often some connections have their turn.
const spreadStep = 50 * time.Millisecond

// spread does something to each connection, the first at once and the others evenly over the given time. It is false
// where the context ends first.
func spread(ctx context.Context, conns []*conn, over time.Duration, do func(*conn)) bool {
	steps := max(1, int(over/spreadStep))
	done := 0
	for step := 1; done < len(conns); step++ {
		if step > 1 && !wait(ctx, spreadStep) {
			return false
		}
		for due := (len(conns)*step + steps - 1) / steps; done < due; done++ {
			do(conns[done])
		}
	}
	return true
}

// resync tells the connection to sync, unless it was told or welcomed after that many losses, or is being made known
// again: then it is told when it is.
func (c *conn) resync(losses int64) (told bool) {
	c.do(func(s *Session, now time.Time) (step Step) {
		if c.losses >= losses || c.gateway.revivals.has(c) {
			return step
		}
		c.losses = losses
		told = true
		return s.Resync(now)
	})
	if told {
		// The end of a membership may be what was missed.
		c.doubt(ending{})
	}
	return told
}
