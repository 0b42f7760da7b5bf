package cache_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/streams/cache"
	"mpim/streams/streamstest"
)

func TestMain(m *testing.M) { os.Exit(streamstest.Main(m)) }

func open(tb testing.TB, config cache.Config) *cache.Cache {
	tb.Helper()
	c, err := cache.New(config)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// source is what SQL would be: a value for each id, counted as it is read.
type source struct {
	mu    sync.Mutex
	value string
	loads atomic.Int64
	ids   atomic.Int64
	// hold, where it is set, keeps a load from returning what it has read until it is closed; reading is sent to first.
	hold    chan struct{}
	reading chan struct{}
}

func (s *source) set(value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.value = value
}

func (s *source) load(_ context.Context, ids []string) (map[string][]byte, error) {
	s.loads.Add(1)
	s.ids.Add(int64(len(ids)))
	s.mu.Lock()
	value, hold, reading := s.value, s.hold, s.reading
	s.mu.Unlock()
	if hold != nil {
		reading <- struct{}{}
		<-hold
	}
	values := make(map[string][]byte)
	for _, id := range ids {
		if value != "" {
			values[id] = []byte(value + " of " + id)
		}
	}
	return values, nil
}

func wantValue(tb testing.TB, c *cache.Cache, s *source, id, want string) {
	tb.Helper()
	got, ok, err := c.Get(tb.Context(), cache.UserInfo, id, s.load)
	if err != nil || ok != (want != "") || string(got) != want {
		tb.Fatalf("%s is %q, %t, %v; want %q", id, got, ok, err, want)
	}
}

func numbered(prefix string, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return ids
}

func TestFillsOnceAndKeeps(t *testing.T) {
	t.Parallel()
	client := streamstest.Server.Client()
	c, s := open(t, cache.Config{Client: client}), &source{value: "one"}
	wantValue(t, c, s, "keeps", "one of keeps")
	s.set("two")
	wantValue(t, c, s, "keeps", "one of keeps")
	if s.loads.Load() != 1 {
		t.Errorf("%d loads", s.loads.Load())
	}
	for kind, want := range map[cache.Kind]time.Duration{cache.UserInfo: 3600 * time.Second, cache.UserFriends: 1800 * time.Second, cache.GroupInfo: 3600 * time.Second} {
		if _, _, err := c.Get(t.Context(), kind, "keeps", s.load); err != nil {
			t.Fatal(err)
		}
		key := string(kind) + ":{keeps}"
		if ttl := client.PTTL(t.Context(), key).Val(); ttl > want || ttl < want-10*time.Second {
			t.Errorf("%s lives for %s, want %s", key, ttl, want)
		}
	}
	s.set("")
	wantValue(t, c, s, "nobody", "")
	if n := client.Exists(t.Context(), cache.UserInfo.Key("nobody")).Val(); n != 0 {
		t.Error("a claim stays where there is nothing")
	}
}

// However many ask in two processes, one reads the source.
func TestOneFillHoweverManyAsk(t *testing.T) {
	t.Parallel()
	s := &source{value: "one", hold: make(chan struct{}), reading: make(chan struct{}, 100)}
	first, second := open(t, cache.Config{Client: streamstest.Server.Client()}), open(t, cache.Config{Client: streamstest.Server.Client()})
	var all sync.WaitGroup
	ask := func(c *cache.Cache) {
		all.Go(func() {
			got, ok, err := c.Get(t.Context(), cache.UserInfo, "herd", s.load)
			if err != nil || !ok || string(got) != "one of herd" {
				t.Errorf("%q, %t, %v", got, ok, err)
			}
		})
	}
	ask(first)
	<-s.reading
	for range 100 {
		ask(first)
		ask(second)
	}
	timer := time.NewTimer(50 * time.Millisecond) // the others come to wait
	<-timer.C
	close(s.hold)
	all.Wait()
	if s.loads.Load() != 1 {
		t.Errorf("%d loads, want 1", s.loads.Load())
	}
}

// A fill that has read before a change and puts after it does not overwrite what is newer.
func TestSlowFillNeverOverwrites(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(c *cache.Cache, s *source, id string) error{
		"refreshed": func(c *cache.Cache, s *source, id string) error {
			return c.Refresh(t.Context(), cache.UserInfo, []string{id}, s.load)
		},
		"forgotten": func(c *cache.Cache, _ *source, id string) error {
			return c.Forget(t.Context(), cache.UserInfo, []string{id})
		},
		"evicted": func(_ *cache.Cache, _ *source, id string) error {
			return streamstest.Server.Client().Del(t.Context(), cache.UserInfo.Key(id)).Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id := "slow " + name
			slow := &source{value: "old", hold: make(chan struct{}), reading: make(chan struct{}, 1)}
			first, second := open(t, cache.Config{Client: streamstest.Server.Client()}), open(t, cache.Config{Client: streamstest.Server.Client()})
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _, _ = first.Get(t.Context(), cache.UserInfo, id, slow.load) // whatever it is answered
			}()
			<-slow.reading
			fresh := &source{value: "new"}
			if err := change(second, fresh, id); err != nil {
				t.Fatal(err)
			}
			wantValue(t, second, fresh, id, "new of "+id)
			close(slow.hold)
			<-done
			wantValue(t, second, fresh, id, "new of "+id)
		})
	}
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	client := streamstest.Server.Client()
	c, s := open(t, cache.Config{Client: client}), &source{value: "one"}
	wantValue(t, c, s, "refreshed", "one of refreshed")
	s.set("two")
	if err := c.Refresh(t.Context(), cache.UserInfo, []string{"refreshed", "not there"}, s.load); err != nil {
		t.Fatal(err)
	}
	if n := s.ids.Load(); n != 2 {
		t.Errorf("%d ids were loaded, want 2: what nobody asked for is not kept", n)
	}
	wantValue(t, c, s, "refreshed", "two of refreshed")
	if n := s.loads.Load(); n != 2 {
		t.Errorf("%d loads after the refresh", n)
	}
	s.set("")
	if err := c.Refresh(t.Context(), cache.UserInfo, []string{"refreshed"}, s.load); err != nil {
		t.Fatal(err)
	}
	wantValue(t, c, s, "refreshed", "")
}

