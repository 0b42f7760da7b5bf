package streams

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
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
	// loadsAtOnce is how often one batch has the script loaded without waiting in between.
	loadsAtOnce = 3
)

// appender appends to one partition. While one batch is in flight the next gathers: group commit, with no delay added
// when traffic is low.
type appender struct {
	log       *Log
	partition int
	queue     queue
	seen      atomic.Int64
	gate      gate

	// What follows belongs to run.
	name   string
	number int64
	// lastUsed is by the wall clock, as Redis counts, which goes on while a machine sleeps.
	lastUsed time.Time
	// answeredAs is the script, and so the run of the server, that gave the last answer.
	answeredAs loadedScript
	batch      []*pending
}

func newAppender(l *Log, partition int) *appender {
	a := &appender{
		log:       l,
		partition: partition,
		queue:     queue{most: l.config.MaxQueue, wake: make(chan struct{}, 1)},
	}
	a.gate.wait()
	return a
}

func (a *appender) sawSeq(seq int64) {
	for {
		old := a.seen.Load()
		if seq <= old || a.seen.CompareAndSwap(old, seq) {
			return
		}
	}
}

// append waits for the outcome of the command. Whatever is admitted is finished before run returns.
func (a *appender) append(ctx context.Context, p *pending) (outcome, error) {
	if c := a.gate.closed.Load(); c.refuses() {
		return outcome{}, a.closedErr(c)
	}
	p.done, _ = answers.Get().(chan struct{})
	switch a.queue.put(p) {
	case admitted:
	case tooLate:
		return outcome{}, stopping()
	case tooMany:
		a.log.metrics.refused.Inc()
		return outcome{}, &domain.Error{Code: domain.Unavailable, Message: "the log takes no more now: try again", RetryAfter: time.Second}
	}
	select {
	case <-p.done:
		answers.Put(p.done)
		return p.outcome, p.err
	case <-ctx.Done():
		return outcome{}, domain.Wrap(domain.Unavailable, ctx.Err(), "the log did not answer in time: send the same request again")
	}
}

func stopping() error {
	return domain.Errorf(domain.Unavailable, "this process is stopping: send the same request again")
}

func (a *appender) run(ctx context.Context) error {
	defer a.refuse()
	// At once, or callers who come back could keep a stopped appender busy.
	defer context.AfterFunc(ctx, a.queue.close)()
	limit, cancel := afterStop(ctx, flushTime)
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			a.queue.close()
			a.drain(limit)
			return nil
		case <-a.queue.wake:
			a.drain(limit)
		}
	}
}

// drain sends what waits, and what comes meanwhile.
func (a *appender) drain(limit context.Context) {
	for {
		a.batch = a.queue.take(a.batch[:0], a.log.config.MaxBatch, a.log.config.MaxBatchBytes)
		if len(a.batch) == 0 {
			return
		}
		a.send(limit, a.batch)
		clear(a.batch)
	}
}

// refuse finishes what waits, and lets nothing more in.
func (a *appender) refuse() {
	a.queue.close()
	for _, p := range a.queue.take(nil, a.queue.most, math.MaxInt) {
		p.finish(outcome{}, stopping())
	}
}

// send appends the batch, however often it must be sent, and tells every caller. It returns without an answer only when
// the limit ends, some time after the appender was stopped.
func (a *appender) send(limit context.Context, batch []*pending) {
	start := time.Now()
	outcomes, err := a.call(limit, batch)
	a.log.metrics.batch(len(batch), time.Since(start))
	for i, p := range batch {
		if err != nil {
			p.finish(outcome{}, err)
			continue
		}
		p.finish(outcomes[i], nil)
	}
}

// call sends the same batch under the same number until it is answered.
func (a *appender) call(limit context.Context, batch []*pending) ([]outcome, error) {
	a.rename()
	seen := a.seen.Load()
	number, call := a.assemble(batch, seen)

	back := backoff{least: 5 * time.Millisecond, most: time.Second}
	uncertain, loads := false, 0
	for sent := 1; ; sent++ {
		script := a.log.script.current() // before the gate is looked at, which closes before a new one is used
		if err := a.enter(limit, uncertain); err != nil {
			a.name = "" // if it was sent before, what became of it is not known
			return nil, err
		}
		answer, err := script.eval(limit, a.log.config.Client, call)
		if err == nil {
			return a.answered(answer, script, len(batch))
		}
		if sent == 1 && number.written == 1 && a.forgotten(limit, err, script) {
			a.name = ""
			a.rename()
			number, call = a.assemble(batch, seen)
			continue
		}
		if isNoScript(err) {
			prepareErr := a.log.prepare(limit, script)
			if loads++; prepareErr == nil && loads <= loadsAtOnce {
				continue
			}
			err = cmp.Or(prepareErr, err)
		}
		uncertain = uncertain || replyKind(err) == ""
		if final := a.judge(err, uncertain, seen); final != nil {
			return nil, final
		}
		a.log.metrics.retries.Inc()
		level := slog.LevelDebug
		if sent == 10 { // after about 5 seconds
			level = slog.LevelWarn
		}
		a.log.config.Logger.Log(limit, level, "append is sent again", slog.Int("partition", a.partition), slog.Int("sent", sent), slog.Any("error", err))
		if !back.wait(limit) {
			// The answer is not known, so the name is not used again.
			a.name = ""
			return nil, stopping()
		}
	}
}

