package lease_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/schema"
	"mpim/streams/lease"
)

const partitions = 16

// Shorter than the defaults by five, so that tests on a real server take a second.
const (
	ttl    = time.Second
	renew  = 300 * time.Millisecond
	margin = 100 * time.Millisecond
)

// cluster is some workers on one server, and a record of what they hold.
type cluster struct {
	t     *testing.T
	store store

	mu      sync.Mutex
	changed chan struct{}                   // closed at every change
	holding map[lease.Lease]string          // who believes to hold what now
	tokens  map[[2]any]int64                // the highest token seen, by consumer and partition
	causes  map[string]map[error]int        // by worker, how its leases ended
	began   map[string]map[lease.Lease]bool // by worker, all it ever held
}

func newCluster(t *testing.T, s store) *cluster {
	t.Helper()
	return &cluster{
		t: t, store: s, changed: make(chan struct{}),
		holding: make(map[lease.Lease]string), tokens: make(map[[2]any]int64),
		causes: make(map[string]map[error]int), began: make(map[string]map[lease.Lease]bool),
	}
}

// worker is a running manager.
type worker struct {
	id     string
	client *redis.Client
	gate   *gate
	stop   func() // stops it cleanly and waits; may be called again
}

// start starts a worker with the given consumers. Finish delays the return of its holds after their context ended.
func (c *cluster) start(id string, finish func(lease.Lease), consumers ...string) *worker {
	c.t.Helper()
	client, g := c.store.client(c.t)
	m, err := lease.New(lease.Config{
		Client: client, Partitions: partitions, Worker: id, URL: "http://" + id,
		TTL: ttl, Renew: renew, Margin: margin, Logger: slog.New(slog.NewTextHandler(c.t.Output(), nil)),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	for _, consumer := range consumers {
		m.Handle(consumer, func(ctx context.Context, l lease.Lease) {
			c.note(ctx, id, l)
			if finish != nil {
				finish(l)
			}
		})
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	w := &worker{id: id, client: client, gate: g, stop: sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			c.t.Errorf("Run of %s: %v", id, err)
		}
	})}
	c.t.Cleanup(w.stop)
	return w
}

// note records a lease from its beginning to the end of its context.
func (c *cluster) note(ctx context.Context, id string, l lease.Lease) {
	c.mu.Lock()
	place := [2]any{l.Consumer, l.Partition}
	for other, holder := range c.holding {
		if c.store.exact && other.Consumer == l.Consumer && other.Partition == l.Partition {
			c.t.Errorf("%s holds %+v while %s holds %+v", id, l, holder, other)
		}
	}
	if l.Token <= c.tokens[place] {
		c.t.Errorf("token of %+v is not above %d", l, c.tokens[place])
	}
	c.tokens[place] = l.Token
	c.holding[l] = id
	if c.began[id] == nil {
		c.began[id] = make(map[lease.Lease]bool)
		c.causes[id] = make(map[error]int)
	}
	c.began[id][l] = true
	c.change()
	c.mu.Unlock()

	<-ctx.Done()

	c.mu.Lock()
	delete(c.holding, l)
	c.causes[id][context.Cause(ctx)]++
	c.change()
	c.mu.Unlock()
}

func (c *cluster) change() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// share returns how many partitions of a consumer each worker believes to hold.
func (c *cluster) share(consumer string) map[string]int {
	shares := make(map[string]int)
	for l, id := range c.holding {
		if l.Consumer == consumer {
			shares[id]++
		}
	}
	return shares
}

// await waits until what the workers hold satisfies the condition.
func (c *cluster) await(what string, condition func() bool) {
	c.t.Helper()
	timeout := time.NewTimer(10 * time.Second)
	defer timeout.Stop()
	for {
		c.mu.Lock()
		ok, changed := condition(), c.changed
		c.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-timeout.C:
			c.mu.Lock()
			defer c.mu.Unlock()
			c.t.Fatalf("not within 10 s: %s; held: %v", what, c.holding)
		}
	}
}

