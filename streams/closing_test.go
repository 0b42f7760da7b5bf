package streams_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/schema"
	"mpim/streams"
	"mpim/streams/streamstest"
)

// stopHook holds a process up whenever it calls the server, as if it were stopped.
type stopHook struct {
	mu      sync.Mutex
	resumed chan struct{} // nil while it runs
}

func (h *stopHook) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.resumed = make(chan struct{})
}

func (h *stopHook) resume() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.resumed)
	h.resumed = nil
}

func (h *stopHook) wait(ctx context.Context) error {
	h.mu.Lock()
	resumed := h.resumed
	h.mu.Unlock()
	if resumed == nil {
		return nil
	}
	select {
	case <-resumed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *stopHook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if err := h.wait(ctx); err != nil {
			return nil, err
		}
		return next(ctx, network, addr)
	}
}

func (h *stopHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := h.wait(ctx); err != nil {
			cmd.SetErr(err)
			return err
		}
		return next(ctx, cmd)
	}
}

func (h *stopHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if err := h.wait(ctx); err != nil {
			return err
		}
		return next(ctx, cmds)
	}
}

// eventually polls until it holds.
func eventually(t *testing.T, within time.Duration, what string, holds func() bool) {
	t.Helper()
	limit := time.NewTimer(within)
	defer limit.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("%s did not come to be within %s", what, within)
		}
	}
}

// appenders returns who is registered.
func appenders(t *testing.T, client *redis.Client) []string {
	t.Helper()
	all, err := client.HGetAll(t.Context(), "appenders").Result()
	if err != nil {
		t.Fatal(err)
	}
	var lives []string
	for life := range all {
		if life != "~run" {
			lives = append(lives, life)
		}
	}
	return lives
}

func metaOf(t *testing.T, client *redis.Client, partition int) map[string]string {
	t.Helper()
	meta, err := client.HGetAll(t.Context(), schema.PartitionKey(partition, "meta")).Result()
	if err != nil {
		t.Fatal(err)
	}
	return meta
}

func TestCleanRestartOpensAgain(t *testing.T) {
	t.Parallel()
	server := streamstest.StartRedis(t, streamstest.With("appendfsync", "always"))
	client := server.Client()
	a := createLog(t, client, streams.Config{Name: "a"})
	group := a.Identity().Placement().Group("u", "1").Aggregate()
	logs := []*streams.Log{a, another(t, server, a, nil), another(t, server, a, nil)}
	for round := range 3 {
		for _, log := range logs {
			mustAppend(t, log, group)
		}
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for n, log := range logs { // none of them is told that it was closed
			if appended := mustAppend(t, log, group); appended.Seq != domain.Seq(6*round+3+n+1) {
				t.Errorf("appended at %d in round %d", appended.Seq, round)
			}
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("a clean restart took %s", took)
		}
	}
	for partition := range faultPartitions {
		if meta := metaOf(t, client, partition); meta["complete"] != "1" || meta["run"] == "" || meta["opened"] == "" {
			t.Errorf("partition %d is %v", partition, meta)
		}
	}
}

