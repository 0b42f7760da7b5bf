package checkpoint

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

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
	// Interval is how long a poller pauses between two polls. Default: 2 ms.
	Interval time.Duration
	// Logger takes what goes wrong. Default: nothing is logged.
	Logger *slog.Logger
}

// Waiter lets readers wait until projections have passed positions, so that they see what they or others wrote.
//
// One poller a projection serves all who wait for it, and rests while nobody does: a thousand clients that synchronise at
// once cost the store no more than one.
type Waiter struct {
	config WaiterConfig
	lines  map[string]*line
}

// freshness is for how long a position that was read is believed without asking again. Checkpoints only rise, but for a
// projection that is built anew.
const freshness = time.Second

// NewWaiter returns a waiter. Nothing is polled until Run.
func NewWaiter(config WaiterConfig) *Waiter {
	if config.Timeout == 0 {
		config.Timeout = 2 * time.Second
	}
	if config.Interval == 0 {
		config.Interval = 2 * time.Millisecond
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	w := &Waiter{config: config, lines: make(map[string]*line, len(config.Sources))}
	for projection, source := range config.Sources {
		w.lines[projection] = &line{
			projection: projection, source: source, wake: make(chan struct{}, 1),
			waits: make(map[*wait]struct{}), known: make(map[int]known),
		}
	}
	return w
}

// Run polls until ctx ends. It returns nil.
func (w *Waiter) Run(ctx context.Context) error {
	var group errgroup.Group
	for _, l := range w.lines {
		group.Go(func() error {
			w.poll(ctx, l)
			return nil
		})
	}
	return group.Wait()
}

// Wait returns once the projection has passed all positions. An error is of kind Unavailable when that took too long, or
// when the checkpoints cannot be read; it is the context's where that ended first.
func (w *Waiter) Wait(ctx context.Context, projection string, positions ...domain.Position) error {
	l := w.lines[projection]
	if l == nil {
		return domain.Errorf(domain.Internal, "nobody can wait for projection %q", projection)
	}
	waiting := l.add(positions)
	if waiting == nil {
		return nil
	}
	timer := time.NewTimer(w.config.Timeout)
	defer timer.Stop()
	select {
	case <-waiting.done:
		return nil
	case <-ctx.Done():
		_ = l.remove(waiting)
		return ctx.Err()
	case <-timer.C:
		cause := l.remove(waiting)
		return domain.Wrap(domain.Unavailable, cause, "%s is behind: try again", projection)
	}
}

// poll serves those who wait in a line.
func (w *Waiter) poll(ctx context.Context, l *line) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		}
		for partitions := l.wanted(); len(partitions) > 0; partitions = l.wanted() {
			pause := w.config.Interval
			positions, err := l.source.Positions(ctx, l.projection, partitions)
			if ctx.Err() != nil {
				return
			}
			if l.learn(partitions, positions, err) {
				w.config.Logger.WarnContext(ctx, "checkpoints cannot be read",
					slog.String("projection", l.projection), slog.Any("error", err))
			}
			if err != nil {
				pause = max(pause, 50*time.Millisecond)
			}
			timer := time.NewTimer(pause)
			select {
			case <-ctx.Done():
				timer.Stop()
				return
			case <-timer.C:
			}
		}
	}
}

// line is those who wait for one projection.
type line struct {
	projection string
	source     Source
	// wake holds a token when somebody began to wait.
	wake chan struct{}

	mu    sync.Mutex
	waits map[*wait]struct{}
	known map[int]known
	err   error // of the last poll
}

// known is a position as it was read.
type known struct {
	seq int64
	at  time.Time
}

// wait is one caller of Wait.
type wait struct {
	// needs are the positions that have not been passed yet.
	needs []domain.Position
	done  chan struct{}
}

// add begins to wait. It returns nil where all was passed already.
func (l *line) add(positions []domain.Position) *wait {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	w := &wait{done: make(chan struct{})}
	for _, p := range positions {
		if k := l.known[p.Partition]; p.Seq > 0 && (k.seq < p.Seq || now.Sub(k.at) > freshness) {
			w.needs = append(w.needs, p)
		}
	}
	if len(w.needs) == 0 {
		return nil
	}
	l.waits[w] = struct{}{}
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return w
}

// remove ends a wait that was not fulfilled, and returns what the last poll failed with.
func (l *line) remove(w *wait) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.waits, w)
	return l.err
}

// wanted returns the partitions that somebody waits for, in order.
func (l *line) wanted() []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	var partitions []int
	for w := range l.waits {
		for _, p := range w.needs {
			partitions = append(partitions, p.Partition)
		}
	}
	slices.Sort(partitions)
	return slices.Compact(partitions)
}

// learn takes in what a poll found and lets go who waited for it. It says whether the poll was the first to fail.
func (l *line) learn(partitions []int, positions []int64, err error) (failed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	failed = err != nil && l.err == nil
	l.err = err
	if err != nil {
		return failed
	}
	now := time.Now()
	for i, partition := range partitions {
		l.known[partition] = known{positions[i], now}
	}
	for w := range l.waits {
		// Only what this poll has read counts: the wait may name partitions that nobody asked for when it began.
		w.needs = slices.DeleteFunc(w.needs, func(p domain.Position) bool {
			i, read := slices.BinarySearch(partitions, p.Partition)
			return read && positions[i] >= p.Seq
		})
		if len(w.needs) == 0 {
			delete(l.waits, w)
			close(w.done)
		}
	}
	return false
}