func (c *cluster) awaitShares(consumer string, want map[string]int) {
	c.t.Helper()
	c.await(fmt.Sprintf("%s is spread %v", consumer, want), func() bool {
		got := c.share(consumer)
		for id, n := range want {
			if got[id] != n {
				return false
			}
		}
		return true
	})
}

// causesOf returns how the leases of a worker ended.
func (c *cluster) causesOf(id string) map[error]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.causes[id]
}

func TestWorkersShareEvenly(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		c := newCluster(t, s)
		consumers := []string{"history", "inbox", "push"}
		c.start("a", nil, consumers...)
		c.awaitShares("push", map[string]int{"a": 16})
		b := c.start("b", nil, consumers...)
		for _, consumer := range consumers {
			c.awaitShares(consumer, map[string]int{"a": 8, "b": 8})
		}
		c.start("c", nil, "history")
		c.awaitShares("history", map[string]int{"a": 6, "b": 5, "c": 5})
		c.awaitShares("inbox", map[string]int{"a": 8, "b": 8})
		c.mu.Lock()
		for l, id := range c.holding { // all consumers of a partition that could be together are
			for other, holder := range c.holding {
				if l.Consumer == "inbox" && other.Consumer == "push" && other.Partition == l.Partition && holder != id {
					t.Errorf("inbox of %d is at %s and push at %s", l.Partition, id, holder)
				}
			}
		}
		c.mu.Unlock()

		holders, err := lease.Holders(t.Context(), b.client, partitions, "history")
		if err != nil || len(holders) != partitions {
			t.Fatalf("holders: %v, %v", holders, err)
		}
		for p, h := range holders {
			c.mu.Lock()
			if id := c.holding[lease.Lease{Consumer: "history", Partition: p, Token: h.Token}]; h.Partition != p || id != h.Worker {
				t.Errorf("%+v, but %q holds it", h, id)
			}
			c.mu.Unlock()
		}
		workers, err := lease.Workers(t.Context(), b.client, ttl)
		if err != nil || len(workers) != 3 {
			t.Fatalf("workers: %+v, %v", workers, err)
		}
		i := slices.IndexFunc(workers, func(w lease.Worker) bool { return w.ID == "c" })
		if w := workers[i]; w.URL != "http://c" || !slices.Equal(w.Consumers, []string{"history"}) || w.HeartbeatMS == 0 {
			t.Errorf("worker c is listed as %+v", w)
		}
	})
}

func TestCleanStopHandsOverAtOnce(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		c := newCluster(t, s)
		a := c.start("a", nil, "history", "inbox")
		c.start("b", nil, "history", "inbox")
		c.awaitShares("inbox", map[string]int{"a": 8, "b": 8})
		c.awaitShares("history", map[string]int{"a": 8, "b": 8})
		began := time.Now()
		a.stop()
		c.awaitShares("history", map[string]int{"b": 16})
		c.awaitShares("inbox", map[string]int{"b": 16})
		took := time.Since(began)
		t.Logf("taken over after %s", took)
		if s.exact && took > 10*time.Millisecond {
			t.Errorf("taken over after %s, which is not at once", took)
		}
		if took >= ttl-renew {
			t.Errorf("taken over after %s, which is no better than letting them expire", took)
		}
		if got := c.causesOf("a"); got[lease.ErrLost] > 0 {
			t.Errorf("leases of a ended %v, none should have been lost", got)
		}
	})
}

func TestFrozenWorkerLosesItsLeasesInTime(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		c := newCluster(t, s)
		a := c.start("a", nil, "history")
		c.start("b", nil, "history")
		c.awaitShares("history", map[string]int{"a": 8, "b": 8})
		a.gate.Shut()
		began := time.Now()
		c.awaitShares("history", map[string]int{"a": 0})
		if took := time.Since(began); s.exact && took > ttl-margin {
			t.Errorf("a believed in its leases for %s, longer than they lived", took)
		}
		if got := c.causesOf("a"); got[lease.ErrLost] != 8 {
			t.Errorf("leases of a ended %v, want 8 lost", got)
		}
		c.awaitShares("history", map[string]int{"b": 16}) // newCluster's record finds any overlap and any token that does not rise
		took := time.Since(began)
		t.Logf("taken over after %s with a TTL of %s", took, ttl)
		if s.exact && took > ttl+10*time.Millisecond {
			t.Errorf("taken over after %s", took)
		}
		a.gate.Open()
		c.awaitShares("history", map[string]int{"a": 8, "b": 8})
	})
}

