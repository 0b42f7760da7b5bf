package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/projections/archive"
	"mpim/schema"
	"mpim/streams"
	"mpim/streams/repair"
)

const (
	// mendEvery is how often a worker looks whether the log needs a repair.
	mendEvery = time.Second
	// mendAsks bounds how long a repair waits for others to say how far they had seen the log.
	mendAsks = 15 * time.Second
	// mendWait bounds how long a start waits for another process to repair the log.
	mendWait = 2 * time.Minute
)

// mender repairs the log by itself, wherever a partition is marked as forked, gone, or left behind by a repairer that died.
type mender struct {
	stores   *stores
	settings *Settings
	worker   string
	// seen is how far this process has seen each partition.
	seen func(partition int) int64
}

// Run looks every second until the context ends, and returns nil. What fails is tried again.
func (m *mender) Run(ctx context.Context) error {
	ticker := time.NewTicker(mendEvery)
	defer ticker.Stop()
	var since time.Time
	for troubled := ""; ; {
		torn, asking, err := m.stores.torn(ctx)
		switch {
		case err != nil:
		case !torn:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		}
		// Who has yet to say what it saw knows what is lost.
		if err == nil && torn && (!asking || time.Since(since) > mendAsks) {
			err = m.stores.mend(ctx, m.settings, m.worker, m.seen)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			troubled = ""
		case !errors.Is(err, repair.ErrHeld) && err.Error() != troubled:
			troubled = err.Error()
			m.stores.logger.ErrorContext(ctx, "the log needs a repair, and could not be repaired: it is tried again", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// torn says whether a partition needs a repair, and whether one waits for those who may have seen more than it has. The log that
// this process works on was in this Redis, so one that is not there any more was lost.
func (s *stores) torn(ctx context.Context) (torn, asking bool, err error) {
	metas := make([]*redis.SliceCmd, s.identity.Partitions)
	_, err = s.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		for n := range metas {
			metas[n] = p.HMGet(ctx, schema.PartitionKey(n, "meta"), "id", "forked", "repairing", "complete")
		}
		return nil
	})
	if err != nil {
		return false, false, fmt.Errorf("look at the partitions: %w", err)
	}
	for _, meta := range metas {
		fields := meta.Val()
		needs := fields[0] == nil || fields[1] != nil || fields[2] != nil
		torn = torn || needs
		asking = asking || !needs && fields[3] != "1"
	}
	return torn, asking, nil
}

// mend repairs the log where it needs it.
func (s *stores) mend(ctx context.Context, settings *Settings, worker string, seen func(int) int64) error {
	repairer, err := s.newRepairer(ctx, settings, worker)
	if err != nil {
		return err
	}
	if seen != nil {
		repairer.Seen = seen
	}
	last := time.Now()
	repairer.Progress = func(done, total int64) {
		if time.Since(last) > 5*time.Second {
			last = time.Now()
			s.logger.InfoContext(ctx, "events are written back", slog.Int64("done", done), slog.Int64("of", total))
		}
	}
	_, err = repairer.Run(ctx)
	return err
}

// openLogRepaired is openLog, which repairs the log first where it cannot be opened for want of that.
func (s *stores) openLogRepaired(ctx context.Context, settings *Settings, worker string) error {
	err := s.openLog(ctx)
	if err == nil || !settings.LogAutoRepair {
		return err
	}
	deadline := time.Now().Add(mendWait)
	for told := false; ; told = true {
		mended := s.mendAtStart(ctx, settings, worker, err)
		again := s.openLog(ctx)
		switch {
		case again == nil:
			return nil
		case mended == nil:
			return again
		case !errors.Is(mended, repair.ErrHeld) || time.Now().After(deadline) || ctx.Err() != nil:
			return mended
		}
		if !told {
			s.logger.WarnContext(ctx, "the log cannot be opened: this start waits for another process", slog.Duration("at_most", mendWait), slog.Any("why", mended))
		}
		pauseUntil(ctx, mendEvery)
	}
}

// mendAtStart repairs the log that could not be opened for the given reason, which it returns where a repair would not help.
func (s *stores) mendAtStart(ctx context.Context, settings *Settings, worker string, reason error) error {
	repairer, err := s.newRepairer(ctx, settings, worker)
	if err != nil {
		return reason
	}
	found, err := repairer.Look(ctx)
	if err != nil || found.Sound() {
		return reason
	}
	if err := s.alone(ctx); err != nil {
		return err
	}
	s.logger.WarnContext(ctx, "the log cannot be opened and is repaired", slog.Any("why", reason))
	return s.mend(ctx, settings, worker, nil)
}

// alone refuses an empty Redis while somebody archives the log: that one has it, in another Redis.
func (s *stores) alone(ctx context.Context) error {
	if _, err := streams.ReadIdentity(ctx, s.redis); !errors.Is(err, streams.ErrNoLog) {
		return nil
	}
	holder, held, err := archive.Archive{DB: s.db}.Holder(ctx)
	if err != nil || !held {
		return err
	}
	return fmt.Errorf("%w, or has another Redis: this one is empty, and worker %s archives the log; check MPIM_REDIS_URL. Where this is the right one, run `mpim log repair`",
		repair.ErrHeld, holder.Worker)
}

// pauseUntil waits, or until ctx ends.
func pauseUntil(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
