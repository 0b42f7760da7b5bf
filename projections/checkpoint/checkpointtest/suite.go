// Package checkpointtest checks that a projection in Redis comes to the same state whatever happens on the way: any
// batching, any redelivery, workers that were deposed, servers that are killed.
package checkpointtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"mpim/projections"
	"mpim/projections/projectionstest"
)

// Projection is what is checked.
type Projection interface {
	projections.Projection
	// Dump returns the state of a partition in a form that does not tell how it came about.
	Dump(ctx context.Context, partition int) (map[string]string, error)
}

// Open returns a projection whose keys have the space in front.
type Open func(client redis.UniversalClient, space string) Projection

// Draw appends events to a log, sound ones and ones that name what is not there.
type Draw func(tb testing.TB, r *rapid.T, log *projectionstest.Log)

// Server is a Redis that can be killed.
type Server interface {
	Client() *redis.Client
	Kill() error
	Restart() error
}

var spaces atomic.Int64

// newSpace returns a space that nobody has used.
func newSpace() string { return fmt.Sprintf("test%d:", spaces.Add(1)) }

// partition is the one that all logs of the suite belong to.
const partition = 3

func draw(tb testing.TB, r *rapid.T, how Draw) *projectionstest.Log {
	tb.Helper()
	log := projectionstest.NewLog(partition)
	log.Start(time.Now().Add(-24 * time.Hour))
	how(tb, r, log)
	if len(log.Records) == 0 {
		r.Skip("no events")
	}
	return log
}

// AnyBatching draws logs and folds each twice: event by event, as the obvious fold does, and in any batches with
// redeliveries and take-overs, as live. Both must come to the same.
func AnyBatching(t *testing.T, client redis.UniversalClient, open Open, how Draw) {
	t.Helper()
	rapid.Check(t, func(r *rapid.T) {
		log := draw(t, r, how)
		spaces := [2]string{newSpace(), newSpace()}
		defer clean(t, client, spaces[:]...)
		reference, live := open(client, spaces[0]), open(client, spaces[1])
		fold(t, r, reference, log)
		applyLive(t, r, live, log)
		compare(t, r, log, dump(t, reference), dump(t, live))
	})
}

