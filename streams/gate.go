package streams

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mpim/domain"
)

// closedHold is how long appends wait for a closed partition to open before they are refused: about as long as a clean
// restart takes, so that it costs time and no errors.
const closedHold = 3 * time.Second

// closure is why a partition takes no appends.
type closure struct {
	err *domain.Error
	// since is when it was noticed, zero before the log has been looked at for the first time.
	since time.Time
	// lost says that waiting does not help: only a repair opens it.
	lost bool
}

// refuses says whether appends are refused, rather than held back until the partition opens.
func (c *closure) refuses() bool {
	return c != nil && (c.lost || !c.since.IsZero() && time.Since(c.since) > closedHold)
}

// gate says whether a partition takes appends, and keeps what this process knows of it by the runs of the server.
type gate struct {
	// closed is nil where it is open. It is never open before this process was counted in the run whose script it uses.
	closed atomic.Pointer[closure]

	mu sync.Mutex
	// run is the server's run that closed is about.
	run string
	// counted is the run in which this process said how far it had seen the partition, or found that less was lost.
	counted string
	// sure is the highest sequence that was seen for certain in the run counted or before; what else was seen may be of the
	// next one. before is the highest that became known to be from before that run only when it had begun.
	sure, before int64
	// loss is what proves that the partition must be repaired.
	loss *loss
}

// loss is what somebody saw and Redis has lost.
type loss struct {
	seen int64
	err  *domain.Error
	// own says that it is about this process alone, and is not to be told to others.
	own bool
}

// wait closes the gate until the log was looked at for the first time.
func (g *gate) wait() { g.closed.Store(&closure{err: asking(nil)}) }

// shut closes the gate for a new run, in which this process was not counted yet.
func (g *gate) shut(run string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.run = run
	if g.counted != run {
		g.close(asking(nil), false)
	}
}

// close needs g.mu.
func (g *gate) close(err *domain.Error, lost bool) {
	now := &closure{err: err, since: time.Now(), lost: lost}
	if old := g.closed.Load(); old != nil && !old.since.IsZero() {
		now.since = old.since
	}
	g.closed.Store(now)
}

// closeFor closes the gate where the script said so, until the next look.
func (g *gate) closeFor(err *domain.Error, lost bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.loss == nil {
		g.close(err, lost)
	}
}

// answered tells of a sequence that an append of this process got in a run.
func (g *gate) answered(seq int64, run string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch run {
	case g.counted:
		g.sure = max(g.sure, seq)
	default: // the answer comes late
		g.before = max(g.before, seq)
	}
}

// lose notes what proves a loss and returns whether it is news.
func (g *gate) lose(l *loss) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.loss != nil {
		if !l.own && l.seen > g.loss.seen || g.loss.own {
			g.loss = l
		}
		return false
	}
	g.loss = l
	g.close(l.err, true)
	return true
}

// said returns the highest sequence that is to be said of a run that begins.
func (g *gate) said(seen int64) int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return max(seen, g.sure, g.before)
}

// settle opens or closes the gate by what the partition says of itself in a run, by what was seen before it was asked, and by the
// answer to what this process said, nil where it said nothing. It returns the loss that this shows, which the caller notes.
func (g *gate) settle(m meta, run string, seen int64, answer []string) *loss {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.run != run || g.loss != nil {
		return nil
	}
	if len(answer) > 0 && (answer[0] == "opened" || answer[0] == "asking") {
		g.counted, g.sure, g.before = run, max(seen, g.sure, g.before), 0
	}
	// What is known to be from before the run goes by where it was opened, however far it is by now.
	prior := g.before
	if g.counted != run {
		prior = max(g.sure, g.before)
	}
	switch {
	case m.opened >= 0 && prior > m.opened && prior > m.forked:
		return &loss{seen: prior, err: lostEvents(fmt.Errorf("redis was opened at %d, and events up to %d were seen before", m.opened, prior))}
	case m.forked >= 0:
		g.close(lostEvents(fmt.Errorf("redis is at %d, and events up to %d were seen", m.seq, m.forked)), true)
		return nil
	case m.repairing:
		g.close(beingRepaired(fmt.Errorf("redis is at epoch %d", m.epoch)), true)
		return nil
	case !m.complete:
		g.close(asking(answer), false)
		return nil
	case seen > m.seq:
		return &loss{seen: seen, err: lostEvents(fmt.Errorf("redis is at %d, and events up to %d were seen", m.seq, seen))}
	}
	g.counted, g.sure, g.before = run, max(g.sure, seen), 0
	g.closed.Store(nil)
	return nil
}

