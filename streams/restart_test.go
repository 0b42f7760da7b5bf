package streams_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/schema"
	"mpim/streams"
	"mpim/streams/streamstest"
)

// lines keeps what is logged.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// count returns how often the words were logged.
func (l *lines) count(words string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), words)
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// restorable is a server whose append-only file was copied, so that it can lose what came after.
type restorable struct {
	*streamstest.RedisServer

	copied string
}

// startRestorable starts a server that writes each change to its file before it answers, and syncs none.
func startRestorable(t *testing.T) *restorable {
	t.Helper()
	return &restorable{RedisServer: streamstest.StartRedis(t, streamstest.With("appendfsync", "no")), copied: t.TempDir()}
}

func (r *restorable) file() string { return filepath.Join(r.Dir(), "appendonlydir") }

func (r *restorable) keep(t *testing.T) {
	t.Helper()
	if err := os.CopyFS(r.copied, os.DirFS(r.file())); err != nil {
		t.Fatal(err)
	}
}

// lose kills the server and starts it again with what was kept.
func (r *restorable) lose(t *testing.T) {
	t.Helper()
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(r.file()); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(r.file(), os.DirFS(r.copied)); err != nil {
		t.Fatal(err)
	}
	if err := r.Restart(); err != nil {
		t.Fatal(err)
	}
}

// another runs one more log on what a log works on, as another process would.
func another(t *testing.T, server *streamstest.RedisServer, first *streams.Log, logger *slog.Logger) *streams.Log {
	t.Helper()
	return runLog(t, streams.Config{Client: server.Client(), Identity: first.Identity(), Logger: logger, Look: time.Hour})
}

// runLog runs a log until the test ends.
func runLog(t *testing.T, config streams.Config) *streams.Log {
	t.Helper()
	log, err := streams.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- log.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return log
}

func mustAppend(t *testing.T, log *streams.Log, a domain.Aggregate) domain.Appended {
	t.Helper()
	appended, err := log.Append(t.Context(), message(a, true))
	if err != nil {
		t.Fatal(err)
	}
	return appended
}

// wantFork appends and wants the partition closed, for that reason.
func wantFork(t *testing.T, log *streams.Log, a domain.Aggregate, reason string) {
	t.Helper()
	appended, err := log.Append(t.Context(), message(a, true))
	if domain.CodeOf(err) != domain.Unavailable {
		t.Fatalf("appended %+v, %v to a partition that has lost events", appended, err)
	}
	if forked := log.Forked(); forked == nil || !strings.Contains(forked.Error(), reason) {
		t.Errorf("forked is %v, want %q", forked, reason)
	}
}

// Who appended nothing himself knows of a lost tail only from what others tell.
func TestLostTailIsRefusedByWhoSawIt(t *testing.T) {
	t.Parallel()
	server := startRestorable(t)
	told := &lines{}
	a := createLog(t, server.Client(), streams.Config{Look: time.Hour})
	b := another(t, server.RedisServer, a, told.logger())
	c := another(t, server.RedisServer, a, nil)
	group := a.Identity().Placement().Group("u", "1").Aggregate()
	mustAppend(t, b, group)
	kept := mustAppend(t, c, group)
	server.keep(t)
	var last domain.Appended
	for range 5 {
		last = mustAppend(t, a, group)
	}
	if told.count("level=WARN") > 0 {
		t.Error("a warning although nothing happened")
	}
	server.lose(t)

	b.Saw(last.Position.Partition, last.Position.Seq)
	wantFork(t, b, group, "at 2")
	if n := told.count("redis restarted or another one was promoted"); n != 1 {
		t.Errorf("the restart was told %d times", n)
	}
	// The same append by one who was not told: it asks before it goes on.
	wantFork(t, c, group, "at 2, and events up to 7 were seen")
	if head, err := c.Head(t.Context(), kept.Position.Partition); err != nil || head != kept.Position.Seq {
		t.Errorf("the log is at %d, %v", head, err)
	}
}

// A process that has appended nothing sees by itself how far the log is.
func TestLostTailIsRefusedByWhoLooked(t *testing.T) {
	t.Parallel()
	server := startRestorable(t)
	a := createLog(t, server.Client(), streams.Config{Look: time.Hour})
	idle := runLog(t, streams.Config{Client: server.Client(), Identity: a.Identity(), Look: 5 * time.Millisecond})
	group := a.Identity().Placement().Group("u", "1").Aggregate()
	mustAppend(t, a, group)
	server.keep(t)
	last := mustAppend(t, a, group)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for idle.Seen(last.Position.Partition) < last.Position.Seq {
		<-tick.C
	}
	server.lose(t)
	wantFork(t, idle, group, "at 1")
}

