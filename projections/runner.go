package projections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"

	"mpim/schema"
)

// Config is what a Runner may be given. The zero value works.
type Config struct {
	// Logger takes what is parked and what fails. Default: nothing is logged.
	Logger *slog.Logger
	// Registerer takes the metrics. Default: there are none.
	Registerer prometheus.Registerer
	// Head returns the sequence counter of a partition as it was read last, for the lag in events; false where it is not
	// known. Default: that lag is not shown.
	Head func(partition int) (int64, bool)
}

// Runner applies batches to one projection. Its Handle is a Watermill handler.
type Runner struct {
	projection Projection
	logger     *slog.Logger
	metrics    *metrics

	mu sync.Mutex
	// parked is what the runner knows of the parked keys, by partition.
	parked map[int]*parkedKeys
}

// parkedKeys are the keys of one partition behind which later events must park, as they were under one token.
type parkedKeys struct {
	token int64
	keys  map[Key]bool
}

// NewRunner returns a runner of the projection. An error says that its metrics are registered already.
func NewRunner(p Projection, c Config) (*Runner, error) {
	logger := c.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	m := newMetrics(p.Name(), c.Head)
	if c.Registerer != nil {
		if err := c.Registerer.Register(m); err != nil {
			return nil, fmt.Errorf("register metrics of projection %s: %w", p.Name(), err)
		}
	}
	return &Runner{
		projection: p,
		logger:     logger.With(slog.String("projection", p.Name())),
		metrics:    m,
		parked:     make(map[int]*parkedKeys),
	}, nil
}

// Projection returns what the runner runs.
func (r *Runner) Projection() Projection { return r.projection }

// Forget drops what the runner remembers of a partition, for when its lease is gone: the lag of a partition is shown by
// who owns it.
func (r *Runner) Forget(partition int) {
	r.mu.Lock()
	delete(r.parked, partition)
	r.mu.Unlock()
	r.metrics.forget(partition)
}

// Handle applies the batch that the message's context carries ([schema.BatchFrom]). It is a message.NoPublishHandlerFunc.
//
// It returns nil once the checkpoint stands at the batch's end. It returns ErrDeposed when the partition has to be taken
// again, and any other error when the same batch should be delivered again after a while.
func (r *Runner) Handle(msg *message.Message) error {
	batch := schema.BatchFrom(msg.Context())
	if batch == nil {
		return errors.New("the message carries no batch: it was not delivered by the batch subscriber")
	}
	return r.Apply(msg.Context(), batch)
}

var _ message.NoPublishHandlerFunc = (*Runner)(nil).Handle

// Apply applies a batch like Handle.
func (r *Runner) Apply(ctx context.Context, batch *schema.Batch) error {
	if err := r.handle(ctx, batch); err != nil {
		return fmt.Errorf("projection %s, partition %d, events %d to %d: %w",
			r.projection.Name(), batch.Partition, batch.From, batch.To, err)
	}
	return nil
}

// For returns a runner of another build of the same projection. They share metrics.
func (r *Runner) For(p Projection) *Runner {
	return &Runner{projection: p, logger: r.logger, metrics: r.metrics, parked: make(map[int]*parkedKeys)}
}

func (r *Runner) handle(ctx context.Context, batch *schema.Batch) error {
	if err := check(batch); err != nil {
		return err
	}
	keys, err := r.keysOf(ctx, batch)
	if err != nil {
		return err
	}
	run := &run{Runner: r, batch: batch, parked: keys}
	err = run.apply(ctx, batch.Records)
	if err != nil {
		r.failed(batch.Partition, err)
	}
	return err
}

// failed notes that a batch was given back. What is parked by then is read again.
func (r *Runner) failed(partition int, err error) {
	r.mu.Lock()
	delete(r.parked, partition)
	r.mu.Unlock()
	r.metrics.failed(err)
	if errors.Is(err, ErrDeposed) {
		r.metrics.forget(partition)
	}
}

// check refuses a batch with a gap before anything is done with it, because a gap applied is an event lost.
func check(b *schema.Batch) error {
	if b.From < 1 || b.To != b.From+int64(len(b.Records))-1 {
		return fmt.Errorf("the batch has %d records", len(b.Records))
	}
	for i, record := range b.Records {
		if want := b.From + int64(i); record.Seq != want {
			return fmt.Errorf("the batch has event %d where %d belongs", record.Seq, want)
		}
	}
	return nil
}

// keysOf returns the parked keys of the batch's partition. They are read when the partition was taken anew, and, because
// somebody may retry or discard what is parked, before each batch while there are any.
func (r *Runner) keysOf(ctx context.Context, b *schema.Batch) (map[Key]bool, error) {
	r.mu.Lock()
	known := r.parked[b.Partition]
	r.mu.Unlock()
	if known != nil && known.token == b.Token && len(known.keys) == 0 {
		return known.keys, nil
	}
	keys, err := r.projection.Parked(ctx, b.Partition)
	if err != nil {
		return nil, fmt.Errorf("read what is parked: %w", err)
	}
	known = &parkedKeys{token: b.Token, keys: make(map[Key]bool, len(keys))}
	for _, key := range keys {
		known.keys[key] = true
	}
	r.mu.Lock()
	r.parked[b.Partition] = known
	r.mu.Unlock()
	return known.keys, nil
}

// do does one step. A panic of the projection is an error of the step.
func (r *Runner) do(ctx context.Context, step Step) (err error) {
	defer func() {
		if p := recover(); p != nil {
			r.logger.ErrorContext(ctx, "projection panicked",
				slog.Int("partition", step.Partition), slog.Int64("from", step.From), slog.Int64("to", step.To),
				slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			err = fmt.Errorf("the projection panicked: %v", p)
		}
	}()
	return r.projection.Apply(ctx, step)
}

// stepOf returns the step for a run of a batch, without its parked records.
func stepOf(b *schema.Batch, records []*schema.Record) Step {
	first, last := records[0], records[len(records)-1]
	step := Step{Batch: schema.Batch{
		Partition: b.Partition, Token: b.Token, From: first.Seq, To: last.Seq, StreamID: last.StreamID,
	}}
	for _, record := range slices.Backward(records) {
		if !record.At.IsZero() {
			step.At = record.At
			break
		}
	}
	return step
}
