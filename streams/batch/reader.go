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
	// rested is when the next read may begin, where the consumer lingers.
	rested time.Time
	// misled says that it followed a leader and found nothing.
	misled bool
	// catching says that what follows may no longer be in the stream.
	catching bool
	// jumped says that it is not, whatever the beginning of the stream says.
	jumped bool
	tip    *tip

	conn atomic.Pointer[connection] // nil where there is none
}

func newReader(p *partition, from schema.Checkpoint) *reader {
	return &reader{
		partition: p, key: schema.PartitionKey(p.Partition, "log"),
		tip: p.tips[p.Partition], last: from.Seq, lastID: parseStreamID(from.StreamID), adrift: true, catching: p.config.Segments != nil,
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
		r.tip.end(r)
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
			if err := r.bridge(ctx, err); err != nil {
				return err
			}
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
	if r.catching {
		if records, err := r.catchUp(ctx); len(records) > 0 || err != nil {
			return records, err
		}
		r.catching = false
	}
	if r.consumer.Linger == 0 {
		r.tip.enter(r)
		records, err := r.read(ctx, r.config.Block)
		r.tip.leave(r, r.lastID)
		return records, err
	}
	if wait := time.Until(r.rested); wait > 0 {
		pause(ctx, wait)
	}
	block, there := r.config.Block, false
	if !r.adrift && !r.misled {
		var leads bool
		if leads, there = r.tip.follow(ctx, r.lastID, block); leads {
			pause(ctx, followPause)
			block = -1
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	records, err := r.read(ctx, block)
	n := len(records)
	// The server may have lost what the leader has seen. Then this reader would find nothing, again and again.
	r.misled = there && n == 0
	if n > 0 && n < r.consumer.Size {
		r.rested = time.Now().Add(r.consumer.Linger)
	}
	return records, err
}

// read returns what one read brings, without waiting where block is negative. Any error but a GapError leaves the reader adrift.
func (r *reader) read(ctx context.Context, block time.Duration) (records []*schema.Record, err error) {
	if err := r.ready(ctx); err != nil {
		r.disconnect()
		return nil, err
	}
	// Not a child of ctx: when that ends the read is interrupted by the server, so that it is known what was delivered.
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(block, 0)+2*time.Second)
	defer cancel()
	streams, err := r.conn.Load().XReadGroup(limit, &redis.XReadGroupArgs{
		Group: r.Consumer, Consumer: r.config.Worker, Streams: []string{r.key, ">"},
		Count: int64(r.consumer.Size), Block: block, NoAck: true,
	}).Result()
	switch {
	case errors.Is(err, redis.Nil): // nothing came
	case redis.HasErrorPrefix(err, "NOGROUP"):
		r.adrift = true
		return nil, fmt.Errorf("the group is gone and will be made again: %w", err)
	case err != nil:
		r.adrift = true
		r.disconnect()
		r.relocate(ctx, err)
		return nil, fmt.Errorf("read: %w", err)
	}
	for _, stream := range streams {
		entries, err := r.decodeAll(ctx, stream.Messages)
		if err != nil {
			r.adrift = true
			return records, err
		}
		records, err = r.accept(ctx, records, entries)
		if n := len(records); n > 0 {
			r.config.Saw(r.Partition, records[n-1].Seq)
		}
		if err != nil {
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
func (r *reader) accept(ctx context.Context, records []*schema.Record, entries []decoded) ([]*schema.Record, error) {
	for _, e := range entries {
		id, record := e.id, e.record
		switch {
		case record == nil: // it has no place in the log
		case record.Seq == r.last+1:
			records = append(records, record)
			r.last, r.lastID = record.Seq, id
		case record.Seq <= r.last && (!r.lastID.less(id) || r.lastID == streamID{}):
			r.metrics.doubles.WithLabelValues(r.Consumer).Inc()
		case record.Seq <= r.last:
			return records, &GapError{Partition: r.Partition, After: r.last, AfterID: r.lastID.String(), Got: record.Seq, GotID: e.entry}
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
