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
	// over says that the ledger takes nothing any more.
	over func() bool

	mu    sync.Mutex
	queue []departure
	wake  chan struct{}
	// left is what was not recorded when run had returned.
	left []departure
}

type departure struct {
	entry  schema.Connected
	reason string
	// told says that the push owners know: each time they are told is an entry that Redis keeps for an hour.
	told bool
}

const (
	// departureWorkers is how many are recorded at a time.
	departureWorkers = 64
	// departureTimeout bounds one attempt, departureFlush all that is left when the gateway stops.
	departureTimeout = 5 * time.Second
	departureFlush   = 5 * time.Second
	// Those that failed are tried again after a pause, which doubles up to the longest.
	departurePause        = 500 * time.Millisecond
	departurePauseLongest = 10 * time.Second
)

func newDepartures(l Ledger, b Bus, logger *slog.Logger) *departures {
	return &departures{ledger: l, bus: b, logger: logger, over: func() bool { return false }, wake: make(chan struct{}, 1)}
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
	// What is under way when the context ends has as long as the rest.
	limit, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(departureFlush, cancel) })()
	pause := departurePause
	var left []departure
	var again <-chan time.Time // nil while none has failed
	for {
		select {
		case <-ctx.Done():
			d.left = d.flush(limit, left)
			return nil
		case <-d.wake:
			left = append(left, d.record(limit, d.take())...)
		case <-again:
			again = nil
			left = d.record(limit, left)
			pause = min(2*pause, departurePauseLongest)
		}
		switch {
		case len(left) == 0:
			pause, again = departurePause, nil
		case again == nil:
			again = time.After(pause)
		}
	}
}

// flush records what is left until the context ends.
func (d *departures) flush(ctx context.Context, left []departure) []departure {
	for {
		left = d.record(ctx, append(left, d.take()...))
		if len(left) == 0 {
			return nil
		}
		if d.over() || !wait(ctx, departurePause) {
			d.logger.Warn("not all connections that ended were recorded; they expire", slog.Int("left", len(left)))
			return left
		}
	}
}

// record tries departures, and returns those that have to be tried again. When as many failed as are tried at a time, the
// others would hardly fare better: they are returned untried, and first.
func (d *departures) record(ctx context.Context, all []departure) (left []departure) {
	var workers errgroup.Group
	workers.SetLimit(departureWorkers)
	var mu sync.Mutex
	var failed []departure
	var reason error
	hopeless := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(failed) >= departureWorkers
	}
	for i, one := range all {
		if hopeless() || ctx.Err() != nil {
			left = append(left, all[i:]...)
			break
		}
		workers.Go(func() error {
			if err := d.recordOne(ctx, &one); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed, reason = append(failed, one), err
			}
			return nil
		})
	}
	_ = workers.Wait()
	left = append(left, failed...)
	if reason != nil {
		d.logger.Warn("ends of connections are not recorded yet", slog.Int("connections", len(left)), slog.Any("error", reason))
	}
	return left
}

func (d *departures) take() []departure {
	d.mu.Lock()
	defer d.mu.Unlock()
	queue := d.queue
	d.queue = nil
	return queue
}

func (d *departures) recordOne(ctx context.Context, one *departure) error {
	ctx, cancel := context.WithTimeout(ctx, departureTimeout)
	defer cancel()
	if !one.told {
		// First the bus: it stops the pushes.
		e := one.entry
		partition, _ := e.User.Partition()
		gone := schema.Disconnected{Connection: e.Connection, User: e.User, Gateway: e.Gateway}
		if err := d.bus.Disconnected(ctx, partition, gone); err != nil {
			return err
		}
		one.told = true
	}
	return d.ledger.Disconnect(ctx, one.entry, one.reason)
}