func beingRepaired(cause error) *domain.Error {
	return domain.Wrap(domain.Unavailable, cause, "the log is being repaired: nothing is taken until then")
}

func lostEvents(cause error) *domain.Error {
	return domain.Wrap(domain.Unavailable, cause, "a part of the log was lost and must be repaired: nothing is taken until then")
}

// asking is the error of a partition that opens when all have said how far they had seen it. The answer names who has not.
func asking(answer []string) *domain.Error {
	cause := errors.New("redis runs anew")
	if len(answer) > 1 {
		cause = fmt.Errorf("redis runs anew, and it has to be known what %s had seen", strings.Join(answer[1:], ", "))
	}
	err := domain.Wrap(domain.Unavailable, cause, "the log is being opened after a restart: try again")
	err.RetryAfter = time.Second
	return err
}

// enter waits until the partition is open. It returns the error for the callers of a batch where that takes too long; a batch
// that may have been appended waits on, unless waiting does not help.
func (a *appender) enter(limit context.Context, uncertain bool) error {
	for {
		c := a.gate.closed.Load()
		switch {
		case c == nil:
			return nil
		case c.lost || !uncertain && c.refuses():
			return a.closedErr(c)
		}
		a.log.kick()
		select {
		case <-limit.Done():
			return stopping()
		case <-time.After(closedLook / 2):
		}
	}
}

func (a *appender) closedErr(c *closure) error {
	if c == nil {
		return nil
	}
	err := *c.err
	err.Cause = fmt.Errorf("partition %d: %w", a.partition, err.Cause)
	return &err
}

// lost closes the partition for good: what Redis holds is not what was seen.
func (a *appender) lost(l *loss) {
	if !a.gate.lose(l) {
		return
	}
	a.log.metrics.forks.Inc()
	a.log.config.Logger.Error("partition closed: redis has less than was seen",
		slog.Int("partition", a.partition), slog.Int64("seen_seq", l.seen), slog.Any("error", l.err))
	a.log.kick()
}

// Forked returns why partitions take no appends before they were repaired, or nil.
func (l *Log) Forked() error { return l.closedBecause(func(c *closure) bool { return c.lost }) }

// Closed returns why partitions take no appends just now, or nil.
func (l *Log) Closed() error { return l.closedBecause(func(*closure) bool { return true }) }

// closedBecause names the partitions that are closed for the same reason together.
func (l *Log) closedBecause(counts func(*closure) bool) error {
	closed := make(map[string][]int)
	errs := make(map[string]*domain.Error)
	var reasons []string
	for _, a := range l.appenders {
		c := a.gate.closed.Load()
		if c == nil || !counts(c) {
			continue
		}
		reason := c.err.Error()
		if closed[reason] == nil {
			reasons = append(reasons, reason)
		}
		closed[reason], errs[reason] = append(closed[reason], a.partition), c.err
	}
	var all []error
	for _, reason := range reasons {
		all = append(all, fmt.Errorf("%s: %w", Partitions(closed[reason]), errs[reason]))
	}
	return errors.Join(all...)
}

// MarkForked closes a partition, here and in Redis, because somebody saw it at a sequence that Redis has lost: why says who, and
// what Redis has instead. It takes no appends until it was repaired. An error says that Redis could not be told yet; Run goes on trying.
func (l *Log) MarkForked(ctx context.Context, partition int, seen int64, why error) error {
	if partition < 0 || partition >= len(l.appenders) {
		return domain.Errorf(domain.Internal, "the log has no partition %d", partition)
	}
	l.appenders[partition].lost(&loss{seen: seen, err: lostEvents(why)})
	return MarkForked(ctx, l.config.Client, l.config.Server, l.config.Identity, partition, seen)
}
