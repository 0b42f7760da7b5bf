package main

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"mpim/projections/database"
)

// How often it is noted in SQL how far the log is: while something is appended, and while nothing is.
const (
	headsEvery     = time.Second
	headsEveryIdle = 5 * time.Second
)

// noteHeads notes in SQL how far the log is, until the context ends: so whoever knows SQL alone sees how far behind it is, and
// that nobody looks any more. Of all processes that run it, one at a time does. What cannot be noted is no failure.
func (s *stores) noteHeads(ctx context.Context) error {
	ticker := time.NewTicker(headsEvery)
	defer ticker.Stop()
	var before []int64
	for complained := false; ; {
		heads, err := s.noteHeadsOnce(ctx, before)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			before, complained = heads, false
		case !complained:
			complained = true
			s.logger.WarnContext(ctx, "not noted in SQL how far the log is", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (s *stores) noteHeadsOnce(ctx context.Context, before []int64) ([]int64, error) {
	limit, cancel := context.WithTimeout(ctx, 5*headsEvery)
	defer cancel()
	if err := s.agree(limit); err != nil {
		return nil, err
	}
	heads, err := s.stored().Heads(limit)
	if err != nil {
		return nil, err
	}
	every := headsEvery - headsEvery/10 // its own last time is to count as one
	if slices.Equal(heads, before) {
		every = headsEveryIdle
	}
	return heads, database.NoteHeads(limit, s.db, heads, every)
}