// Whoever died with the server is waited for as long as it may yet come back, and no longer.
func TestDeadProcessHoldsTheLogClosed(t *testing.T) {
	t.Parallel()
	server := streamstest.StartRedis(t, streamstest.With("appendfsync", "always"))
	client := server.Client()
	const alive = 2 * time.Second
	told := &lines{}
	log := createLog(t, client, streams.Config{Alive: alive, Logger: told.logger()})
	group := log.Identity().Placement().Group("u", "1").Aggregate()
	mustAppend(t, log, group)
	now, err := client.Time(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	client.HSet(t.Context(), "appenders", "dead", now.UnixMilli(), "long gone", now.Add(-time.Hour).UnixMilli())
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	// While it is down time goes on, and nobody can say that he lives.
	<-time.After(alive + 100*time.Millisecond)
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	eventually(t, 2*time.Second, "closing", func() bool { return log.Closed() != nil && strings.Contains(log.Closed().Error(), "dead") })
	if log.Forked() != nil || strings.Contains(log.Closed().Error(), "gone") {
		t.Errorf("closed is %v, forked is %v", log.Closed(), log.Forked())
	}
	mustAppend(t, log, group) // it waits
	if took := time.Since(start); took < alive-time.Second/2 || took > alive+2*time.Second {
		t.Errorf("it was closed for %s", took)
	}
	if lives := appenders(t, client); len(lives) != 1 {
		t.Errorf("registered are %v", lives)
	}
}

// A closed log refuses after a while, and says why.
func TestClosedLogRefuses(t *testing.T) {
	t.Parallel()
	server := streamstest.StartRedis(t, streamstest.With("appendfsync", "always"))
	client := server.Client()
	log := createLog(t, client, streams.Config{})
	group := log.Identity().Placement().Group("u", "1").Aggregate()
	mustAppend(t, log, group)
	now, _ := client.Time(t.Context()).Result()
	client.HSet(t.Context(), "appenders", "dead", now.UnixMilli())
	restart := func() {
		t.Helper()
		if err := errors.Join(server.Kill(), server.Restart()); err != nil {
			t.Fatal(err)
		}
	}
	restart()
	_, err := log.Append(t.Context(), message(group, true))
	refused, ok := errors.AsType[*domain.Error](err)
	if !ok || refused.Code != domain.Unavailable || refused.RetryAfter == 0 || !strings.Contains(err.Error(), "dead") {
		t.Fatalf("error is %v", err)
	}
	// A process that starts meanwhile waits as well, and a restart in the middle of it begins anew.
	newcomer := another(t, server, log, nil)
	restart()
	eventually(t, 5*time.Second, "asking again", func() bool {
		seen, _ := client.HLen(t.Context(), schema.PartitionKey(0, "seen")).Result()
		return seen == 2
	})
	if meta := metaOf(t, client, 0); meta["complete"] != "0" {
		t.Errorf("open without the third: %v", meta)
	}
	// It comes back.
	client.HDel(t.Context(), "appenders", "dead")
	eventually(t, 2*time.Second, "opening", func() bool { return log.Closed() == nil && newcomer.Closed() == nil })
	mustAppend(t, newcomer, group)
	mustAppend(t, log, group)
}

func TestWhoStopsIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	server := streamstest.StartRedis(t)
	client := server.Client()
	log, stop := startLog(t, client, streams.Config{Name: "first"})
	mustAppend(t, log, log.Identity().Placement().Group("u", "1").Aggregate())
	if lives := appenders(t, client); len(lives) != 1 || !strings.HasPrefix(lives[0], "first.") {
		t.Errorf("registered are %v", lives)
	}
	stop()
	if lives := appenders(t, client); len(lives) != 0 {
		t.Errorf("registered are %v after it stopped", lives)
	}
}

func TestSoleProcessTakesThePlaceOfItsEarlierLife(t *testing.T) {
	t.Parallel()
	server := streamstest.StartRedis(t, streamstest.With("appendfsync", "always"))
	client := server.Client()
	first, stop := startLog(t, client, streams.Config{})
	group := first.Identity().Placement().Group("u", "1").Aggregate()
	mustAppend(t, first, group)
	stop()
	now, _ := client.Time(t.Context()).Result()
	client.HSet(t.Context(), "appenders", "dev.killed", now.UnixMilli())
	if err := errors.Join(server.Kill(), server.Restart()); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, runLog(t, streams.Config{Client: client, Identity: first.Identity(), Name: "dev", Sole: true}), group)
}

