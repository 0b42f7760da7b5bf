package batch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"

	"mpim/schema"
)

// Segments is the archive. Whatever was trimmed from the stream is in it.
type Segments interface {
	// After returns records of a partition behind a sequence, at least the next one and as many as are at hand. There are none
	// where the archive does not go on there.
	After(ctx context.Context, partition int, seq int64) ([]*schema.Record, error)
}

// behind says whether the stream no longer has what follows last.
func (r *reader) behind(ctx context.Context) (bool, error) {
	from := "-"
	for {
		entries, err := r.config.Client.XRangeN(ctx, r.key, from, "+", lookAhead).Result()
		if err != nil {
			return false, fmt.Errorf("look where the stream begins: %w", err)
		}
		for _, entry := range entries {
			if record := r.decode(ctx, entry); record != nil {
				return record.Seq > r.last+1, nil
			}
			from = "(" + entry.ID
		}
		if len(entries) == lookAhead {
			continue
		}
		head, err := r.config.Client.HGet(ctx, schema.PartitionKey(r.Partition, "meta"), "seq").Int64()
		if errors.Is(err, redis.Nil) {
			return false, nil // there is no log yet
		}
		return head > r.last, err
	}
}

// catchUp returns what the stream no longer has and the archive does, none where the stream goes on.
func (r *reader) catchUp(ctx context.Context) ([]*schema.Record, error) {
	if !r.jumped {
		if behind, err := r.behind(ctx); err != nil || !behind {
			return nil, err
		}
	}
	r.jumped = false
	return r.archived(ctx)
}

// bridge returns nil where what is missing from the stream may be in the archive, because it was trimmed since.
func (r *reader) bridge(ctx context.Context, gap error) error {
	missing, ok := errors.AsType[*GapError](gap)
	if r.config.Segments == nil || !ok || missing.Got <= missing.After {
		return gap
	}
	records, err := r.config.Segments.After(ctx, r.Partition, r.last)
	if err == nil && (len(records) == 0 || records[0].Seq != r.last+1) {
		return gap
	}
	r.catching, r.jumped = true, true // and where the archive could not be read, that is tried again
	return nil
}

// archived reads what the stream no longer has and moves behind it. It returns no records where there is nothing of it.
func (r *reader) archived(ctx context.Context) ([]*schema.Record, error) {
	records, err := r.config.Segments.After(ctx, r.Partition, r.last)
	if err != nil {
		return nil, fmt.Errorf("read the archive behind event %d: %w", r.last, err)
	}
	if len(records) == 0 || records[0].Seq != r.last+1 {
		return nil, nil
	}
	if r.config.Opener != nil {
		if err := r.config.Opener.Open(ctx, records); err != nil {
			return nil, fmt.Errorf("open events: %w", err)
		}
	}
	end := records[len(records)-1]
	r.last, r.lastID, r.adrift = end.Seq, parseStreamID(end.StreamID), true
	r.metrics.archived.WithLabelValues(r.Consumer).Add(float64(len(records)))
	r.logger.InfoContext(ctx, "events are read from the archive", slog.Int64("from", records[0].Seq), slog.Int64("to", end.Seq))
	return records, nil
}
