package push

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"golang.org/x/sync/errgroup"

	"mpim/projections"
	"mpim/schema"
)

// Owner pushes the partitions that this process holds leases for. Its methods may be called from any goroutine once Run
// has started.
type Owner struct {
	config   Config
	logger   *slog.Logger
	metrics  *metrics
	registry *registry
	loaded   chan struct{} // closed when the registry is
	aside    chan folded

	mu         sync.Mutex
	partitions map[int]*partition
	pending    map[string]struct{} // gateways that are to get a heartbeat at once
	everyone   bool                // all of them
	wake       chan struct{}

	// rounds takes one while heartbeats are sent and checkpoints saved, so that older ones do not overtake newer ones. It
	// is a channel so that nobody has to wait for it longer than for what is sent.
	rounds  chan struct{}
	counted int
}

// New returns an owner. It does nothing before Run.
func New(config Config) (*Owner, error) {
	if err := config.complete(); err != nil {
		return nil, err
	}
	o := &Owner{
		config: config, logger: config.Logger,
		loaded:     make(chan struct{}),
		aside:      make(chan folded, asideQueue),
		partitions: make(map[int]*partition),
		pending:    make(map[string]struct{}),
		wake:       make(chan struct{}, 1),
		rounds:     make(chan struct{}, 1),
	}
	o.registry = newRegistry(config.Partitions, o.folded)
	var err error
	if o.metrics, err = newMetrics(config.Registerer, o.registry); err != nil {
		return nil, fmt.Errorf("push: %w", err)
	}
	return o, nil
}

// Run keeps the registry of connections, tells gateways how far it and the partitions are, and saves checkpoints, until
// ctx ends. Then it does the last two once more, and returns nil. End it after whatever calls Handle.
func (o *Owner) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return o.follow(ctx) })
	group.Go(func() error { return o.beat(ctx) })
	group.Go(func() error { return o.sendAside(ctx) })
	return group.Wait()
}

// Take begins to push a partition under a lease, and returns from where: the checkpoint, or the end of the log where that
// is too far away. It is what the batch subscriber calls for the consumer's checkpoint; called again under the same
// token it returns how far the partition is. The error wraps projections.ErrDeposed where a newer lease has it.
//
// It returns once every connection is known that was said to be open before it was called. So a gateway that found
// nobody pushing this partition, or somebody else, when its connection was open has nothing to wait for.
func (o *Owner) Take(ctx context.Context, number int, token int64) (schema.Checkpoint, error) {
	if p := o.partition(number); p != nil && p.token == token {
		return p.retake(ctx)
	}
	if err := o.catchUp(ctx); err != nil {
		return schema.Checkpoint{}, err
	}
	from, ok, err := o.config.Bus.TakeCheckpoint(ctx, number, token)
	if err != nil {
		return from, fmt.Errorf("push: checkpoint of partition %d: %w", number, err)
	}
	if !ok {
		return from, fmt.Errorf("push: partition %d: %w", number, projections.ErrDeposed)
	}
	if from, err = o.startOf(ctx, number, from); err != nil {
		return from, fmt.Errorf("push: end of partition %d: %w", number, err)
	}
	o.mu.Lock()
	o.partitions[number] = newPartition(o, number, token, from)
	o.mu.Unlock()
	o.beatSoon(nil)
	return from, nil
}

// catchUp waits until the registry has all that is in the presence streams now.
func (o *Owner) catchUp(ctx context.Context) error {
	select {
	case <-o.loaded:
	case <-ctx.Done():
		return fmt.Errorf("push: the registry of connections is not loaded: %w", context.Cause(ctx))
	}
	heads, err := o.config.Bus.PresenceHeads(ctx)
	if err != nil {
		return fmt.Errorf("push: presence streams: %w", err)
	}
	for {
		reached, changed := o.registry.reached(heads)
		if reached {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("push: the registry of connections is behind: %w", context.Cause(ctx))
		}
	}
}

