package streams

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mpim/domain"
)

const (
	// resultKept is how long Redis keeps the result of an appender's last batch.
	resultKept = time.Hour
	// renameAfter is how long an appender may be idle before it takes a new name, well within resultKept.
	renameAfter = resultKept / 2
	// flushTime bounds how long a stopping appender waits for an answer to what it has sent.
	flushTime = 5 * time.Second
)

// appender appends to one partition. While one batch is in flight the next gathers: group commit, with no delay added
// when traffic is low.
type appender struct {
	log       *Log
	partition int
	queue     chan *pending
	stopped   chan struct{}
	seen      atomic.Int64

	// forked is why the partition takes no more appends.
	forkedMu sync.Mutex
	forked   error

	// What follows belongs to run.
	name     string
	number   int64
	lastUsed time.Time
}

// pending is a command that waits for its outcome.
type pending struct {
	command *encoded
	done    chan struct{}
	outcome outcome
	err     error
}

func (p *pending) finish(o outcome, err error) {
	p.outcome, p.err = o, err
	close(p.done)
}

func newAppender(l *Log, partition int) *appender {
	return &appender{
		log:       l,
		partition: partition,
		queue:     make(chan *pending, l.config.MaxQueue),
		stopped:   make(chan struct{}),
	}
}

func (a *appender) sawSeq(seq int64) {
	for {
		old := a.seen.Load()
		if seq <= old || a.seen.CompareAndSwap(old, seq) {
			return
		}
	}
}

func (a *appender) forkedErr() error {
	a.forkedMu.Lock()
	defer a.forkedMu.Unlock()
	return a.forked
}

func (a *appender) append(ctx context.Context, command *encoded) (outcome, error) {
	if err := a.forkedErr(); err != nil {
		return outcome{}, err
	}
	p := &pending{command: command, done: make(chan struct{})}
	select {
	case <-a.stopped:
		return outcome{}, stopping()
	default:
	}
	select {
	case a.queue <- p:
	default:
		a.log.metrics.refused.Inc()
		return outcome{}, &domain.Error{Code: domain.Unavailable, Message: "the log takes no more now: try again", RetryAfter: time.Second}
	}
	select {
	case <-p.done:
		return p.outcome, p.err
	case <-a.stopped:
		// The last flush may have answered at the same moment.
		select {
		case <-p.done:
			return p.outcome, p.err
		default:
			return outcome{}, stopping()
		}
	case <-ctx.Done():
		return outcome{}, domain.Wrap(domain.Unavailable, ctx.Err(), "the log did not answer in time: send the same request again")
	}
}

func stopping() error {
	return domain.Errorf(domain.Unavailable, "this process is stopping: send the same request again")
}

func (a *appender) run(ctx context.Context) error {
	defer close(a.stopped)
	for {
		select {
		case <-ctx.Done():
			a.flush(ctx)
			return nil
		case first := <-a.queue:
			a.send(ctx, a.gather(first))
		}
	}
}

// flush sends what was accepted before the stop.
func (a *appender) flush(ctx context.Context) {
	for {
		select {
		case first := <-a.queue:
			a.send(ctx, a.gather(first))
		default:
			return
		}
	}
}

// gather takes what waits already, up to the bounds of a batch.
func (a *appender) gather(first *pending) []*pending {
	batch, bytes := []*pending{first}, first.command.bytes
	for len(batch) < a.log.config.MaxBatch && bytes < a.log.config.MaxBatchBytes {
		select {
		case p := <-a.queue:
			batch = append(batch, p)
			bytes += p.command.bytes
		default:
			return batch
		}
	}
	return batch
}

// send appends the batch, however often it must be sent, and tells every caller. It returns without an answer only
// flushTime after the context has ended.
func (a *appender) send(ctx context.Context, batch []*pending) {
	start := time.Now()
	outcomes, err := a.call(ctx, batch)
	a.log.metrics.batch(len(batch), time.Since(start))
	for i, p := range batch {
		if err != nil {
			p.finish(outcome{}, err)
			continue
		}
		if outcomes[i].kind == 'o' {
			a.sawSeq(outcomes[i].partitionSeq)
		}
		p.finish(outcomes[i], nil)
	}
}

