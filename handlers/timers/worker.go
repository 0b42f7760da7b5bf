package timers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"mpim/domain"
	"mpim/domain/conversation"
	"mpim/handlers/command"
)

// Consumer is the lease under which a partition's timers fire.
const Consumer = "timers"

// Log is the log as timers need it beside their commands.
type Log interface {
	command.Store
	// Due returns the entries of a partition's due list up to a time, the earliest first, at most limit of them.
	Due(ctx context.Context, partition int, until time.Time, limit int) ([]domain.Timer, error)
}

// Config is what a Worker needs.
type Config struct {
	Log Log
	// Interval is how often the due list is looked at. Default: 500 ms.
	Interval time.Duration
	// Now tells the time. Default: time.Now.
	Now func() time.Time
	// Logger takes what goes wrong. Default: nothing is logged.
	Logger *slog.Logger
	// Registerer takes metrics. Default: nobody does.
	Registerer prometheus.Registerer
}

const (
	// look is how many entries are read at a time.
	look = 256
	// concurrent is how many conversations' timers fire at the same time.
	concurrent = 32
	// rest is for how long an entry that came to nothing is left alone.
	rest = time.Minute
)

// Worker fires timers.
type Worker struct {
	config  Config
	metrics metrics
}

// New returns a worker. It starts nothing.
func New(c Config) (*Worker, error) {
	if c.Log == nil {
		return nil, errors.New("timers: Config.Log is missing")
	}
	if c.Interval <= 0 {
		c.Interval = 500 * time.Millisecond
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	m, err := newMetrics(c.Registerer)
	return &Worker{config: c, metrics: m}, err
}

// Run fires a partition's timers until ctx ends; then it returns nil. Two at once do no harm.
func (w *Worker) Run(ctx context.Context, partition int) error {
	resting := make(map[string]time.Time)
	for {
		next, err := w.round(ctx, partition, resting)
		if err != nil && ctx.Err() == nil {
			w.config.Logger.WarnContext(ctx, "timers wait", slog.Int("partition", partition), slog.Any("error", err))
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// Fire fires what is due in a partition now, once over.
func (w *Worker) Fire(ctx context.Context, partition int) error {
	_, err := w.round(ctx, partition, make(map[string]time.Time))
	return err
}

// round fires what is due now, and returns when to look again.
func (w *Worker) round(ctx context.Context, partition int, resting map[string]time.Time) (next time.Duration, err error) {
	now := w.config.Now()
	for name, until := range resting {
		if !until.After(now) {
			delete(resting, name)
		}
	}
	limit := look + len(resting)
	due, err := w.config.Log.Due(ctx, partition, now.Add(w.config.Interval), limit)
	if err != nil {
		return w.config.Interval, fmt.Errorf("read the due list: %w", err)
	}
	next = w.config.Interval
	var lanes lanes
	for _, timer := range due {
		switch {
		case !resting[timer.Name].IsZero():
		case timer.At.After(now):
			next = min(next, timer.At.Sub(now))
		default:
			lanes.add(timer)
		}
	}
	failed, err := w.fireAll(ctx, lanes)
	for _, name := range failed {
		resting[name] = now.Add(rest)
	}
	if err == nil && len(due) == limit && len(lanes.list) > 0 {
		next = 0 // there may be more
	}
	return next, err
}

// lanes are timers by conversation, each in order.
type lanes struct {
	list  [][]domain.Timer
	index map[domain.ConversationID]int
}

func (l *lanes) add(timer domain.Timer) {
	due, _ := conversation.ParseDue(timer.Name)
	if l.index == nil {
		l.index = make(map[domain.ConversationID]int)
	}
	i, known := l.index[due.Conversation]
	if !known {
		i = len(l.list)
		l.index[due.Conversation], l.list = i, append(l.list, nil)
	}
	l.list[i] = append(l.list[i], timer)
}

// fireAll fires timers, and returns the names of those that came to nothing. An error means that the log takes nothing
// now.
func (w *Worker) fireAll(ctx context.Context, lanes lanes) (failed []string, err error) {
	failures := make([][]string, len(lanes.list))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(concurrent)
	for i, lane := range lanes.list {
		group.Go(func() error {
			for _, timer := range lane {
				switch err := w.fire(ctx, timer); {
				case err == nil:
				case domain.CodeOf(err) == domain.Unavailable || ctx.Err() != nil:
					return err
				default:
					failures[i] = append(failures[i], timer.Name)
					w.metrics.failed.Inc()
					w.config.Logger.ErrorContext(ctx, "timer comes to nothing", slog.String("timer", timer.Name), slog.Any("error", err))
				}
			}
			return nil
		})
	}
	err = group.Wait()
	for _, names := range failures {
		failed = append(failed, names...)
	}
	return failed, err
}