// Redis forgets a name by its own clock, which may step forward.
func TestForgottenAppenderGoesOn(t *testing.T) {
	t.Parallel()
	server := streamstest.StartRedis(t)
	client := server.Client()
	told := &lines{}
	log := createLog(t, client, streams.Config{Logger: told.logger()})
	group := log.Identity().Placement().Group("u", "1").Aggregate()
	partition, _ := group.Partition()
	for want := domain.Seq(1); want <= 6; want += 2 {
		for i := range domain.Seq(2) {
			if appended := mustAppend(t, log, group); appended.Seq != want+i {
				t.Fatalf("appended %+v, want %d", appended, want+i)
			}
		}
		keys, err := client.Keys(t.Context(), schema.PartitionKey(partition, "appender:*")).Result()
		if err != nil || len(keys) != 1 {
			t.Fatalf("appenders are %v, %v", keys, err)
		}
		if err := client.Del(t.Context(), keys...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if n := told.count("redis forgot an appender before its time"); n != 2 {
		t.Errorf("it was told %d times", n)
	}

	// With the name, what was seen is gone too.
	client.HSet(t.Context(), schema.PartitionKey(partition, "meta"), "seq", 5)
	wantFork(t, log, group, "at 5")
}

func TestEmptiedServerIsNoClockStep(t *testing.T) {
	t.Parallel()
	client := streamstest.StartRedis(t).Client()
	log := createLog(t, client, streams.Config{})
	group := log.Identity().Placement().Group("u", "1").Aggregate()
	mustAppend(t, log, group)
	if err := client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	// Somebody makes the log anew, with the same name.
	if err := streams.Create(t.Context(), client, log.Identity()); err != nil {
		t.Fatal(err)
	}
	wantFork(t, log, group, "at 0")
}

// lostAnswerHook forgets the appender's name once a batch was executed, and says that no answer came: as if an hour had
// passed for the server before the batch is sent again.
type lostAnswerHook struct {
	answerHook

	client *redis.Client
	key    string
	armed  atomic.Bool
}

func (h *lostAnswerHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if !strings.EqualFold(cmd.Name(), "evalsha") || !h.armed.CompareAndSwap(true, false) {
			return err
		}
		keys, _ := h.client.Keys(ctx, h.key).Result()
		h.client.Del(ctx, keys...)
		cmd.SetErr(context.DeadlineExceeded)
		return context.DeadlineExceeded
	}
}

func TestForgottenAppenderWithoutAnswerStops(t *testing.T) {
	t.Parallel()
	server := streamstest.StartRedis(t)
	hook := &lostAnswerHook{client: server.Client()}
	client := server.Client()
	client.AddHook(hook)
	log := createLog(t, client, streams.Config{})
	group := log.Identity().Placement().Group("u", "1").Aggregate()
	partition, _ := group.Partition()
	hook.key = schema.PartitionKey(partition, "appender:*")
	mustAppend(t, log, group)
	hook.armed.Store(true)
	wantFork(t, log, group, "FORKED no batch 1")
	if head, err := log.Head(t.Context(), partition); err != nil || head != 2 {
		t.Errorf("the log has %d events, %v: want none doubled", head, err)
	}
}

// countHook answers every call of the script with the same error.
type countHook struct {
	answerHook

	calls atomic.Int64
	ended atomic.Bool
}

func (h *countHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if !strings.EqualFold(cmd.Name(), "evalsha") || h.ended.Load() {
			return next(ctx, cmd)
		}
		h.calls.Add(1)
		err := refusal("NOSCRIPT No matching script. Please use EVAL.")
		cmd.SetErr(err)
		return err
	}
}

func TestScriptIsNotLoadedForEver(t *testing.T) {
	t.Parallel()
	client := streamstest.StartRedis(t).Client()
	hook := &countHook{}
	log := createLog(t, client, streams.Config{})
	client.AddHook(hook)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := log.Append(ctx, message(log.Identity().Placement().Group("u", "1").Aggregate(), true)); domain.CodeOf(err) != domain.Unavailable {
		t.Errorf("error is %v", err)
	}
	// 3 at once and 7 within the half second, if nothing is slow.
	if n := hook.calls.Load(); n < 4 || n > 12 {
		t.Errorf("%d calls in half a second", n)
	}
	hook.ended.Store(true)
}

func TestAppendersGoByTheWallClock(t *testing.T) {
	t.Parallel()
	client := streamstest.StartRedis(t).Client()
	log, stop := startLog(t, client, streams.Config{})
	group := log.Identity().Placement().Group("u", "1").Aggregate()
	mustAppend(t, log, group)
	stop()
	partition, _ := group.Partition()
	if at := log.LastUsed(partition).String(); strings.Contains(at, "m=") {
		t.Errorf("last used at %s, by a clock that stands still while the machine sleeps", at)
	}
}
