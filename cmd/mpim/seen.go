package main

import (
	"context"
	"log/slog"
	"time"

	"mpim/projections/builds"
	"mpim/projections/checkpoint"
	"mpim/projections/history"
	"mpim/streams"
)

// seenTimeout bounds how long a start waits for SQL to say how far history is.
const seenTimeout = 2 * time.Second

// sawHistory tells the log how far history and the archive have seen it, so that a Redis that came back with less is not appended to. A
// process that cannot reach SQL starts without.
func (s *stores) sawHistory(ctx context.Context, log *streams.Log) {
	ctx, cancel := context.WithTimeout(ctx, seenTimeout)
	defer cancel()
	partitions := make([]int, s.identity.Partitions)
	for p := range partitions {
		partitions[p] = p
	}
	archived, err := s.archivedTo(ctx)
	for p, state := range archived {
		log.Saw(p, state.ArchivedTo)
	}
	if err != nil {
		s.logger.Warn("how far the archive is is not known", slog.Any("error", err))
		return
	}
	seen, err := s.historySeen(ctx, partitions)
	if err != nil {
		s.logger.Warn("how far history has seen the log is not known", slog.Any("error", err))
		return
	}
	for p, seq := range seen {
		log.Saw(p, seq)
	}
}

// historySeen returns the positions of history's live build, none before its first worker has run.
func (s *stores) historySeen(ctx context.Context, partitions []int) ([]int64, error) {
	if err := s.agree(ctx); err != nil {
		return nil, err
	}
	known, err := builds.SQL{DB: s.db}.Standing(ctx, history.Name)
	if _, live := known.Live(); err != nil || !live {
		return nil, err
	}
	return checkpoint.SQLSource{DB: s.db}.Positions(ctx, history.Name, partitions)
}
