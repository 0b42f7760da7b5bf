package batch

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"mpim/schema"
	"mpim/streams/lease"
)

var (
	// errRetake ends a session whose checkpoint turned out to stand elsewhere.
	errRetake = errors.New("the checkpoint stands elsewhere")
	// errEnded is why a batch's context ends when its subscription does.
	errEnded = errors.New("the subscription ended")
)

// partition is one leased partition while somebody is subscribed.
type partition struct {
	*Subscriber
	lease.Lease

	consumer *consumer
	out      chan<- *message.Message
	logger   *slog.Logger
	stopped  prometheus.Gauge
}

// run reads and delivers until ctx ends, which is the lease's, or end is closed.
func (p *partition) run(ctx context.Context, end <-chan struct{}) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-end:
			cancel(errEnded)
		case <-stop:
		}
	}()
	p.stopped = p.metrics.stopped.WithLabelValues(p.Consumer, strconv.Itoa(p.Partition))
	defer p.metrics.stopped.DeleteLabelValues(p.Consumer, strconv.Itoa(p.Partition))
	for ctx.Err() == nil {
		checkpoint, ok := p.take(ctx)
		if !ok {
			return
		}
		p.config.Saw(p.Partition, checkpoint.Seq)
		err := p.session(ctx, checkpoint)
		if gap, ok := errors.AsType[*GapError](err); ok && ctx.Err() == nil {
			p.stopped.Set(1)
			p.logger.ErrorContext(ctx, "partition stopped: the log does not go on where the consumer stands",
				slog.Any("error", gap), slog.Duration("retry_in", p.config.StopRetry))
			if gap.Got <= gap.After {
				p.config.Lost(ctx, p.Partition, gap.After, gap)
			}
			pause(ctx, p.config.StopRetry)
		}
	}
}

// take returns the checkpoint, after as many tries as it takes. It is false when ctx ended.
func (p *partition) take(ctx context.Context) (schema.Checkpoint, bool) {
	for wait := p.backoff(); ctx.Err() == nil; pause(ctx, wait.next()) {
		checkpoint, err := p.consumer.Checkpoints.Take(ctx, p.Partition, p.Token)
		if err == nil {
			return checkpoint, true
		}
		if ctx.Err() == nil {
			p.metrics.failures.WithLabelValues(p.Consumer).Inc()
			p.logger.WarnContext(ctx, "checkpoint could not be taken", slog.Int64("token", p.Token), slog.Any("error", err))
		}
	}
	return schema.Checkpoint{}, false
}

// session reads and delivers from a checkpoint until ctx ends, or the partition has to be taken again.
func (p *partition) session(ctx context.Context, from schema.Checkpoint) error {
	// Not buffered: while one batch is worked on the reader has the next in hand, and no more.
	batches := make(chan *schema.Batch)
	g, reading := errgroup.WithContext(ctx)
	g.Go(func() error { return newReader(p, from).run(reading, batches) })
	g.Go(func() error {
		for {
			select {
			case b := <-batches:
				if err := p.deliver(ctx, b); err != nil {
					return err
				}
			case <-reading.Done():
				return nil
			}
		}
	})
	return g.Wait()
}

// backoff is a wait that doubles, with jitter so that partitions that failed together do not try again together.
type backoff struct{ wait, limit time.Duration }

func (p *partition) backoff() backoff { return backoff{p.config.Retry, p.config.MaxRetry} }

func (b *backoff) next() time.Duration {
	wait := b.wait
	b.wait = min(2*b.wait, b.limit)
	return wait/2 + rand.N(wait/2+1) //nolint:gosec // jitter
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