func TestHandOverWaitsForTheHold(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		c := newCluster(t, s)
		finish := make(chan struct{})
		c.start("a", func(lease.Lease) { <-finish }, "history")
		c.awaitShares("history", map[string]int{"a": 16})
		b := c.start("b", nil, "history")
		c.awaitShares("history", map[string]int{"a": 8})
		// Renewed over more than a life, so still a's.
		timer := time.NewTimer(2 * ttl)
		<-timer.C
		holders, err := lease.Holders(t.Context(), b.client, partitions, "history")
		if err != nil || len(holders) != partitions {
			t.Fatalf("holders: %v, %v", holders, err)
		}
		for _, h := range holders {
			if h.Worker != "a" {
				t.Errorf("%+v was taken from a hold that has not returned", h)
			}
		}
		close(finish)
		c.awaitShares("history", map[string]int{"a": 8, "b": 8})
	})
}

func TestFlushedServerGivesHigherTokens(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		c := newCluster(t, s)
		a := c.start("a", nil, "history")
		c.awaitShares("history", map[string]int{"a": 16})
		if err := a.client.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		c.await("all are lost and taken again", func() bool { // the record finds a token that does not rise
			return len(c.began["a"]) == 32 && c.share("history")["a"] == 16
		})
	})
}

// When the answer to a taking is lost, Redis says that the worker holds a lease of which it does not know the token.
func TestTakesAgainWhatItDoesNotKnowToHold(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		client, _ := s.client(t)
		later := time.Now().Add(time.Hour).UnixMilli()
		for p := range partitions {
			err := client.HSet(t.Context(), schema.PartitionKey(p, "leases"),
				"history", fmt.Sprintf("a %d %d", later, later), "history:token", later).Err()
			if err != nil {
				t.Fatal(err)
			}
		}
		c := newCluster(t, s)
		c.start("a", nil, "history")
		c.awaitShares("history", map[string]int{"a": partitions})
		c.mu.Lock()
		defer c.mu.Unlock()
		for l := range c.holding {
			if l.Token <= later {
				t.Errorf("the token of %+v is not above %d", l, later)
			}
		}
	})
}

func TestHoldThatReturnsIsNotCalledAtOnce(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		client, _ := s.client(t)
		m, err := lease.New(lease.Config{Client: client, Partitions: 1, Worker: "a", TTL: ttl, Renew: renew})
		if err != nil {
			t.Fatal(err)
		}
		calls := make(chan time.Time)
		m.Handle("history", func(context.Context, lease.Lease) { calls <- time.Now() })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- m.Run(ctx) }()
		first := <-calls
		if gap := (<-calls).Sub(first); gap < 900*time.Millisecond {
			t.Errorf("called again after %s", gap)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{})
	t.Cleanup(func() { _ = client.Close() })
	for name, config := range map[string]lease.Config{
		"no client":     {Partitions: 1, Worker: "a"},
		"no partitions": {Client: client, Worker: "a"},
		"space":         {Client: client, Partitions: 1, Worker: "a b"},
		"short TTL":     {Client: client, Partitions: 1, Worker: "a", TTL: time.Second, Renew: time.Second},
	} {
		if _, err := lease.New(config); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	m, err := lease.New(lease.Config{Client: client, Partitions: 1, Worker: "a"})
	if err != nil {
		t.Fatal(err)
	}
	m.Handle("history", nil)
	for _, consumer := range []string{"", "a:b", "a b"} {
		if !panics(func() { m.Handle(consumer, func(context.Context, lease.Lease) {}) }) {
			t.Errorf("%q was taken as a consumer", consumer)
		}
	}
}

func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}
