package reactor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"

	"mpim/domain"
	"mpim/handlers/webhook"
	"mpim/projections/deadletters"
	"mpim/schema"
)

// BrokenKey is the metadata with which package stock marks what it could not decode.
const BrokenKey = "_broken"

// ErrNever marks an error after which trying again is of no use.
var ErrNever = errors.New("trying again does not help")

// Letters keeps what was given up.
type Letters interface {
	Put(ctx context.Context, letters []deadletters.Letter) error
}

// Handler causes the side effect of an event. Done says whether there was one to cause.
type Handler interface {
	// Name is that of the reactor, its consumer group and its dead letters. It never changes.
	Name() string
	// Handles says whether events of a type have a side effect.
	Handles(t domain.EventType) bool
	// React causes it. Events may come twice, in any order, and at the same time.
	React(ctx context.Context, r *schema.Record) (done bool, err error)
}

// Opener opens what is sealed in records.
type Opener interface {
	// Open opens the records in place. An error says that the keys cannot be had just now.
	Open(ctx context.Context, records []*schema.Record) error
}

// Config is what a Reactor needs. Zero values mean the defaults.
type Config struct {
	Handler Handler
	Letters Letters
	// Opener may be nil: then records are as the log has them.
	Opener Opener
	// Patience is how long an event is tried again before it goes to the dead letters. The default is two minutes.
	Patience time.Duration
	// Attempt bounds one attempt. The default is 30 seconds.
	Attempt time.Duration
	// Wait says how long to wait after a failed attempt. The default is webhook.Wait.
	Wait func(attempt int, err error) time.Duration
	// Logger takes what goes wrong; nothing is logged where it is nil.
	Logger *slog.Logger
	// Registerer takes the metrics; nil for none.
	Registerer prometheus.Registerer
}

// Reactor calls a handler for each event.
type Reactor struct {
	config Config
	events *prometheus.CounterVec
	tries  prometheus.Counter
}

// New returns a reactor.
func New(c Config) (*Reactor, error) {
	if c.Handler == nil || c.Letters == nil {
		return nil, errors.New("reactor: Handler and Letters are both needed")
	}
	if c.Patience == 0 {
		c.Patience = 2 * time.Minute
	}
	if c.Attempt == 0 {
		c.Attempt = 30 * time.Second
	}
	if c.Wait == nil {
		c.Wait = webhook.Wait
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Logger = c.Logger.With(slog.String("reactor", c.Handler.Name()))
	labels := prometheus.Labels{"reactor": c.Handler.Name()}
	r := &Reactor{
		config: c,
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mpim_reactor_events_total", ConstLabels: labels,
			Help: "Events handled, by result: done, nothing (there was nothing to do), dead (given up).",
		}, []string{"result"}),
		tries: prometheus.NewCounter(prometheus.CounterOpts{Name: "mpim_reactor_failures_total", ConstLabels: labels, Help: "Attempts that failed."}),
	}
	if c.Registerer != nil {
		for _, collector := range []prometheus.Collector{r.events, r.tries} {
			if err := c.Registerer.Register(collector); err != nil {
				return nil, fmt.Errorf("reactor %s: %w", c.Handler.Name(), err)
			}
		}
	}
	return r, nil
}

// Partition returns the Watermill handler for one partition.
func (r *Reactor) Partition(partition int) message.NoPublishHandlerFunc {
	return func(m *message.Message) error { return r.handle(partition, m) }
}

func (r *Reactor) handle(partition int, m *message.Message) error {
	record, err := schema.RecordOf(partition, m.UUID, m.Metadata, m.Payload)
	if why := m.Metadata.Get(BrokenKey); why != "" {
		err = errors.New(why)
	}
	if err != nil {
		now := time.Now()
		return r.giveUp(m.Context(), &record, err, 1, now, now)
	}
	if !r.config.Handler.Handles(record.Type) {
		return nil
	}
	first := time.Now()
	for attempt := 1; ; attempt++ {
		done, err := r.attempt(m.Context(), &record)
		switch {
		case err == nil && done:
			r.events.WithLabelValues("done").Inc()
			return nil
		case err == nil:
			r.events.WithLabelValues("nothing").Inc()
			return nil
		case m.Context().Err() != nil: // this worker stops: another one takes it
			return m.Context().Err()
		}
		r.tries.Inc()
		left := r.config.Patience - time.Since(first)
		if left <= 0 || errors.Is(err, ErrNever) {
			return r.giveUp(m.Context(), &record, err, attempt, first, time.Now())
		}
		if err := pause(m.Context(), min(left, r.config.Wait(attempt, err))); err != nil {
			return err
		}
	}
}

func (r *Reactor) attempt(ctx context.Context, record *schema.Record) (done bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.config.Attempt)
	defer cancel()
	if r.config.Opener != nil {
		if err := r.config.Opener.Open(ctx, []*schema.Record{record}); err != nil {
			return false, err
		}
	}
	return r.config.Handler.React(ctx, record)
}

// giveUp writes the dead letter. Where it cannot be written the event comes again.
func (r *Reactor) giveUp(ctx context.Context, record *schema.Record, reason error, attempts int, first, last time.Time) error {
	letter := deadletters.Of(r.config.Handler.Name(), record, reason, attempts, first, last)
	if err := r.config.Letters.Put(ctx, []deadletters.Letter{letter}); err != nil {
		r.config.Logger.WarnContext(ctx, "dead letter cannot be written", slog.String("position", letter.Position().String()), slog.Any("error", err))
		return err
	}
	r.events.WithLabelValues("dead").Inc()
	r.config.Logger.ErrorContext(ctx, "side effect given up", slog.String("position", letter.Position().String()),
		slog.Int("attempts", attempts), slog.Any("error", reason))
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