// batchNumber is the batch's number as an argument of the script. It counts how often it was written to a connection: the
// client library sends again without a word, and only what was written once has no copy that may have been executed.
type batchNumber struct {
	number  int64
	written int
}

// MarshalBinary is what the client library calls each time it writes.
func (n *batchNumber) MarshalBinary() ([]byte, error) {
	n.written++
	return strconv.AppendInt(nil, n.number, 10), nil
}

func (a *appender) assemble(batch []*pending, seen int64) (*batchNumber, []any) {
	identity := a.log.config.Identity
	number := &batchNumber{number: a.number + 1}
	return number, assemble(a.partition, a.name, []any{identity.ID, identity.Epoch, number, seen, resultKept.Milliseconds()}, batch)
}

// forgotten says whether Redis refuses the batch only because it has forgotten this appender's name, as it does when its
// clock steps forward: the server is the one that gave the last answer, so it has lost nothing, and the fork check goes
// on guarding what was seen.
func (a *appender) forgotten(ctx context.Context, err error, script loadedScript) bool {
	if replyKind(err) != "FORKED" || !strings.HasPrefix(err.Error(), "FORKED no batch") || script != a.answeredAs {
		return false
	}
	// Redis 6 keeps scripts over a restart.
	run, err := a.log.config.Server.RunID(ctx, a.log.config.Client)
	if err != nil || run != script.run {
		return false
	}
	a.log.config.Logger.Warn("redis forgot an appender before its time: did a clock step forward?", slog.Int("partition", a.partition))
	return true
}

func (a *appender) answered(answer string, script loadedScript, n int) ([]outcome, error) {
	a.number++
	a.lastUsed, a.answeredAs = time.Now().Round(0), script
	outcomes, err := parseOutcomes(answer, n)
	var last int64
	for _, o := range outcomes {
		if o.kind == 'o' {
			last = max(last, o.partitionSeq)
		}
	}
	a.sawSeq(last)
	a.gate.answered(last, script.run)
	return outcomes, err
}

// judge returns the error to give to the callers, or nil where the batch must be sent again: whenever an earlier copy
// may have been executed, or may be yet, only the script itself can say what became of it.
func (a *appender) judge(err error, uncertain bool, seen int64) error {
	switch replyKind(err) {
	case "CLOSED":
		a.gate.closeFor(asking(nil), false)
	case "NOLOG":
		closed := lostEvents(err)
		if strings.HasPrefix(err.Error(), "NOLOG is at epoch") {
			closed = beingRepaired(err)
		}
		a.gate.closeFor(closed, true)
	case "FORKED":
		return a.fork(err, seen, false)
	case "FENCED":
		return a.fork(err, seen, true)
	case "OOM":
		if !uncertain {
			// The client library sends again by itself. Should a copy still be on its way, it does not get the next
			// batch's number.
			a.name = ""
			return domain.Wrap(domain.Unavailable, err, "the log's memory is full: messages are taken again when some was freed")
		}
	case "ERR", "WRONGTYPE":
		// The script failed, which only a bug or a foreign key can cause. Nothing says how far it came.
		if strings.Contains(err.Error(), "script") {
			return a.fork(err, seen, true)
		}
	}
	return nil
}

// fork closes the partition: what Redis holds is not what was seen. For this process alone, where that is all it shows.
func (a *appender) fork(err error, seen int64, own bool) error {
	a.lost(&loss{seen: seen, own: own, err: lostEvents(fmt.Errorf("redis answers %w, and events up to %d were seen", err, seen))})
	return a.closedErr(a.gate.closed.Load())
}

// rename gives the appender a name of its own when it has none, or when Redis may soon forget the old one.
func (a *appender) rename() {
	if a.name != "" && time.Since(a.lastUsed) < renameAfter {
		return
	}
	a.name, a.number, a.lastUsed = randomName(), 0, time.Now().Round(0)
}

func randomName() string {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails, as crypto/rand says
	return hex.EncodeToString(id[:])
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
