package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mpim/streams/streamstest"
)

// builtProjections are those that the checker builds while people talk.
var builtProjections = []string{"presence", "members", "inbox", "recent", "history", "contacts", "search", "receipts", "activity"}

// TestCheckerWhileEverythingIsBuiltAnew lets people talk while projections are built, promoted, rolled back and dropped, the log
// is archived and trimmed behind them, and workers and gateways are killed at random. Afterwards it looks at every promise.
// CHECKER_SEED repeats a run's choices, CHECKER_DURATION makes it longer.
func TestCheckerWhileEverythingIsBuiltAnew(t *testing.T) {
	length := 40 * time.Second
	if s := os.Getenv("CHECKER_DURATION"); s != "" {
		var err error
		if length, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	seed := rand.Uint64()
	if s := os.Getenv("CHECKER_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("CHECKER_SEED=%d", seed)
	redis := streamstest.StartRedis(t, streamstest.With("appendfsync", "always"))
	r := &checkerRun{
		t: t, members: make(map[string][]*chatter), sparse: make(map[string]bool), eve: make(chan struct{}),
		d: deploy(t, layout{gateways: 2, workers: 3, server: redis, fsynced: true, env: []string{"MPIM_LOG_KEEP=3s"}}),
	}
	r.fault.Store("none")
	r.populate(t.Context())
	connected, disconnect := context.WithCancel(t.Context())
	defer disconnect()
	talking, hush := context.WithCancel(t.Context())
	defer hush()
	var online, senders, changing sync.WaitGroup
	for _, c := range r.chatters {
		online.Go(func() { c.work(connected) })
	}
	stopTalking := make(chan struct{})
	for conversation, members := range r.members {
		for _, c := range members {
			senders.Go(func() { r.talk(talking, stopTalking, c, conversation) })
		}
	}
	over, end := context.WithTimeout(t.Context(), length)
	defer end()
	c := &changes{run: r}
	for n := range uint64(3) {
		changing.Go(func() { c.build(over, rand.New(rand.NewPCG(seed, n))) })
	}
	changing.Go(func() { c.trim(over) })
	r.killAtRandom(over, rand.New(rand.NewPCG(seed, 3)))
	changing.Wait()
	close(stopTalking)
	time.AfterFunc(time.Minute, hush)
	senders.Wait()
	if talking.Err() != nil {
		t.Error("some messages were not taken within a minute after the last fault")
	}
	r.fault.Store("all")
	r.verify(t.Context())
	disconnect()
	online.Wait()
	r.settle(t.Context())
	for _, name := range append(slices.Clone(builtProjections), "notices") {
		output, err := r.d.run(t.Context(), "projection", "verify", name)
		if err != nil || output != "ok\n" {
			r.fail("projection verify %s: %v\n%s", name, err, output)
		}
	}
	if output, err := r.d.run(t.Context(), "log", "snapshots", "verify"); err != nil {
		r.fail("log snapshots verify: %v\n%s", err, output)
	}
	t.Logf("%d builds begun, %d promotions, %d rollbacks, %d dropped, %d commands killed, %d events trimmed",
		c.begun.Load(), c.promoted.Load(), c.rolledBack.Load(), c.dropped.Load(), c.killed.Load(), c.trimmed.Load())
	r.report()
	if c.begun.Load() < 2 || c.promoted.Load() < 2 || c.trimmed.Load() == 0 {
		t.Error("too little was built, promoted or trimmed for the run to mean anything")
	}
}

// changes are what operators do meanwhile.
type changes struct {
	run *checkerRun

	mu   sync.Mutex
	busy map[string]bool

	begun, promoted, rolledBack, dropped, killed, trimmed atomic.Int64
}

// claim returns a projection that nobody else is at work on.
func (c *changes) claim(random *rand.Rand) (name string, release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy == nil {
		c.busy = make(map[string]bool)
	}
	for {
		if name = builtProjections[random.IntN(len(builtProjections))]; !c.busy[name] {
			c.busy[name] = true
			return name, func() {
				c.mu.Lock()
				defer c.mu.Unlock()
				delete(c.busy, name)
			}
		}
	}
}

// build builds one projection after the other, promotes it, now and then goes back and forth, and drops what was before.
func (c *changes) build(ctx context.Context, random *rand.Rand) {
	for ctx.Err() == nil {
		name, release := c.claim(random)
		c.change(ctx, random, name)
		release()
	}
}

func (c *changes) change(ctx context.Context, random *rand.Rand, name string) {
	if !c.until(ctx, random, "build", name, "--wait") {
		return
	}
	c.begun.Add(1)
	if !c.until(ctx, random, "promote", name, "--yes") {
		return
	}
	c.promoted.Add(1)
	for random.IntN(2) == 0 {
		if !c.until(ctx, random, "rollback", name, "--yes") {
			return
		}
		c.rolledBack.Add(1)
		if !c.until(ctx, random, "promote", name, "--yes") {
			return
		}
		c.promoted.Add(1)
	}
	for _, b := range c.run.d.builds(c.run.t, name) { //nolint:contextcheck // it takes the test's
		if b.State != "live" && b.State != "dropped" && c.until(ctx, random, "drop", name, "--yes", "--build", strconv.Itoa(b.Build)) {
			c.dropped.Add(1)
		}
	}
}

// until runs a command until it is done. Every third time it is killed first. Where workers are gone for a moment a build cannot
// be promoted, and a view that somebody reads holds up a drop.
func (c *changes) until(ctx context.Context, random *rand.Rand, args ...string) bool {
	args = append([]string{"projection"}, args...)
	if random.IntN(3) == 0 {
		short, cancel := context.WithTimeout(ctx, time.Duration(random.IntN(400))*time.Millisecond)
		if _, err := c.run.d.run(short, args...); err != nil {
			c.killed.Add(1)
		}
		cancel()
	}
	for ctx.Err() == nil {
		_, err := c.run.d.run(ctx, args...)
		switch {
		case err == nil:
			return true
		case ctx.Err() != nil:
			return false
		case slices.ContainsFunc([]string{"behind", "come as far", "still", "try again"}, func(s string) bool { return strings.Contains(err.Error(), s) }):
			pause(ctx, 200*time.Millisecond)
		default:
			c.run.fail("%v", err)
			return false
		}
	}
	return false
}

// trim archives and trims again and again.
func (c *changes) trim(ctx context.Context) {
	for ctx.Err() == nil {
		for _, args := range [][]string{{"log", "archive", "--now"}, {"log", "trim", "--yes"}} {
			output, err := c.run.d.run(ctx, args...)
			if err != nil && ctx.Err() == nil && !strings.Contains(err.Error(), "archiving by another") {
				c.run.t.Logf("%v", err)
			}
			var n int64
			if _, err := fmt.Sscanf(output, "trimmed %d events", &n); err == nil {
				c.trimmed.Add(n)
			}
		}
		pause(ctx, 2*time.Second)
	}
}

// killAtRandom kills workers and gateways, one or two at a time, until the context ends; then all are up.
func (r *checkerRun) killAtRandom(ctx context.Context, random *rand.Rand) {
	parts := append(slices.Clone(r.d.workers), r.d.gateways...)
	for pause(ctx, time.Duration(1000+random.IntN(3000))*time.Millisecond); ctx.Err() == nil; {
		for _, n := range random.Perm(len(parts))[:1+random.IntN(2)] {
			name := fmt.Sprintf("worker %d killed", n)
			if n >= len(r.d.workers) {
				name = fmt.Sprintf("gateway %d killed", n-len(r.d.workers))
			}
			r.announce(ctx, name)
			if err := parts[n].Kill(); err != nil {
				r.t.Error(err)
			}
			pause(ctx, time.Duration(random.IntN(1500))*time.Millisecond)
			if err := parts[n].Restart(); err != nil { //nolint:contextcheck // it has a limit of its own
				r.t.Error(err)
			}
		}
		pause(ctx, time.Duration(4000+random.IntN(5000))*time.Millisecond)
	}
}

// builds returns all builds of a projection.
func (d *deployment) builds(t *testing.T, name string) (found []listed) {
	t.Helper()
	output, err := d.run(t.Context(), "projection", "list", "--all", "--json")
	if err != nil {
		t.Error(err)
		return nil
	}
	var lines []listed
	if err := json.Unmarshal([]byte(output), &lines); err != nil {
		t.Error(err)
	}
	for _, l := range lines {
		if l.Name == name {
			found = append(found, l)
		}
	}
	return found
}
