package repair

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"mpim/domain"
	"mpim/schema"
	"mpim/streams"
)

// Archive is the archive, as a repair needs it.
type Archive interface {
	// After returns records of a partition behind a sequence, those of one segment; none where the archive ends there.
	After(ctx context.Context, partition int, seq int64) ([]*schema.Record, error)
	// Before returns a sequence of a partition up to which all events have effective times before at; 0 where it cannot tell.
	Before(ctx context.Context, partition int, at time.Time) (int64, error)
	// Ends returns the last event that is archived, of each partition that has one.
	Ends(ctx context.Context) (map[int]int64, error)
}

// Ledger is what SQL keeps of the log and its repairs.
type Ledger interface {
	// Lease takes the right to repair, or returns ErrHeld. The context that it returns ends when the right does.
	Lease(ctx context.Context) (working context.Context, token int64, release func(), err error)
	// Known returns the log as SQL knows it; repairing says that its epoch is that of a repair that has not ended.
	Known(ctx context.Context) (known streams.Identity, repairing bool, err error)
	// Begin notes that the log is being repaired, under the next epoch.
	Begin(ctx context.Context, from streams.Identity) (streams.Identity, error)
	// Plans returns what was kept for an epoch; false where nothing was.
	Plans(ctx context.Context, epoch int64) ([]Plan, bool, error)
	// Keep keeps what is to be done.
	Keep(ctx context.Context, epoch int64, plans []Plan) error
	// Complete notes that the repair has ended.
	Complete(ctx context.Context, epoch int64) error
}

// ErrHeld says that somebody else repairs the log.
var ErrHeld = errors.New("another process is repairing the log")

// Consumers are those outside the log that have seen it.
type Consumers interface {
	// Seen returns how far those in SQL have come.
	Seen(ctx context.Context) ([]Seen, error)
	// Depose keeps whoever took a checkpoint under a lower token from moving it: what it has in hand may be lost by now.
	Depose(ctx context.Context, token int64) error
	// Replace replaces the builds of which a checkpoint has seen what the log lacks.
	Replace(ctx context.Context, lacks func(partition int, at schema.Checkpoint) (bool, error)) error
	// Retreat sets back whoever stands behind the last event that all have seen alike, and forgets what is kept about events behind it.
	// Has says whether the log still has an event.
	Retreat(ctx context.Context, partition int, common int64, has func(seq int64, id domain.EventID) (bool, error)) error
	// Refresh forgets copies of what was read while the log was not right.
	Refresh(ctx context.Context) error
}

// Requests tells requests from events.
type Requests interface {
	// Recall returns the request that a commit came from; false where there was none.
	Recall(commit []*schema.Record) (domain.Request, bool)
}

// Config is what a Repairer needs.
type Config struct {
	// Client reaches the server; it is not closed.
	Client    redis.UniversalClient
	Server    streams.Server
	Archive   Archive
	Ledger    Ledger
	Consumers Consumers
	Requests  Requests
	// Opener opens what is sealed in events.
	Opener streams.Opener
	// Seen returns how far this process itself has seen a partition. The default has seen nothing.
	Seen func(partition int) int64
	// Keep is how long an event stays in Redis at least. The default is 24 hours.
	Keep time.Duration
	// Progress is told how many events there are to go through, and how many are done. The default tells nobody.
	Progress func(done, total int64)
	// Logger receives what an operator should know. The default discards it.
	Logger *slog.Logger
}

// Repairer repairs a log.
type Repairer struct {
	Config

	done, total atomic.Int64
}