// clean removes the keys of spaces, so that the next dump has fewer to look at.
func clean(t *testing.T, client redis.UniversalClient, spaces ...string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	for _, space := range spaces {
		keys, err := client.Keys(ctx, "*"+space+"*").Result()
		if err == nil && len(keys) > 0 {
			err = client.Del(ctx, keys...).Err()
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// fold applies a log event by event.
func fold(t *testing.T, r *rapid.T, p Projection, log *projectionstest.Log) {
	t.Helper()
	take(t, p, 1)
	for n := int64(1); n <= int64(len(log.Records)); n++ {
		if err := p.Apply(t.Context(), step(log, 1, n, n)); err != nil {
			r.Fatalf("event %d: %v", n, err)
		}
	}
}

func take(t *testing.T, p Projection, token int64) int64 {
	t.Helper()
	at, err := p.Take(t.Context(), partition, token)
	if err != nil {
		t.Fatal(err)
	}
	return at.Seq
}

func step(log *projectionstest.Log, token, from, to int64) projections.Step {
	return projections.Step{Batch: *log.Batch(token, from, to), At: log.Records[to-1].At}
}

// applyLive applies a log as a flawed world would.
func applyLive(t *testing.T, r *rapid.T, p Projection, log *projectionstest.Log) {
	t.Helper()
	token, end := int64(1), int64(len(log.Records))
	take(t, p, token)
	for from := int64(1); from <= end; {
		to := rapid.Int64Range(from, end).Draw(r, "to")
		next := step(log, token, from, to)
		if err := p.Apply(t.Context(), next); err != nil {
			r.Fatalf("events %d to %d: %v", from, to, err)
		}
		switch rapid.IntRange(0, 4).Draw(r, "what happens") {
		case 0: // the answer was lost
			if err := p.Apply(t.Context(), next); err != nil {
				r.Fatalf("events %d to %d once more: %v", from, to, err)
			}
		case 1: // the answer was lost, and the batch read anew, longer
			longer := rapid.Int64Range(to, end).Draw(r, "longer")
			if err := p.Apply(t.Context(), step(log, token, from, longer)); err != nil {
				r.Fatalf("events %d to %d after %d: %v", from, longer, to, err)
			}
			to = longer
		case 2: // another worker takes over, and the old one wakes up with any batch
			token++
			if at := take(t, p, token); at != to {
				r.Fatalf("the checkpoint stands at %d after %d", at, to)
			}
			stale := rapid.Int64Range(1, end).Draw(r, "stale from")
			staleTo := rapid.Int64Range(stale, end).Draw(r, "stale to")
			if err := p.Apply(t.Context(), step(log, token-1, stale, staleTo)); !errors.Is(err, projections.ErrDeposed) {
				r.Fatalf("a deposed worker's batch got %v", err)
			}
		}
		from = to + 1
	}
}

func dump(t *testing.T, p Projection) map[string]string {
	t.Helper()
	d, err := p.Dump(t.Context(), partition)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// fataler is a *testing.T or a *rapid.T.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func compare(t *testing.T, f fataler, log *projectionstest.Log, want, got map[string]string) {
	t.Helper()
	if maps.Equal(want, got) {
		return
	}
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if got[key] != want[key] {
			fmt.Fprintf(&b, "%s\n  want %q\n  got  %q\n", key, want[key], got[key])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if _, wanted := want[key]; !wanted {
			fmt.Fprintf(&b, "%s\n  want nothing\n  got  %q\n", key, got[key])
		}
	}
	fmt.Fprintln(&b, "after")
	for _, r := range log.Records[:min(len(log.Records), 60)] {
		fmt.Fprintf(&b, "  %d %s seq %d by %s: %s %s\n", r.Seq, r.Aggregate, r.ConversationSeq, r.Actor, r.Type, r.Data)
	}
	f.Fatalf("states differ:\n%s", b.String())
}

// Stalled draws logs and has a worker stop, at its first write outside of the partition, for so long that another takes
// over and goes on, before that write goes out. It must not reach the partition, nor take back anything elsewhere.
func Stalled(t *testing.T, address string, open Open, how Draw) {
	t.Helper()
	client, slow := redis.NewClient(&redis.Options{Addr: address}), redis.NewClient(&redis.Options{Addr: address})
	t.Cleanup(func() { _, _ = client.Close(), slow.Close() })
	stall := &stall{}
	slow.AddHook(stall)
	rapid.Check(t, func(r *rapid.T) {
		log := draw(t, r, how)
		end := int64(len(log.Records))
		spaces := [2]string{newSpace(), newSpace()}
		defer clean(t, client, spaces[:]...)
		old, live := open(slow, spaces[0]), open(client, spaces[0])
		take(t, old, 1)
		from := rapid.Int64Range(1, end).Draw(r, "from")
		if from > 1 {
			if err := old.Apply(t.Context(), step(log, 1, 1, from-1)); err != nil {
				r.Fatal(err)
			}
		}
		passed := rapid.Int64Range(from, end).Draw(r, "passed meanwhile")
		stall.do = func() {
			take(t, live, 2)
			if err := live.Apply(t.Context(), step(log, 2, from, passed)); err != nil {
				r.Fatal(err)
			}
		}
		err := old.Apply(t.Context(), step(log, 1, from, rapid.Int64Range(from, end).Draw(r, "to")))
		if stall.do != nil { // it had nothing to write outside
			stall.do = nil
			r.Skip()
		}
		if !errors.Is(err, projections.ErrDeposed) {
			r.Fatalf("the worker that stalled got %v", err)
		}
		if passed < end {
			if err := live.Apply(t.Context(), step(log, 2, passed+1, end)); err != nil {
				r.Fatal(err)
			}
		}
		reference := open(client, spaces[1])
		fold(t, r, reference, log)
		compare(t, r, log, dump(t, reference), dump(t, live))
	})
}

// stall is a hook that does something once, before a pipeline with scripts goes out.
type stall struct{ do func() }

func (s *stall) DialHook(next redis.DialHook) redis.DialHook { return next }

func (s *stall) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (s *stall) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		if do := s.do; do != nil && commands[0].Name() == "evalsha" {
			s.do = nil
			do()
		}
		return next(ctx, commands)
	}
}

// Killed folds a log while the server is killed and started again, and compares with a fold that nothing disturbed. The
// server must sync every write.
func Killed(t *testing.T, server Server, open Open, log *projectionstest.Log) {
	t.Helper()
	const kills = 3
	client := server.Client()
	p := open(client, newSpace())
	token := int64(1)
	take(t, p, token)
	end := int64(len(log.Records))
	size := max(end/60, 1)
	killed := make(chan error, 1)
	next, running := end/(kills+1), false
	for from := int64(1); from <= end; {
		if next > 0 && from > next && !running {
			next += end / (kills + 1)
			running = true
			go func() { killed <- errors.Join(server.Kill(), server.Restart()) }()
		}
		to := min(from+size-1, end)
		err := p.Apply(t.Context(), step(log, token, from, to))
		switch {
		case err == nil:
			from = to + 1
		case errors.Is(err, projections.ErrDeposed):
			token++
			from = take(t, p, token) + 1
		case projections.IsOutside(err) && running:
			running = false
			if err := <-killed; err != nil {
				t.Fatal(err)
			}
		case !projections.IsOutside(err):
			t.Fatal(err)
		}
	}
	if running {
		if err := <-killed; err != nil {
			t.Fatal(err)
		}
	}
	reference := open(client, newSpace())
	take(t, reference, 1)
	if err := reference.Apply(t.Context(), step(log, 1, 1, end)); err != nil {
		t.Fatal(err)
	}
	compare(t, t, log, dump(t, reference), dump(t, p))
}
