package streams_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
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

const faultPartitions = 4

// createLog makes a log on the server and runs it until the test ends.
func createLog(t *testing.T, client *redis.Client, config streams.Config) *streams.Log {
	t.Helper()
	log, _ := startLog(t, client, config)
	return log
}

// startLog makes a log on the server and runs it until the test ends, or stop is called.
func startLog(t *testing.T, client *redis.Client, config streams.Config) (log *streams.Log, stop func()) {
	t.Helper()
	identity, err := streams.NewIdentity(faultPartitions)
	if err != nil {
		t.Fatal(err)
	}
	if err := streams.Create(t.Context(), client, identity); err != nil {
		t.Fatal(err)
	}
	config.Client, config.Identity = client, identity
	if log, err = streams.New(config); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- log.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return log, stop
}

// message returns a commit whose events nobody else can have.
func message(aggregate domain.Aggregate, requested bool) domain.Commit {
	var entropy [20]byte
	_, _ = rand.Read(entropy[:])
	c := domain.Commit{
		Aggregate: aggregate, At: time.Now(), Entropy: entropy[:10],
		Guards: []domain.Guard{{Field: domain.VersionField}},
		Events: []domain.Fact{&domain.MessageSent{Body: domain.Body{Type: domain.TextBody, Text: "hello"}}},
	}
	if requested {
		c.Request = &domain.Request{Key: [12]byte(entropy[:12]), Content: [8]byte(entropy[12:])}
	}
	return c
}

// crowd is many callers who append one message after the other, and what they were told.
type crowd struct {
	log   *streams.Log
	count atomic.Int64
	stop  atomic.Bool
	wait  sync.WaitGroup

	mu       sync.Mutex
	appended []domain.Appended
}

func startCrowd(t *testing.T, log *streams.Log, callers int) *crowd {
	t.Helper()
	c := &crowd{log: log}
	for caller := range callers {
		aggregate := log.Identity().Placement().Group("u", strconv.Itoa(caller)).Aggregate()
		c.wait.Go(func() {
			var last domain.Seq
			for !c.stop.Load() {
				appended, err := log.Append(t.Context(), message(aggregate, caller%2 == 0))
				if err != nil || appended.Seq != last+1 || appended.Duplicate {
					t.Errorf("caller %d was at %d: %+v, %v", caller, last, appended, err)
					return
				}
				last = appended.Seq
				c.mu.Lock()
				c.appended = append(c.appended, appended)
				c.mu.Unlock()
				c.count.Add(1)
			}
		})
	}
	return c
}

// await waits until so many more appends were acknowledged.
func (c *crowd) await(t *testing.T, more int64) {
	t.Helper()
	want := c.count.Load() + more
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for c.count.Load() < want {
		select {
		case <-ticker.C:
		case <-t.Context().Done():
			t.Fatal("the callers do not go on")
		}
		if t.Failed() {
			t.FailNow()
		}
	}
}

// check ends the crowd and compares what it was told with what the log holds: each acknowledged event once, at its
// place, and nothing else.
func (c *crowd) check(t *testing.T, client *redis.Client) {
	t.Helper()
	c.stop.Store(true)
	c.wait.Wait()
	told := make(map[domain.Position]domain.EventID, len(c.appended))
	for _, a := range c.appended {
		told[a.Position] = a.Event
	}
	if len(told) != len(c.appended) {
		t.Errorf("%d events were acknowledged at %d places", len(c.appended), len(told))
	}
	reader := streams.Reader{Client: client, Partitions: faultPartitions}
	held := 0
	for partition := range faultPartitions {
		for record, err := range reader.Partition(t.Context(), partition, schema.Checkpoint{}) {
			if err != nil {
				t.Fatal(err)
			}
			held++
			if told[record.Position] != record.ID {
				t.Errorf("the log holds %s at %s, acknowledged there is %q", record.ID, record.Position, told[record.Position])
			}
		}
	}
	if held != len(told) {
		t.Errorf("the log holds %d events, %d were acknowledged", held, len(told))
	}
}

func TestAppendsSurviveKill(t *testing.T) {
	t.Parallel()
	server := streamstest.StartRedis(t, streamstest.With("appendfsync", "always"))
	client := server.Client()
	crowd := startCrowd(t, createLog(t, client, streams.Config{Durability: streams.Fsynced}), 64)
	for range 3 {
		crowd.await(t, 500)
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	crowd.await(t, 500)
	crowd.check(t, client)
}

// A server that stands still for longer than the client library waits gets the same batch several times, and may execute
// the copies in any order.
func TestAppendsSurvivePause(t *testing.T) {
	t.Parallel()
	server := streamstest.StartRedis(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), ReadTimeout: time.Second})
	t.Cleanup(func() { _ = client.Close() })
	crowd := startCrowd(t, createLog(t, client, streams.Config{}), 64)
	crowd.await(t, 500)
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	<-time.After(6 * time.Second)
	if err := server.Continue(); err != nil {
		t.Fatal(err)
	}
	crowd.await(t, 2000)
	crowd.check(t, client)
}