// New returns a repairer that does nothing until Look or Run.
func New(c Config) *Repairer {
	c.Keep = cmp.Or(c.Keep, 24*time.Hour)
	if c.Seen == nil {
		c.Seen = func(int) int64 { return 0 }
	}
	if c.Progress == nil {
		c.Progress = func(int64, int64) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Repairer{Config: c}
}

// Finding is what a log is like.
type Finding struct {
	// Identity is the log's as SQL knows it.
	Identity streams.Identity
	// Repairing says that a repair was begun and has not ended.
	Repairing bool
	// Plans are what is to be done, a partition each. Not all of them are damaged.
	Plans []Plan
	// Behind says that Redis is of another epoch than SQL knows, or holds no log, or not all of it; or that it lost the end of a
	// repair that SQL knows to be done, or is marked as forked. All of that takes a new epoch to be opened, though no event may be missing.
	Behind bool
}

// Sound says whether there is nothing to repair.
func (f Finding) Sound() bool {
	damaged := f.Behind || f.Repairing
	for _, p := range f.Plans {
		damaged = damaged || p.Damaged()
	}
	return !damaged
}

// Look says what there is to repair and changes nothing. An error that says so where the log cannot be repaired.
func (r *Repairer) Look(ctx context.Context) (f Finding, err error) {
	if f.Identity, f.Repairing, err = r.Ledger.Known(ctx); err != nil {
		return f, err
	}
	var metas []meta
	if f.Repairing {
		if kept, ok, err := r.Ledger.Plans(ctx, f.Identity.Epoch); err != nil || ok {
			f.Plans = kept
			return f, err
		}
	}
	if f.Plans, metas, err = r.plans(ctx, f.Identity.Partitions); err != nil {
		return f, err
	}
	for n, m := range metas {
		switch {
		case m.exists && m.id != f.Identity.ID:
			return f, fmt.Errorf("partition %d in Redis belongs to log %s, and SQL knows log %s: check MPIM_REDIS_URL and MPIM_DATABASE_URL", n, m.id, f.Identity.ID)
		case m.epoch > f.Identity.Epoch:
			return f, fmt.Errorf("redis is at epoch %d, and SQL at %d: the SQL database is older than Redis; restore it from a newer backup", m.epoch, f.Identity.Epoch)
		case !m.exists || m.epoch < f.Identity.Epoch || m.repairing || m.forked > 0:
			f.Behind = true
		}
	}
	return f, nil
}

// errRestarted says that Redis restarted while the log was repaired, and may have lost some of that.
var errRestarted = errors.New("redis restarted while the log was repaired")

// Run repairs the log and returns what was done; nothing where there was nothing to do. It may be run again whenever it failed,
// here or elsewhere. It returns ErrHeld where another process repairs.
func (r *Repairer) Run(ctx context.Context) (Finding, error) {
	working, token, release, err := r.Ledger.Lease(ctx)
	if err != nil {
		return Finding{}, err
	}
	defer release()
	for {
		f, err := r.once(working, token)
		if errors.Is(err, errRestarted) {
			r.Logger.WarnContext(ctx, "the repair begins again", slog.Any("error", err))
			continue
		}
		if err != nil && ctx.Err() == nil && working.Err() != nil {
			err = errors.Join(err, context.Cause(working))
		}
		return f, err
	}
}

func (r *Repairer) once(ctx context.Context, token int64) (Finding, error) {
	f, err := r.Look(ctx)
	if err != nil || f.Sound() {
		return f, err
	}
	if !f.Repairing {
		if f.Identity, err = r.Ledger.Begin(ctx, f.Identity); err != nil {
			return f, err
		}
		f.Repairing = true
	}
	r.Logger.WarnContext(ctx, "the log is being repaired", slog.Int64("epoch", f.Identity.Epoch))
	run, err := r.Server.RunID(ctx, r.Client)
	if err != nil {
		return f, err
	}
	w := &work{Repairer: r, identity: f.Identity, token: token}
	if err := w.close(ctx); err != nil {
		return f, err
	}
	if err := w.depose(ctx); err != nil {
		return f, err
	}
	if f.Plans, err = w.agree(ctx); err != nil {
		return f, err
	}
	if err := w.shorten(ctx, f.Plans); err != nil {
		return f, err
	}
	if err := w.restore(ctx, f.Plans); err != nil {
		return f, err
	}
	if now, err := r.Server.RunID(ctx, r.Client); err != nil || now != run {
		return f, cmp.Or(err, errRestarted)
	}
	if err := w.open(ctx, run); err != nil {
		return f, err
	}
	// Who sees an open log may stop this process right now, to start it anew.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), completeTime)
	defer cancel()
	if err := r.Ledger.Complete(last, f.Identity.Epoch); err != nil {
		return f, err
	}
	f.Repairing = false
	r.Logger.WarnContext(ctx, "the log is repaired", slog.Int64("epoch", f.Identity.Epoch))
	return f, nil
}

// completeTime bounds the last note of a repair.
const completeTime = 5 * time.Second

// work is one repair.
type work struct {
	*Repairer
	identity streams.Identity
	token    int64
}

// depose keeps consumers from writing what they read before the log was closed. Tokens of leases are not below the server's clock.
func (w *work) depose(ctx context.Context) error {
	now, err := w.Client.Time(ctx).Result()
	if err != nil {
		return fmt.Errorf("ask redis for the time: %w", err)
	}
	if err := w.Consumers.Depose(ctx, now.UnixMilli()); err != nil {
		return fmt.Errorf("fence the consumers: %w", err)
	}
	return nil
}

// agree returns what is to be done: what was kept, else what is found now that nobody writes any more.
func (w *work) agree(ctx context.Context) ([]Plan, error) {
	plans, kept, err := w.Ledger.Plans(ctx, w.identity.Epoch)
	if err != nil || kept {
		return plans, err
	}
	if plans, _, err = w.plans(ctx, w.identity.Partitions); err != nil {
		return nil, err
	}
	return plans, w.Ledger.Keep(ctx, w.identity.Epoch, plans)
}

// shorten makes the best of what was planned when Redis had more than it has now: it died again meanwhile, with events that nobody
// else has.
func (w *work) shorten(ctx context.Context, plans []Plan) error {
	metas, err := w.metas(ctx, w.identity.Partitions)
	if err != nil {
		return err
	}
	for n := range plans {
		p := &plans[n]
		if m := metas[p.Partition]; p.Damaged() && m.repaired != w.identity.Epoch {
			p.shorten(m.seq)
		}
	}
	return nil
}

// restoreAtOnce is how many partitions are worked on at the same time.
const restoreAtOnce = 4

// restore puts the consumers right, and then every damaged partition.
func (w *work) restore(ctx context.Context, plans []Plan) error {
	metas, err := w.metas(ctx, w.identity.Partitions)
	if err != nil {
		return err
	}
	damaged := false
	w.done.Store(0)
	w.total.Store(0)
	for _, p := range plans {
		damaged = damaged || p.Damaged()
		if p.Anew {
			w.total.Add(p.End)
		} else {
			w.total.Add(max(0, p.End-p.Head))
		}
	}
	if !damaged {
		return nil
	}
	if err := w.consumers(ctx, plans, metas); err != nil {
		return err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(restoreAtOnce)
	for _, p := range plans {
		if p.Damaged() && metas[p.Partition].repaired != w.identity.Epoch {
			group.Go(func() error {
				if err := w.partition(groupCtx, p); err != nil {
					return fmt.Errorf("repair partition %d: %w", p.Partition, err)
				}
				return nil
			})
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return w.Consumers.Refresh(ctx)
}

// goesOn returns an error where somebody else has come to the end of this repair: who goes on since is not behind it.
func (w *work) goesOn(ctx context.Context) error {
	known, repairing, err := w.Ledger.Known(ctx)
	if err == nil && (!repairing || known.Epoch != w.identity.Epoch) {
		err = fmt.Errorf("the repair under epoch %d was ended by another process", w.identity.Epoch)
	}
	return err
}

// consumers puts right whoever has seen what the log will not have.
func (w *work) consumers(ctx context.Context, plans []Plan, metas []meta) error {
	lines := make(map[int]*line)
	for _, p := range plans {
		l := &line{Repairer: w.Repairer, partition: p.Partition, archivedTo: p.Archived, end: p.End}
		if metas[p.Partition].repaired == w.identity.Epoch {
			l.end = noEnd // it is as it will be
		}
		if p.Damaged() {
			lines[p.Partition] = l
		}
	}
	err := w.Consumers.Replace(ctx, func(partition int, at schema.Checkpoint) (bool, error) {
		l := lines[partition]
		if l == nil {
			return false, nil
		}
		lost, err := l.lacks(ctx, at)
		if lost && err == nil {
			err = w.goesOn(ctx)
		}
		return lost && err == nil, err
	})
	if err != nil {
		return fmt.Errorf("replace builds that saw what is lost: %w", err)
	}
	for _, p := range plans {
		l := lines[p.Partition]
		if l == nil || l.end == noEnd {
			continue
		}
		err := w.Consumers.Retreat(ctx, p.Partition, p.Common, func(seq int64, id domain.EventID) (bool, error) {
			return l.holds(ctx, seq, id)
		})
		if err != nil {
			return fmt.Errorf("set back who saw what is lost of partition %d: %w", p.Partition, err)
		}
	}
	return nil
}
