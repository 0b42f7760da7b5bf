package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"mpim/projections/archive"
	"mpim/projections/checkpoint"
	"mpim/schema"
	"mpim/streams"
)

var _ archive.Stream = watchedStream{}

// seenInSQL returns how far the projections in SQL and the archive have seen the log, so that a Redis that came back with less
// is not appended to. What one of them says counts though the other cannot be asked.
func (s *stores) seenInSQL(ctx context.Context) ([]int64, error) {
	if err := s.agree(ctx); err != nil {
		return nil, err
	}
	seen, err := checkpoint.SQLSource{DB: s.db}.Seen(ctx, s.identity.Partitions)
	if err != nil {
		seen = make([]int64, s.identity.Partitions)
	}
	archived, archiveErr := s.archivedTo(ctx)
	for partition, state := range archived {
		if partition >= 0 && partition < len(seen) {
			seen[partition] = max(seen[partition], state.ArchivedTo)
		}
	}
	return seen, errors.Join(err, archiveErr)
}

// lost closes a partition for all, because somebody has seen what Redis has lost.
func (s *stores) lost(ctx context.Context, partition int, seen int64, why error) {
	s.logger.Error("redis has lost events that were seen", slog.Int("partition", partition), slog.Int64("seen_seq", seen), slog.Any("error", why))
	if err := streams.MarkForked(ctx, s.redis, s.server, s.identity, partition, seen); err != nil {
		s.logger.Warn("the loss of events could not be noted in redis", slog.Int("partition", partition), slog.Any("error", err))
	}
}

// watchedStream tells all others where the archive has what the stream has lost.
type watchedStream struct {
	streams.Stream
	stores *stores
}

// Read implements archive.Stream.
func (w watchedStream) Read(ctx context.Context, partition int, after schema.Checkpoint, limit int) ([]*schema.Record, error) {
	records, err := w.Stream.Read(ctx, partition, after, limit)
	w.watch(ctx, err)
	return records, err
}

// Trim implements archive.Stream.
func (w watchedStream) Trim(ctx context.Context, partition int, to schema.Checkpoint, keep time.Duration) (int64, error) {
	trimmed, err := w.Stream.Trim(ctx, partition, to, keep)
	w.watch(ctx, err)
	return trimmed, err
}

func (w watchedStream) watch(ctx context.Context, err error) {
	if gap, ok := errors.AsType[*streams.GapError](err); ok && gap.Got <= gap.After {
		w.stores.lost(ctx, gap.Partition, gap.After, gap)
	}
}