func TestGetMany(t *testing.T) {
	t.Parallel()
	c, s := open(t, cache.Config{Client: streamstest.Server.Client()}), &source{value: "one"}
	ids := numbered("many", 300)
	if _, err := c.GetMany(t.Context(), cache.UserInfo, ids[:100], s.load); err != nil {
		t.Fatal(err)
	}
	found, err := c.GetMany(t.Context(), cache.UserInfo, ids, s.load)
	if err != nil || len(found) != 300 {
		t.Fatalf("%d found, %v", len(found), err)
	}
	for _, id := range ids {
		if string(found[id]) != "one of "+id {
			t.Errorf("%s is %q", id, found[id])
		}
	}
	if s.loads.Load() != 2 || s.ids.Load() != 300 {
		t.Errorf("%d ids in %d loads", s.ids.Load(), s.loads.Load())
	}
}

// A cache that is out of reach, hangs or is full costs its time-out, and no answer.
func TestWithoutTheCache(t *testing.T) {
	t.Parallel()
	gone := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
	t.Cleanup(func() { _ = gone.Close() })
	s := &source{value: "one"}
	wantValue(t, open(t, cache.Config{Client: gone}), s, "gone", "one of gone")

	hung := streamstest.StartRedis(t)
	client := redis.NewClient(&redis.Options{Addr: hung.Addr(), ContextTimeoutEnabled: true, MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	c := open(t, cache.Config{Client: client, Timeout: 50 * time.Millisecond})
	wantValue(t, c, s, "hung", "one of hung")
	if err := hung.Pause(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	wantValue(t, c, s, "hung", "one of hung")
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %s", took)
	}
	if err := hung.Continue(); err != nil {
		t.Fatal(err)
	}
}

// Nothing of the log goes, whatever the cache does: it has a bound, keeps what is read, and gives way when memory is short.
func TestSharedServerKeepsTheLog(t *testing.T) {
	t.Parallel()
	shared := streamstest.StartRedis(t)
	client := shared.Client()
	log := map[string]string{}
	for i := range 1000 {
		key := fmt.Sprintf("{p00nc}:agg:%d", i)
		log[key] = strconv.Itoa(i)
		if err := client.Set(t.Context(), key, i, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	const bound = 1 << 20
	var used, limit atomic.Int64
	c := open(t, cache.Config{
		Client: client, Bound: func() int64 { return bound },
		Memory: func(context.Context) (int64, int64, error) { return used.Load(), limit.Load(), nil },
	})
	s := &source{value: string(make([]byte, 500))}
	hot := numbered("hot", 100)
	read := func() {
		t.Helper()
		if _, err := c.GetMany(t.Context(), cache.UserInfo, hot, s.load); err != nil {
			t.Fatal(err)
		}
	}
	for round := range 6 {
		read()
		if _, err := c.GetMany(t.Context(), cache.UserInfo, numbered(fmt.Sprintf("cold%d-", round), 1000), s.load); err != nil {
			t.Fatal(err)
		}
		timer := time.NewTimer(1100 * time.Millisecond) // the server counts idle time in seconds
		<-timer.C
		read()
		if err := c.Clean(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := client.Keys(t.Context(), "user:info:*").Result()
	if err != nil || len(entries)*(3*25+500+320) > bound+1000 || len(entries) < 500 {
		t.Errorf("%d entries within %d bytes, %v", len(entries), bound, err)
	}
	kept := 0
	for _, id := range hot {
		if slices.Contains(entries, cache.UserInfo.Key(id)) {
			kept++
		}
	}
	if kept < 95 {
		t.Errorf("%d of 100 that are read all the time were kept", kept)
	}
	// The log needs the memory.
	limit.Store(100 << 20)
	used.Store(90 << 20)
	if err := c.Clean(t.Context()); err != nil {
		t.Fatal(err)
	}
	if entries = client.Keys(t.Context(), "user:info:*").Val(); len(entries) != 0 {
		t.Errorf("%d entries while the log has no room", len(entries))
	}
	read()
	if entries = client.Keys(t.Context(), "user:info:*").Val(); len(entries) != 0 {
		t.Errorf("%d entries were stored while the log has no room", len(entries))
	}
	for key, want := range log {
		if got := client.Get(t.Context(), key).Val(); got != want {
			t.Fatalf("%s is %q, want %q", key, got, want)
		}
	}
	if left := client.Exists(t.Context(), "cache:{entries}:expiry", "cache:{entries}:sizes").Val(); left != 0 || client.Get(t.Context(), "cache:{entries}:bytes").Val() != "0" {
		t.Errorf("the list has %d keys left, and %s bytes", left, client.Get(t.Context(), "cache:{entries}:bytes").Val())
	}
}

// On a server that is full to the last byte and evicts nothing, reads are answered and changes take entries away.
func TestFullServer(t *testing.T) {
	t.Parallel()
	full := streamstest.StartRedis(t)
	client := full.Client()
	c := open(t, cache.Config{Client: client, Bound: func() int64 { return 1 << 20 }})
	s := &source{value: "one"}
	wantValue(t, c, s, "before", "one of before")
	if err := client.ConfigSet(t.Context(), "maxmemory", "1mb").Err(); err != nil {
		t.Fatal(err)
	}
	wantValue(t, c, s, "before", "one of before")
	wantValue(t, c, s, "during", "one of during")
	s.set("two")
	if err := c.Refresh(t.Context(), cache.UserInfo, []string{"before"}, s.load); err != nil {
		t.Fatal(err)
	}
	wantValue(t, c, s, "before", "two of before")
}

// A server of its own evicts by itself; the cache keeps no list there.
func TestOwnServerWithLRU(t *testing.T) {
	t.Parallel()
	own := streamstest.StartRedis(t, streamstest.With("maxmemory", "6mb"), streamstest.With("maxmemory-policy", "allkeys-lru"), streamstest.With("appendonly", "no"))
	client := own.Client()
	c, s := open(t, cache.Config{Client: client}), &source{value: string(make([]byte, 1000))}
	hot := numbered("hot", 100)
	for round := range 20 {
		for _, ids := range [][]string{hot, numbered(fmt.Sprintf("cold%d-", round), 500)} {
			if _, err := c.GetMany(t.Context(), cache.UserInfo, ids, s.load); err != nil {
				t.Fatal(err)
			}
		}
	}
	before := s.ids.Load()
	if _, err := c.GetMany(t.Context(), cache.UserInfo, hot, s.load); err != nil {
		t.Fatal(err)
	}
	if missed := s.ids.Load() - before; missed > 40 {
		t.Errorf("%d of 100 that are read all the time were evicted", missed)
	}
	if n := client.Exists(t.Context(), "cache:{entries}:sizes").Val(); n != 0 {
		t.Error("there is a list of entries")
	}
	if client.DBSize(t.Context()).Val() > 9000 {
		t.Errorf("%d keys", client.DBSize(t.Context()).Val())
	}
}
