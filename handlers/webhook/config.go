package webhook

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mpim/projections/deadletters"
	"mpim/projections/webhooks"
	"mpim/schema"
)

// Consumer is the name under which partitions are leased for webhooks.
const Consumer = "webhooks"

// Reader reads the log.
type Reader interface {
	// Partition yields the records of a partition after a checkpoint, up to the newest when the read began or later.
	Partition(ctx context.Context, partition int, after schema.Checkpoint) iter.Seq2[*schema.Record, error]
	// Heads returns the last sequence of every partition.
	Heads(ctx context.Context) ([]int64, error)
}

// Store keeps webhooks and how far they are, as webhooks.Store does.
type Store interface {
	List(ctx context.Context) ([]webhooks.Webhook, error)
	Take(ctx context.Context, webhook string, partition int, token int64) (webhooks.Checkpoint, error)
	Advance(ctx context.Context, c webhooks.Checkpoint, to int64, delivered int, letters ...deadletters.Letter) (webhooks.Checkpoint, error)
	Fail(ctx context.Context, c webhooks.Checkpoint, f webhooks.Failing) (webhooks.Checkpoint, error)
}

// Poster makes requests, as Sender does.
type Poster interface {
	Send(ctx context.Context, r Request) error
}

// Config is what a Worker needs. Zero values mean the defaults.
type Config struct {
	Store  Store
	Reader Reader
	Poster Poster
	// BatchEvents and BatchBytes bound what is sent at once. The defaults are 100 and 256 KiB; one event may be larger.
	BatchEvents, BatchBytes int
	// GiveUp is how long an event is sent again and again before it goes to the dead letters. The default is 24 hours.
	GiveUp time.Duration
	// GiveUpRefused is that for an event which the receiver, asked about it alone, refuses as such (400, 413, 415, 422).
	// The default is 10 minutes.
	GiveUpRefused time.Duration
	// Look is how often the log is asked for new events. The default is 100 milliseconds.
	Look time.Duration
	// Refresh is how often the webhooks are read. The default is one second.
	Refresh time.Duration
	// Grace is how long a request that is under way may take when the lease is handed over. The default is 3 seconds.
	Grace time.Duration
	// Wait says how long to wait after a failed attempt. The default is [Wait].
	Wait func(attempt int, err error) time.Duration
	// Lost says that the context of a lease ended because the lease is gone, so that what is under way has to end at once.
	// The default never does.
	Lost func(ctx context.Context) bool
	// Line shows an event. The default is schema.NewLine.
	Line func(r *schema.Record) (schema.Line, error)
	// Logger takes what goes wrong; nothing is logged where it is nil.
	Logger *slog.Logger
	// Registerer takes the metrics; nil for none.
	Registerer prometheus.Registerer
}

func (c *Config) complete() error {
	setDefault(&c.BatchEvents, 100)
	setDefault(&c.BatchBytes, 256<<10)
	setDefault(&c.GiveUp, 24*time.Hour)
	setDefault(&c.GiveUpRefused, min(10*time.Minute, c.GiveUp))
	setDefault(&c.Look, 100*time.Millisecond)
	setDefault(&c.Refresh, time.Second)
	setDefault(&c.Grace, 3*time.Second)
	if c.Wait == nil {
		c.Wait = Wait
	}
	if c.Lost == nil {
		c.Lost = func(context.Context) bool { return false }
	}
	if c.Line == nil {
		c.Line = schema.NewLine
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Store == nil || c.Reader == nil || c.Poster == nil {
		return errors.New("webhook: Store, Reader and Poster are all needed")
	}
	return nil
}

func setDefault[T comparable](value *T, standard T) {
	var zero T
	if *value == zero {
		*value = standard
	}
}
