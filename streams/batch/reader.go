package batch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/schema"
)

// reader reads one partition behind a checkpoint and makes batches of it.
type reader struct {
	*partition

	key string
	// last is the place of the last event that was read, and lastID its address.
	last   int64
	lastID streamID
	// adrift says that the group's cursor may not stand at last.
	adrift bool

	conn atomic.Pointer[connection] // nil where there is none
}

func newReader(p *partition, from schema.Checkpoint) *reader {
	return &reader{
		partition: p, key: schema.PartitionKey(p.Partition, "log"),
		last: from.Seq, lastID: parseStreamID(from.StreamID), adrift: true,
	}
}

// run sends batches until ctx ends, which is no error, or the log does not go on.
func (r *reader) run(ctx context.Context, batches chan<- *schema.Batch) error {
	done := make(chan struct{})
	interrupted := make(chan struct{})
	go func() {
		defer close(interrupted)
		r.interrupt(ctx, done)
	}()
	defer func() {
		close(done)
		<-interrupted
		r.disconnect()
	}()
	wait := r.backoff()
	for ctx.Err() == nil {
		records, err := r.collect(ctx)
		for len(records) > 0 {
			var b *schema.Batch
			b, records = r.cut(records)
			select {
			case batches <- b:
			case <-ctx.Done():
				return nil
			}
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			wait = r.backoff()
		case isGap(err):
			return err
		default:
			r.metrics.failures.WithLabelValues(r.Consumer).Inc()
			r.logger.WarnContext(ctx, "log could not be read", slog.Any("error", err))
			pause(ctx, wait.next())
		}
	}
	return nil
}

// cut takes a batch from the front of some records.
func (r *reader) cut(records []*schema.Record) (*schema.Batch, []*schema.Record) {
	n, bytes := 0, 0
	for n < len(records) && n < r.consumer.Size {
		bytes += len(records[n].Metadata) + len(records[n].Payload)
		if n > 0 && bytes > r.consumer.Bytes {
			break
		}
		n++
	}
	first, last := records[0], records[n-1]
	return &schema.Batch{
		Partition: r.Partition, Token: r.Token,
		From: first.Seq, To: last.Seq, StreamID: last.StreamID, Records: records[:n:n],
	}, records[n:]
}

// collect returns the next records, few or none when nothing came. Records may come with an error: they precede it.
func (r *reader) collect(ctx context.Context) ([]*schema.Record, error) {
	records, err := r.read(ctx, nil, r.config.Block)
	if err != nil || len(records) == 0 || len(records) >= r.consumer.Size || r.consumer.Linger == 0 || r.adrift {
		return records, err
	}
	if pause(ctx, r.consumer.Linger); ctx.Err() == nil {
		records, err = r.read(ctx, records, -1)
	}
	return records, err
}

// read appends what one read brings. Any error but a GapError leaves the reader adrift.
func (r *reader) read(ctx context.Context, records []*schema.Record, block time.Duration) ([]*schema.Record, error) {
	if err := r.ready(ctx); err != nil {
		r.disconnect()
		return records, err
	}
	// Not a child of ctx: when that ends the read is interrupted by the server, so that it is known what was delivered.
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(block, 0)+2*time.Second)
	defer cancel()
	streams, err := r.conn.Load().XReadGroup(limit, &redis.XReadGroupArgs{
		Group: r.Consumer, Consumer: r.config.Worker, Streams: []string{r.key, ">"},
		Count: int64(r.consumer.Size - len(records)), Block: block, NoAck: true,
	}).Result()
	switch {
	case errors.Is(err, redis.Nil): // nothing came
	case redis.HasErrorPrefix(err, "NOGROUP"):
		r.adrift = true
		return records, fmt.Errorf("the group is gone and will be made again: %w", err)
	case err != nil:
		r.adrift = true
		r.disconnect()
		r.relocate(ctx, err)
		return records, fmt.Errorf("read: %w", err)
	}
	for _, stream := range streams {
		if records, err = r.accept(ctx, records, stream.Messages); err != nil {
			return records, err
		}
	}
	return records, nil
}

// ready makes sure that there is a connection and that the group's cursor stands at last.
func (r *reader) ready(ctx context.Context) error {
	if r.conn.Load() == nil {
		if err := r.connect(ctx); err != nil {
			return fmt.Errorf("connect: %w", err)
		}
	}
	if r.adrift {
		if err := r.seek(ctx); err != nil {
			return fmt.Errorf("set the cursor of the group: %w", err)
		}
		r.adrift = false
	}
	return nil
}

// accept appends the entries that follow last. It returns a GapError where the log does not go on, and leaves the reader
// adrift where only the cursor had been moved.
func (r *reader) accept(ctx context.Context, records []*schema.Record, entries []redis.XMessage) ([]*schema.Record, error) {
	for _, entry := range entries {
		id := parseStreamID(entry.ID)
		record := r.decode(ctx, id, entry)
		switch {
		case record == nil: // it has no place in the log
		case record.Seq == r.last+1:
			records = append(records, record)
			r.last, r.lastID = record.Seq, id
		case record.Seq <= r.last && (!r.lastID.less(id) || r.lastID == streamID{}):
			r.metrics.doubles.WithLabelValues(r.Consumer).Inc()
		case record.Seq <= r.last:
			return records, &GapError{Partition: r.Partition, After: r.last, AfterID: r.lastID.String(), Got: record.Seq, GotID: entry.ID}
		default:
			return records, r.locate(ctx)
		}
	}
	return records, nil
}

func isGap(err error) bool {
	_, ok := errors.AsType[*GapError](err)
	return ok
}