// answerHook puts errors in place of the first answers to the script.
type answerHook struct {
	mu   sync.Mutex
	errs []string
}

func (h *answerHook) set(errs ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.errs = errs
}

func (h *answerHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *answerHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if strings.EqualFold(cmd.Name(), "evalsha") {
			h.mu.Lock()
			defer h.mu.Unlock()
			if len(h.errs) > 0 {
				err := refusal(h.errs[0])
				h.errs = h.errs[1:]
				cmd.SetErr(err)
				return err
			}
		}
		return next(ctx, cmd)
	}
}

func (h *answerHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// refusal is an error as the client library makes it of the server's.
type refusal string

func (r refusal) Error() string { return string(r) }

// RedisError marks it as an answer.
func (refusal) RedisError() {}

func TestAppendIsSentAgain(t *testing.T) {
	t.Parallel()
	client := streamstest.StartRedis(t).Client()
	hook := &answerHook{}
	client.AddHook(hook)
	log := createLog(t, client, streams.Config{})
	hook.set(
		"ERR max number of clients reached",
		"LOADING Redis is loading the dataset in memory",
		"READONLY You can't write against a read only replica.",
		"CLUSTERDOWN The cluster is down",
		"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
		"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
		"MISCONF Errors writing to the AOF file: No space left on device",
		"TRYAGAIN Multiple keys request during rehashing of slot",
		"NOSCRIPT No matching script. Please use EVAL.",
	)
	appended, err := log.Append(t.Context(), message(log.Identity().Placement().Group("u", "1").Aggregate(), true))
	if err != nil || appended.Seq != 1 || len(hook.errs) > 0 {
		t.Errorf("appended %+v, %v; %d errors are left", appended, err, len(hook.errs))
	}
}

func TestAppendIsNotSentAgain(t *testing.T) {
	t.Parallel()
	client := streamstest.StartRedis(t).Client()
	hook := &answerHook{}
	client.AddHook(hook)
	log := createLog(t, client, streams.Config{})
	for _, answer := range []string{
		"ERR user_script:7: attempt to index a nil value script: 00, on @user_script:7.",
		"WRONGTYPE Operation against a key holding the wrong kind of value script: 00, on @user_script:7.",
		"FENCED last batch 7",
	} {
		hook.set(answer)
		aggregate := log.Identity().Placement().Group("u", answer).Aggregate()
		for range 2 {
			if _, err := log.Append(t.Context(), message(aggregate, true)); domain.CodeOf(err) != domain.Unavailable {
				t.Errorf("%s: %v", answer, err)
			}
		}
		partition, _ := aggregate.Partition()
		if forked := log.Forked(); forked == nil || !strings.Contains(forked.Error(), fmt.Sprintf("partition %d", partition)) {
			t.Errorf("%s: forked is %v", answer, forked)
		}
	}
}

func TestAppendToFullServer(t *testing.T) {
	t.Parallel()
	client := streamstest.StartRedis(t).Client()
	log := createLog(t, client, streams.Config{FullAt: 1000}) // so that only the server itself refuses
	aggregate := log.Identity().Placement().Group("u", "1").Aggregate()
	for round := range 3 {
		if err := client.ConfigSet(t.Context(), "maxmemory", "1mb").Err(); err != nil {
			t.Fatal(err)
		}
		refused := message(aggregate, true)
		for range 2 {
			_, err := log.Append(t.Context(), refused)
			if domain.CodeOf(err) != domain.Unavailable || !strings.Contains(err.Error(), "memory is full") {
				t.Fatalf("round %d: a full server gives %v", round, err)
			}
		}
		if err := client.ConfigSet(t.Context(), "maxmemory", "0").Err(); err != nil {
			t.Fatal(err)
		}
		appended, err := log.Append(t.Context(), refused)
		if err != nil || appended.Duplicate || appended.Seq != domain.Seq(round+1) {
			t.Fatalf("round %d: then %+v, %v", round, appended, err)
		}
	}
}

func TestNearlyFullServer(t *testing.T) {
	t.Parallel()
	client := streamstest.StartRedis(t).Client()
	log := createLog(t, client, streams.Config{FullAt: 0.5})
	aggregate := log.Identity().Placement().Group("u", "1").Aggregate()
	set := func(maxmemory string, want bool) {
		t.Helper()
		if err := client.ConfigSet(t.Context(), "maxmemory", maxmemory).Err(); err != nil {
			t.Fatal(err)
		}
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for {
			_, err := log.Append(t.Context(), message(aggregate, true))
			if (err != nil) == want {
				if err != nil && domain.CodeOf(err) != domain.Unavailable {
					t.Error(err)
				}
				return
			}
			<-ticker.C
		}
	}
	used, _, err := streams.RedisServer{Client: client}.Memory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	set(strconv.FormatInt(used*3/2, 10), true)
	set("0", false)
	set(strconv.FormatInt(used*100, 10), false)
	if _, limit, err := (streams.RedisServer{Client: client}).Memory(t.Context()); err != nil || limit != used*100 {
		t.Errorf("the limit is %d, %v", limit, err)
	}
}
