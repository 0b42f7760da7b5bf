package streams

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/schema"
)

const (
	// closedLook is how often the log is looked at while a partition is closed.
	closedLook = 40 * time.Millisecond
	// rememberTime bounds how long SQL is asked for what it has seen.
	rememberTime = 2 * time.Second
	// stillClosed is after how long an operator is told whom partitions wait for.
	stillClosed = 3 * time.Second
)

// watch looks at the log once a second, and often while a partition is closed. It ends with ErrNewEpoch after a repair.
func (l *Log) watch(ctx context.Context) error {
	back := backoff{least: 10 * time.Millisecond, most: aliveEvery / 4}
	w := watcher{Log: l}
	for {
		closed, err := w.look(ctx)
		if errors.Is(err, ErrNewEpoch) {
			w.over.Store(true)
			return err
		}
		pause := min(aliveEvery, l.config.Look)
		kicked := l.kicked
		switch {
		case err != nil:
			back.next = min(max(back.next*2, back.least), back.most)
			pause, kicked = back.next, nil
		case closed:
			back.next, pause, kicked = 0, closedLook, nil
		default:
			back.next = 0
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-kicked:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// watcher is what a log knows from one look to the next.
type watcher struct {
	*Log

	// remembered is the run in which SQL was asked.
	remembered string
	// headsAt is when the heads were noted last.
	headsAt time.Time
	// closedAt is since when some partition is closed, zero where none is; told says that an operator knows.
	closedAt time.Time
	told     bool
}

// sight is what one look saw.
type sight struct {
	run   string
	seen  []int64 // by this process before it looked
	alive []string
	metas []meta
	// answers are those to what was said of closed partitions.
	answers [][]string
}

// look looks at all partitions once and returns whether one is closed that may open by itself.
func (w *watcher) look(ctx context.Context) (closed bool, err error) {
	s, err := w.see(ctx)
	if err == nil && w.remembered != s.run {
		// What others wrote until the server ended is known now; and nothing that was appended since, where a partition is closed.
		w.remember(ctx)
		w.remembered = s.run
		s, err = w.see(ctx)
	}
	if err == nil {
		err = w.superseded(s.metas)
	}
	if err != nil {
		return false, err
	}
	w.settle(ctx, &s)
	return w.tell(&s), nil
}

// see reads all partitions. All of it is over one connection, and so in one run of the server.
func (w *watcher) see(ctx context.Context) (s sight, err error) {
	return s, w.config.Client.Watch(ctx, func(tx *redis.Tx) (err error) {
		s = sight{seen: w.seen()}
		if s.run, err = w.config.Server.RunID(ctx, tx); err != nil {
			return err
		}
		return w.read(ctx, tx, &s)
	})
}

// seen returns how far this process has seen each partition.
func (l *Log) seen() []int64 {
	seen := make([]int64, len(l.appenders))
	for partition, a := range l.appenders {
		seen[partition] = a.seen.Load()
	}
	return seen
}

// read reads what the partitions say of themselves, closes them where the server runs anew, and says what this process has seen
// of those that are closed.
func (w *watcher) read(ctx context.Context, at redis.Cmdable, s *sight) (err error) {
	keep := w.config.Alive.Milliseconds()
	if s.alive, err = at.Eval(ctx, w.config.Server.Always(aliveLua), []string{appendersKey}, s.run, w.life, keep).StringSlice(); err != nil {
		return err
	}
	if s.metas, err = readMetas(ctx, at, len(w.appenders)); err != nil {
		return err
	}
	anew := func(m meta) bool { return m.belongs(w.config.Identity) && m.run != s.run }
	if w.script.current().run != s.run || slices.ContainsFunc(s.metas, anew) {
		w.preparing.Lock()
		err = w.prepareOver(ctx, at, s.run)
		w.preparing.Unlock()
		if err != nil {
			return err
		}
		if s.metas, err = readMetas(ctx, at, len(w.appenders)); err != nil {
			return err
		}
	}
	s.answers = make([][]string, len(s.metas))
	if w.remembered != s.run {
		return nil
	}
	return w.ask(ctx, at, s)
}

// ask says what this process has seen of each closed partition.
func (w *watcher) ask(ctx context.Context, at redis.Cmdable, s *sight) error {
	replies := make([]*redis.Cmd, len(s.metas))
	identity := w.config.Identity
	_, err := at.Pipelined(ctx, func(p redis.Pipeliner) error {
		for partition, m := range s.metas {
			if m.complete || !m.belongs(identity) || m.epoch != identity.Epoch || m.run != s.run {
				continue
			}
			s.seen[partition] = w.appenders[partition].gate.said(s.seen[partition])
			keys := []string{schema.PartitionKey(partition, metaName), schema.PartitionKey(partition, seenName)}
			args := []any{identity.ID, identity.Epoch, s.run, w.life, s.seen[partition]}
			for _, life := range s.alive {
				args = append(args, life)
			}
			replies[partition] = p.Eval(ctx, w.config.Server.Always(askLua), keys, args...)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for partition, reply := range replies {
		if reply == nil {
			continue
		}
		answer, err := reply.StringSlice()
		if err != nil {
			return err
		}
		s.answers[partition] = answer
		switch m := &s.metas[partition]; {
		case answer[0] == "opened":
			m.complete, m.opened = true, m.seq
		case answer[0] == "forked" && len(answer) > 1:
			if m.forked, err = strconv.ParseInt(answer[1], 10, 64); err != nil {
				return err
			}
		}
	}
	return nil
}

// remember sees what those have seen who outlive processes.
func (l *Log) remember(ctx context.Context) {
	if l.config.Remembered == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, rememberTime)
	defer cancel()
	seen, err := l.config.Remembered(ctx)
	for partition, seq := range seen {
		l.Saw(partition, seq)
	}
	if err != nil && ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		l.config.Logger.Warn("how far the log was seen by what is kept in SQL is not known", slog.Any("error", err))
	}
}

// superseded returns ErrNewEpoch where a repair has come to its end.
func (l *Log) superseded(metas []meta) error {
	for _, m := range metas {
		if !m.belongs(l.config.Identity) || m.epoch <= l.config.Identity.Epoch || m.epoch != metas[0].epoch || !m.complete || m.repairing {
			return nil
		}
	}
	return fmt.Errorf("%w: %d", ErrNewEpoch, metas[0].epoch)
}

// settle opens and closes the gates.
func (w *watcher) settle(ctx context.Context, s *sight) {
	heads := time.Since(w.headsAt) >= w.config.Look
	if heads {
		w.headsAt = time.Now()
	}
	identity := w.config.Identity
	for partition, m := range s.metas {
		a := w.appenders[partition]
		switch {
		case !m.belongs(identity):
			a.gate.closeFor(lostEvents(fmt.Errorf("redis holds %s", named(m.id))), true)
			continue
		case m.epoch > identity.Epoch:
			a.gate.closeFor(beingRepaired(fmt.Errorf("redis is at epoch %d", m.epoch)), true)
			continue
		case m.epoch < identity.Epoch:
			a.lost(&loss{seen: s.seen[partition], err: lostEvents(fmt.Errorf("redis is at epoch %d, before epoch %d", m.epoch, identity.Epoch))})
		default:
			if lost := a.gate.settle(m, s.run, s.seen[partition], s.answers[partition]); lost != nil {
				a.lost(lost)
			} else if heads && m.complete {
				a.sawSeq(m.seq)
			}
		}
		w.mark(ctx, a, m)
	}
}

func named(id string) string {
	if id == "" {
		return "no log"
	}
	return "log " + id
}

// mark tells all others of a loss, as long as Redis does not say so.
func (l *Log) mark(ctx context.Context, a *appender, m meta) {
	a.gate.mu.Lock()
	lost := a.gate.loss
	a.gate.mu.Unlock()
	if lost == nil || lost.own || m.forked >= lost.seen {
		return
	}
	if err := MarkForked(ctx, l.config.Client, l.config.Server, l.config.Identity, a.partition, lost.seen); err != nil {
		l.config.Logger.Warn("the loss of events could not be noted in redis", slog.Int("partition", a.partition), slog.Any("error", err))
	}
}

// tell tells operators what is closed, and returns whether something is that may open by itself.
func (w *watcher) tell(s *sight) bool {
	waiting, closed, all := make(map[string]bool), false, 0
	for partition, a := range w.appenders {
		c := a.gate.closed.Load()
		if c != nil {
			all++
		}
		if c != nil && !c.lost {
			closed = true
			if answer := s.answers[partition]; len(answer) > 1 && answer[0] == "asking" {
				for _, life := range answer[1:] {
					waiting[life] = true
				}
			}
		}
	}
	w.metrics.closed.Set(float64(all))
	switch {
	case !closed:
		if w.told {
			w.config.Logger.Info("the log is open again", slog.Duration("after", time.Since(w.closedAt).Round(time.Millisecond)))
		}
		w.closedAt, w.told = time.Time{}, false
	case w.closedAt.IsZero():
		w.closedAt = time.Now()
	case !w.told && time.Since(w.closedAt) > stillClosed:
		w.told = true
		var names []string
		for life := range waiting {
			names = append(names, life)
		}
		slices.Sort(names)
		w.config.Logger.Warn("the log stays closed until it is known how far these had seen it, or that they are gone",
			slog.String("processes", strings.Join(names, ", ")), slog.Duration("gone_after", w.config.Alive))
	}
	return closed
}