// Who was stopped while all others went on has seen what nobody asked him about.
func TestWhoComesLateFindsTheFork(t *testing.T) {
	t.Parallel()
	server := startRestorable(t)
	b := createLog(t, server.Client(), streams.Config{})
	group := b.Identity().Placement().Group("u", "1").Aggregate()
	partition, _ := group.Partition()
	mustAppend(t, b, group)
	server.keep(t)
	hook := &stopHook{}
	client := server.Client()
	client.AddHook(hook)
	a := runLog(t, streams.Config{Client: client, Identity: b.Identity(), Look: time.Hour})
	for range 3 {
		mustAppend(t, a, group)
	}
	idle := runLog(t, streams.Config{Client: server.Client(), Identity: b.Identity()})
	hook.stop()
	eventually(t, 5*time.Second, "looking", func() bool { return idle.Closed() == nil })
	server.lose(t)
	for range 5 {
		mustAppend(t, b, group)
	}
	hook.resume()
	wantFork(t, a, group, "opened at 1, and events up to 4 were seen before")
	eventually(t, 3*time.Second, "telling the others", func() bool { return b.Forked() != nil })
	if meta := metaOf(t, server.Client(), partition); meta["forked"] != "4" || meta["complete"] != "0" || meta["seq"] != "6" {
		t.Errorf("the partition says %v", meta)
	}
	for other := range faultPartitions {
		if meta := metaOf(t, server.Client(), other); other != partition && meta["complete"] != "1" {
			t.Errorf("partition %d, which lost nothing, says %v", other, meta)
		}
	}
	// No restart opens it.
	if err := errors.Join(server.Kill(), server.Restart()); err != nil {
		t.Fatal(err)
	}
	newcomer := another(t, server.RedisServer, b, nil)
	eventually(t, 20*time.Second, "opening the others", func() bool {
		closed := newcomer.Closed()
		return closed != nil && newcomer.Forked() != nil && closed.Error() == newcomer.Forked().Error()
	})
	wantFork(t, newcomer, group, "events up to 4 were seen")
}

// What outlives processes is asked when the server runs anew, and by whoever starts.
func TestLostTailIsRefusedByWhoRemembers(t *testing.T) {
	t.Parallel()
	server := startRestorable(t)
	client := server.Client()
	log := createLog(t, client, streams.Config{Look: time.Hour})
	group := log.Identity().Placement().Group("u", "1").Aggregate()
	partition, _ := group.Partition()
	server.keep(t)
	var mu sync.Mutex
	inSQL := make([]int64, faultPartitions)
	remembering := func(ctx context.Context) ([]int64, error) {
		mu.Lock()
		defer mu.Unlock()
		return append([]int64(nil), inSQL...), ctx.Err()
	}
	b := runLog(t, streams.Config{Client: client, Identity: log.Identity(), Look: time.Hour, Remembered: remembering})
	mustAppend(t, b, group)
	mu.Lock()
	inSQL[partition] = 7
	mu.Unlock()
	mustAppend(t, b, group) // nobody looks into SQL for it
	server.lose(t)
	wantFork(t, b, group, "events up to 7 were seen")
	eventually(t, 5*time.Second, "telling the others", func() bool { return log.Forked() != nil })

	// Another log, whose Redis was exchanged while nothing ran.
	fresh := streamstest.StartRedis(t).Client()
	if err := streams.Create(t.Context(), fresh, log.Identity()); err != nil {
		t.Fatal(err)
	}
	starting := runLog(t, streams.Config{Client: fresh, Identity: log.Identity(), Remembered: remembering})
	wantFork(t, starting, group, "at 0, and events up to 7 were seen")
}

// One that finds a loss closes the partition for all.
func TestMarkForked(t *testing.T) {
	t.Parallel()
	server := streamstest.StartRedis(t)
	log := createLog(t, server.Client(), streams.Config{})
	other := another(t, server, log, nil)
	group := log.Identity().Placement().Group("u", "1").Aggregate()
	partition, _ := group.Partition()
	mustAppend(t, other, group)
	if err := log.MarkForked(t.Context(), partition, 9, errors.New("a projection stands at 9")); err != nil {
		t.Fatal(err)
	}
	wantFork(t, log, group, "a projection stands at 9")
	eventually(t, 3*time.Second, "telling the others", func() bool { return other.Forked() != nil })
	if meta := metaOf(t, server.Client(), partition); meta["forked"] != "9" {
		t.Errorf("the partition says %v", meta)
	}
}