// startOf returns from where to push: the checkpoint, or the end of the log.
func (o *Owner) startOf(ctx context.Context, number int, from schema.Checkpoint) (schema.Checkpoint, error) {
	heads, err := o.config.Bus.LogHeads(ctx, []int{number})
	if err != nil {
		return from, err
	}
	head := heads[0]
	if head == from {
		return from, nil
	}
	first, stands, err := o.config.Bus.After(ctx, number, from.StreamID)
	if err != nil {
		return from, err
	}
	// A log that lost its end goes on with other events than were pushed, under the same sequences.
	if stands && head.Seq > from.Seq && !o.lags(head, from.Seq, first.String(), 1) {
		return from, nil
	}
	o.metrics.skipped.Add(float64(max(head.Seq-from.Seq, 0)))
	o.logger.Warn("pushing goes on at the end of the log, and clients resynchronise",
		slog.Int("partition", number), slog.Int64("checkpoint_seq", from.Seq), slog.Int64("head_seq", head.Seq))
	return head, nil
}

// lags says whether more than a share of too much lies between an event and the end of the log: events after seq, or time
// after the event at streamID. Both times are of the server's clock.
func (o *Owner) lags(head schema.Checkpoint, seq int64, streamID string, share int64) bool {
	if head.Seq <= seq {
		return false
	}
	if head.Seq-seq > o.config.SkipEvents/share {
		return true
	}
	last, errLast := schema.ParseStreamID(head.StreamID)
	first, errFirst := schema.ParseStreamID(streamID)
	if errLast != nil || errFirst != nil || first == (schema.StreamID{}) || last.Milliseconds < first.Milliseconds {
		return false
	}
	return last.Milliseconds-first.Milliseconds > uint64(o.config.SkipAge.Milliseconds()/share) //nolint:gosec // not negative
}

// Handle pushes the batch of a message. It is a handler of the Watermill router. An error means that nothing of the batch
// was sent, and that it may be tried again.
func (o *Owner) Handle(msg *message.Message) error {
	b := schema.BatchFrom(msg.Context())
	if b == nil {
		return errors.New("push: the message carries no batch")
	}
	p := o.partition(b.Partition)
	if p == nil || p.token != b.Token {
		return fmt.Errorf("push: batch of partition %d under token %d: %w", b.Partition, b.Token, projections.ErrDeposed)
	}
	return p.handle(msg.Context(), b)
}

// Release ends pushing a partition under a lease: gateways are told how far it is, and then the checkpoint is saved, so
// that the next owner goes on where this one ended. Call it before the lease is given back. It takes no longer than ctx,
// nor than two seconds, however many partitions are released at once; what was not saved by then is pushed twice.
func (o *Owner) Release(ctx context.Context, number int, token int64) {
	p := o.partition(number)
	if p == nil || p.token != token {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lastBeat)
	defer cancel()
	o.round(ctx)
	o.drop(p)
}

func (o *Owner) partition(number int) *partition {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.partitions[number]
}

// held returns the partitions, by number.
func (o *Owner) held() []*partition {
	o.mu.Lock()
	defer o.mu.Unlock()
	held := slices.Collect(maps.Values(o.partitions))
	slices.SortFunc(held, func(a, b *partition) int { return a.number - b.number })
	return held
}

func (o *Owner) drop(p *partition) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.partitions[p.number] == p {
		delete(o.partitions, p.number)
	}
}

// publish sends messages, again where that fails, but not for long: others wait behind. What could not be sent is missing
// in the count of its gateway, which will notice.
func (o *Owner) publish(ctx context.Context, messages []schema.Outgoing) bool {
	if len(messages) == 0 {
		return true
	}
	o.metrics.sent(messages)
	failed, err := o.config.Bus.Publish(ctx, messages)
	for _, pause := range publishRetries {
		if len(failed) == 0 {
			return true
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
			failed, err = o.config.Bus.Publish(ctx, failed)
		}
	}
	if len(failed) == 0 {
		return true
	}
	o.metrics.lost.Add(float64(len(failed)))
	o.logger.Warn("messages to gateways could not be published", slog.Int("messages", len(failed)), slog.Any("error", err))
	return false
}

var publishRetries = []time.Duration{10 * time.Millisecond, 50 * time.Millisecond, 200 * time.Millisecond}
