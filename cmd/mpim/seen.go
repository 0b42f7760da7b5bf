package main

import (
	"context"
	"errors"

	"mpim/projections/checkpoint"
)

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