// repaired does to Redis what a repair does that finds nothing lost.
func repaired(t *testing.T, client *redis.Client, log *streams.Log) streams.Identity {
	t.Helper()
	identity := log.Identity()
	identity.Epoch++
	run, err := streams.RedisServer{}.RunID(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	for _, fields := range [][]any{
		{"repairing", "1", "complete", "0", "epoch", identity.Epoch},
		{"complete", "1", "run", run},
	} {
		for partition := range identity.Partitions {
			key := schema.PartitionKey(partition, "meta")
			if err := client.HSet(t.Context(), key, fields...).Err(); err != nil {
				t.Fatal(err)
			}
			if len(fields) == 4 {
				client.HSet(t.Context(), key, "opened", client.HGet(t.Context(), key, "seq").Val())
				client.HDel(t.Context(), key, "forked", "repairing")
			}
		}
	}
	return identity
}

func TestRunEndsWithANewEpoch(t *testing.T) {
	t.Parallel()
	server := streamstest.StartRedis(t)
	client := server.Client()
	identity, err := streams.NewIdentity(faultPartitions)
	if err != nil {
		t.Fatal(err)
	}
	if err := streams.Create(t.Context(), client, identity); err != nil {
		t.Fatal(err)
	}
	log, err := streams.New(streams.Config{Client: client, Identity: identity})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- log.Run(t.Context()) }()
	group := identity.Placement().Group("u", "1").Aggregate()
	partition, _ := group.Partition()
	mustAppend(t, log, group)
	if err := log.MarkForked(t.Context(), partition, 5, errors.New("told by a test")); err != nil {
		t.Fatal(err)
	}
	later := repaired(t, client, log)
	select {
	case err = <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("it runs on at the old epoch")
	}
	if !errors.Is(err, streams.ErrNewEpoch) {
		t.Errorf("it ended with %v", err)
	}
	if _, err := log.Append(t.Context(), message(group, true)); domain.CodeOf(err) != domain.Unavailable {
		t.Errorf("appended at the old epoch: %v", err)
	}
	if lives := appenders(t, client); len(lives) != 0 {
		t.Errorf("registered are %v", lives)
	}
	next := runLog(t, streams.Config{Client: client, Identity: later})
	if appended := mustAppend(t, next, group); appended.Seq != 2 {
		t.Errorf("appended %+v", appended)
	}
}

// What is closed opens although memory is full: the archiver, which frees it, needs that.
func TestFullServerOpensAgain(t *testing.T) {
	t.Parallel()
	server := streamstest.StartRedis(t, streamstest.With("appendfsync", "always"), streamstest.With("maxmemory", "1mb"))
	client := server.Client()
	if err := client.ConfigSet(t.Context(), "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	log := createLog(t, client, streams.Config{FullAt: 1000})
	group := log.Identity().Placement().Group("u", "1").Aggregate()
	mustAppend(t, log, group)
	if err := client.Set(t.Context(), "filler", strings.Repeat("x", 1<<20), 0).Err(); err != nil {
		t.Fatal(err)
	}
	before := metaOf(t, client, 0)["run"]
	if err := errors.Join(server.Kill(), server.Restart()); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "opening", func() bool {
		meta := metaOf(t, client, 0)
		return meta["run"] != before && meta["complete"] == "1"
	})
	if _, err := log.Append(t.Context(), message(group, true)); !strings.Contains(err.Error(), "memory is full") {
		t.Errorf("a full server gives %v", err)
	}
}
