package gateway

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"mpim/schema"
)

// departures records connections that have ended: ten thousand may at once, and each has to be recorded, or it would
// seem open for as long as this gateway lives.
type departures struct {
	ledger Ledger
	bus    Bus
	logger *slog.Logger

	mu    sync.Mutex
	queue []departure
	wake  chan struct{}
}

type departure struct {
	entry  schema.Connected
	reason string
}

const (
	// departureWorkers is how many are recorded at a time.
	departureWorkers = 64
	// departureTimeout bounds one attempt, departureFlush all that is left when the gateway stops.
	departureTimeout = 5 * time.Second
	departureFlush   = 10 * time.Second
	departurePause   = 500 * time.Millisecond
)

func newDepartures(l Ledger, b Bus, logger *slog.Logger) *departures {
	return &departures{ledger: l, bus: b, logger: logger, wake: make(chan struct{}, 1)}
}

// add has a departure recorded.
func (d *departures) add(one departure) {
	d.mu.Lock()
	d.queue = append(d.queue, one)
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// run records until the context ends, and then what is left.
func (d *departures) run(ctx context.Context) error {
	for {
		select {
		case <-d.wake:
			if !d.record(context.WithoutCancel(ctx)) && !wait(ctx, departurePause) {
				continue
			}
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), departureFlush)
			defer cancel()
			for !d.record(last) {
				if !wait(last, departurePause) {
					d.logger.Warn("not all connections that ended were recorded; they expire", slog.Int("left", len(d.take())))
					return nil
				}
			}
			return nil
		}
	}
}

// record tries all that are waiting, and is false where some have to be tried again.
func (d *departures) record(ctx context.Context) bool {
	var workers errgroup.Group
	workers.SetLimit(departureWorkers)
	var mu sync.Mutex
	var failed []departure
	var reason error
	for _, one := range d.take() {
		workers.Go(func() error {
			if err := d.recordOne(ctx, one); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed, reason = append(failed, one), err
			}
			return nil
		})
	}
	_ = workers.Wait()
	if failed == nil {
		return true
	}
	d.logger.Warn("ends of connections are not recorded yet", slog.Int("connections", len(failed)), slog.Any("error", reason))
	for _, one := range failed {
		d.add(one)
	}
	return false
}

func (d *departures) take() []departure {
	d.mu.Lock()
	defer d.mu.Unlock()
	queue := d.queue
	d.queue = nil
	return queue
}

func (d *departures) recordOne(ctx context.Context, one departure) error {
	ctx, cancel := context.WithTimeout(ctx, departureTimeout)
	defer cancel()
	// First the bus: it stops the pushes. Both may be repeated.
	e := one.entry
	partition, _ := e.User.Partition()
	gone := schema.Disconnected{Connection: e.Connection, User: e.User, Gateway: e.Gateway}
	if err := d.bus.Disconnected(ctx, partition, gone); err != nil {
		return err
	}
	return d.ledger.Disconnect(ctx, one.entry, one.reason)
}