// call sends the same batch under the same number until it is answered.
func (a *appender) call(ctx context.Context, batch []*pending) ([]outcome, error) {
	if err := a.forkedErr(); err != nil {
		return nil, err
	}
	a.rename()
	identity := a.log.config.Identity
	seen := a.seen.Load()
	head := []any{identity.ID, identity.Epoch, a.number + 1, seen, resultKept.Milliseconds()}
	keys, args := assemble(a.partition, a.name, head, batch)

	limit, cancel := afterStop(ctx, flushTime)
	defer cancel()
	back := backoff{least: 5 * time.Millisecond, most: time.Second}
	for sent := 0; ; sent++ {
		answer, err := a.log.script.eval(limit, a.log.config.Client, keys, args)
		if err == nil {
			a.number++
			a.lastUsed = time.Now()
			return parseOutcomes(answer, len(batch))
		}
		if isNoScript(err) {
			err = a.log.script.prepare(limit, a.log.config.Client)
			if err == nil {
				continue
			}
		}
		if final := a.judge(err, sent == 0, seen); final != nil {
			return nil, final
		}
		a.log.metrics.retries.Inc()
		if !back.wait(limit) {
			// The answer is not known, so the name is not used again.
			a.name = ""
			return nil, stopping()
		}
	}
}

// judge returns the error to give to the callers, or nil where the batch must be sent again: whenever an earlier copy
// may have been executed, only the script itself can say what became of it.
func (a *appender) judge(err error, first bool, seen int64) error {
	switch replyKind(err) {
	case "FORKED", "FENCED", "NOLOG":
		return a.fork(err, seen)
	case "OOM":
		if first {
			return domain.Wrap(domain.Unavailable, err, "the log's memory is full: messages are taken again when some was freed")
		}
	case "ERR", "WRONGTYPE":
		// The script failed, which only a bug or a foreign key can cause. Nothing says how far it came.
		if strings.Contains(err.Error(), "script") {
			return a.fork(err, seen)
		}
	}
	a.log.config.Logger.Debug("append is sent again", slog.Int("partition", a.partition), slog.Any("error", err))
	return nil
}

// fork closes the partition for this process: what Redis holds is not what was seen.
func (a *appender) fork(err error, seen int64) error {
	forked := domain.Wrap(domain.Unavailable, fmt.Errorf("partition %d: redis answers %q, and events up to %d were seen", a.partition, err, seen),
		"a part of the log was lost and must be repaired: nothing is taken until then")
	a.forkedMu.Lock()
	a.forked = forked
	a.forkedMu.Unlock()
	a.log.metrics.forks.Inc()
	a.log.config.Logger.Error("partition closed: redis has less than was seen; run mpim log repair",
		slog.Int("partition", a.partition), slog.Int64("seen_seq", seen), slog.Any("error", err))
	return forked
}

// rename gives the appender a name of its own when it has none, or when Redis may soon forget the old one.
func (a *appender) rename() {
	if a.name != "" && time.Since(a.lastUsed) < renameAfter {
		return
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails, as crypto/rand says
	a.name, a.number, a.lastUsed = hex.EncodeToString(id[:]), 0, time.Now()
}

// Forked returns the reason why a partition takes no appends, or nil.
func (l *Log) Forked() error {
	var all []error
	for _, a := range l.appenders {
		if err := a.forkedErr(); err != nil {
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}

// afterStop returns a context that ends the given time after ctx has ended.
func afterStop(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	limit, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(d, cancel)
		context.AfterFunc(limit, func() { timer.Stop() })
	})
	return limit, func() { stop(); cancel() }
}

// backoff waits longer each time.
type backoff struct{ least, most, next time.Duration }

// wait returns false when the context ended.
func (b *backoff) wait(ctx context.Context) bool {
	b.next = min(max(b.next*2, b.least), b.most)
	timer := time.NewTimer(b.next)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
