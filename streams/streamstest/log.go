package streamstest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill-redisstream/pkg/redisstream"
	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/schema"
	"mpim/streams"
)

// Store is a server that a log is to be kept on.
type Store struct {
	Client redis.UniversalClient
	// Server is nil for a real one.
	Server streams.Server
}

// partitions is small, so that tests meet the same one often.
const partitions = 4

// TestLog runs the conformance suite of the log: what every server that is to hold one must do. Each test gets a
// store of its own from newStore.
func TestLog(t *testing.T, newStore func(t *testing.T) Store) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, *fixture){
		"numbers are dense":                     testDenseNumbers,
		"entries have the stock layout":         testStockLayout,
		"a request is appended once":            testIdempotency,
		"a request in one batch twice":          testIdempotencyInBatch,
		"a guard that does not hold":            testGuards,
		"sequences reach the decision state":    testPendingSequences,
		"fields are deleted":                    testDelete,
		"all or nothing":                        testAllOrNothing,
		"a lost answer":                         testLostAnswer,
		"an emptied server":                     testEmptied,
		"a server that lost its tail":           testLostTail,
		"a server that others saw further":      testSeenFurther,
		"another log":                           testOtherLog,
		"timers fire once":                      testTimers,
		"many callers":                          testManyCallers,
		"a full queue":                          testFullQueue,
		"a stop flushes":                        testStopFlushes,
		"the reader has no gap":                 testReader,
		"the identity is made once":             testIdentity,
		"requests older than their time go":     testSweep,
		"ids that belong to no log are refused": testForeignAggregate,
	} {
		t.Run(name, func(t *testing.T) {
			test(t, newFixture(t, newStore(t)))
		})
	}
}

// fixture is a created log with one running appender.
type fixture struct {
	Store
	identity streams.Identity
	log      *streams.Log
	stop     func()
	now      time.Time
}

func newFixture(t *testing.T, store Store) *fixture {
	t.Helper()
	identity, err := streams.NewIdentity(partitions)
	if err != nil {
		t.Fatal(err)
	}
	if err := streams.Create(t.Context(), store.Client, identity); err != nil {
		t.Fatal(err)
	}
	f := &fixture{Store: store, identity: identity, now: time.UnixMilli(time.Now().UnixMilli()).UTC()}
	f.log, f.stop = f.start(t, streams.Config{})
	return f
}

// start runs another log on the same server, as another process would.
func (f *fixture) start(t *testing.T, config streams.Config) (*streams.Log, func()) {
	t.Helper()
	if config.Client == nil {
		config.Client = f.Client
	}
	config.Server, config.Identity = f.Server, f.identity
	log, err := streams.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- log.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("log: %v", err)
		}
	})
	t.Cleanup(stop)
	return log, stop
}

// group returns an aggregate in the given partition.
func (f *fixture) group(partition int) domain.Aggregate {
	for i := 0; ; i++ {
		a := f.identity.Placement().Group("u", fmt.Sprint(i)).Aggregate()
		if p, _ := a.Partition(); p == partition {
			return a
		}
	}
}

func (f *fixture) send(a domain.Aggregate, clientID, text string) domain.Commit {
	c := domain.Commit{
		Aggregate: a, At: f.now, Actor: "u",
		Events:  []domain.Fact{&domain.MessageSent{ClientID: clientID, Body: domain.Body{Type: domain.TextBody, Text: text}}},
		Entropy: []byte("0123456789"),
	}
	if clientID != "" {
		key, content := sha256.Sum256([]byte(a.String()+clientID)), sha256.Sum256([]byte(text))
		c.Request = &domain.Request{Key: [12]byte(key[:12]), Content: [8]byte(content[:8])}
	}
	return c
}

func (f *fixture) mustAppend(t *testing.T, c domain.Commit) domain.Appended {
	t.Helper()
	appended, err := f.log.Append(t.Context(), c)
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	return appended
}

// records returns what the partition holds.
func (f *fixture) records(t *testing.T, partition int) []*schema.Record {
	t.Helper()
	var records []*schema.Record
	for record, err := range f.reader().Partition(t.Context(), partition, schema.Checkpoint{}) {
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, record)
	}
	return records
}

func (f *fixture) reader() streams.Reader {
	return streams.Reader{Client: f.Client, Partitions: partitions, Page: 7}
}

func wantCode(t *testing.T, err error, code domain.Code) {
	t.Helper()
	if err == nil || domain.CodeOf(err) != code {
		t.Fatalf("error is %v, want one of kind %s", err, code)
	}
}

func testDenseNumbers(t *testing.T, f *fixture) {
	one, other := f.group(1), f.identity.Placement().Group("other", "")
	for other = ""; other == ""; {
		for i := 0; ; i++ {
			id := f.identity.Placement().Group("v", fmt.Sprint(i))
			if p, _ := id.Partition(); p == 1 {
				other = id
				break
			}
		}
	}
	for i := range 6 {
		target, want := one, domain.Seq(i/2+1)
		if i%2 == 1 {
			target = other.Aggregate()
		}
		got := f.mustAppend(t, f.send(target, "", "x"))
		if got.Position != (domain.Position{Partition: 1, Seq: int64(i + 1)}) || got.Seq != want || got.Ordinal != int64(want) {
			t.Errorf("append %d stands at %s, seq %d, ordinal %d", i, got.Position, got.Seq, got.Ordinal)
		}
	}
	edit := f.send(one, "", "x")
	edit.Events = []domain.Fact{&domain.MessageEdited{Message: 1}, &domain.ReceiptMoved{ReadSeq: 1}, &domain.MessageEdited{Message: 2}}
	if got := f.mustAppend(t, edit); got.Position.Seq != 9 || got.Seq != 4 || got.Ordinal != 3 {
		t.Errorf("an edit stands at %s, seq %d, ordinal %d; want 1:9, 4, 3", got.Position, got.Seq, got.Ordinal)
	}
	last := f.records(t, 1)[8]
	if last.ConversationSeq != 5 || last.Ordinal != 3 || last.Type != domain.TypeMessageEdited || !last.At.Equal(f.now) || last.Actor != "u" {
		t.Errorf("the last record is %+v", last)
	}
}

func testStockLayout(t *testing.T, f *fixture) {
	group := f.group(0)
	appended := f.mustAppend(t, f.send(group, "one", `text with "quotes"`))
	entries, err := f.Client.XRange(t.Context(), schema.PartitionKey(0, "log"), "-", "+").Result()
	if err != nil || len(entries) != 1 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	message, err := redisstream.DefaultMarshallerUnmarshaller{}.Unmarshal(entries[0].Values)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		schema.TypeKey: "message.sent", schema.VersionKey: "1", schema.AggregateKey: group.String(),
		schema.PartitionSeqKey: "1", schema.SeqKey: "1", schema.OrdinalKey: "1",
	}
	if message.UUID != string(appended.Event) || len(message.Metadata) != len(want) {
		t.Errorf("message %s has metadata %v", message.UUID, message.Metadata)
	}
	for key, value := range want {
		if message.Metadata.Get(key) != value {
			t.Errorf("metadata %s is %q, want %q", key, message.Metadata.Get(key), value)
		}
	}
	if !strings.Contains(string(message.Payload), `"text":"text with \"quotes\""`) {
		t.Errorf("payload is %s", message.Payload)
	}
}

func testIdempotency(t *testing.T, f *fixture) {
	group := f.group(2)
	f.mustAppend(t, f.send(group, "zero", "x"))
	first := f.mustAppend(t, f.send(group, "one", "hello"))
	again := f.send(group, "one", "hello")
	again.At = f.now.Add(time.Minute)
	second := f.mustAppend(t, again)
	if !second.Duplicate || second.Seq != first.Seq || second.Event != first.Event || !second.At.Equal(first.At) {
		t.Errorf("again gives %+v, first was %+v", second, first)
	}
	_, err := f.log.Append(t.Context(), f.send(group, "one", "other"))
	wantCode(t, err, domain.Conflict)

	found, ok, err := f.log.Lookup(t.Context(), group, *again.Request)
	if err != nil || !ok || found.Seq != first.Seq || found.Event != first.Event {
		t.Errorf("lookup gives %+v, %v, %v", found, ok, err)
	}
	_, _, err = f.log.Lookup(t.Context(), group, *f.send(group, "one", "other").Request)
	wantCode(t, err, domain.Conflict)
	if _, ok, err := f.log.Lookup(t.Context(), group, *f.send(group, "new", "").Request); ok || err != nil {
		t.Errorf("a new request is found: %v, %v", ok, err)
	}
	if n := len(f.records(t, 2)); n != 2 {
		t.Errorf("the log holds %d events, want 2", n)
	}
}

func testIdempotencyInBatch(t *testing.T, f *fixture) {
	group := f.group(0)
	var firsts atomic.Int64
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			appended, err := f.log.Append(t.Context(), f.send(group, "one", "hello"))
			if err != nil || appended.Seq != 1 {
				t.Errorf("append: %+v, %v", appended, err)
			}
			if !appended.Duplicate {
				firsts.Add(1)
			}
		})
	}
	wait.Wait()
	if n := len(f.records(t, 0)); n != 1 || firsts.Load() != 1 {
		t.Errorf("%d events, %d first results; want one of each", n, firsts.Load())
	}
}

func testGuards(t *testing.T, f *fixture) {
	group := f.group(3)
	join := f.send(group, "", "x")
	join.Guards = []domain.Guard{{Field: domain.VersionField, Value: ""}}
	join.Set = []domain.Field{{Name: "m:u", Value: "member"}}
	join.RaisesVersion = true
	f.mustAppend(t, join)
	if _, err := f.log.Append(t.Context(), join); !errors.Is(err, domain.ErrStale) {
		t.Fatalf("a stale guard gives %v", err)
	}
	send := f.send(group, "", "x")
	send.Guards = []domain.Guard{{Field: domain.VersionField, Value: "1"}, {Field: "c:u", Value: ""}}
	send.Set = []domain.Field{{Name: "c:u", Value: "7"}}
	f.mustAppend(t, send)
	if _, err := f.log.Append(t.Context(), send); !errors.Is(err, domain.ErrStale) {
		t.Fatalf("a stale guard on a free field gives %v", err)
	}
	fields, err := f.log.Load(t.Context(), group, []string{"v", "seq", "ord", "m:u", "c:u", "none"})
	want := domain.Fields{"v": "1", "seq": "2", "ord": "2", "m:u": "member", "c:u": "7"}
	if err != nil || fmt.Sprint(fields) != fmt.Sprint(want) {
		t.Errorf("fields are %v, %v; want %v", fields, err, want)
	}
	if n := len(f.records(t, 3)); n != 2 {
		t.Errorf("the log holds %d events, want 2", n)
	}
}

func testPendingSequences(t *testing.T, f *fixture) {
	group := f.group(1)
	f.mustAppend(t, f.send(group, "", "x"))
	c := f.send(group, "", "x")
	c.Events = []domain.Fact{&domain.MemberAdded{User: "a"}, &domain.ReceiptMoved{}, &domain.MemberAdded{User: "b"}}
	c.Set = []domain.Field{
		{Name: "m:a", Value: "from " + domain.Pending(0).String()},
		{Name: "m:b", Value: domain.Pending(0).String() + "-" + domain.Pending(2).String()},
	}
	for i := range 3000 {
		c.Set = append(c.Set, domain.Field{Name: fmt.Sprint("m:", i), Value: domain.Pending(2).String()})
	}
	f.mustAppend(t, c)
	fields, err := f.log.Load(t.Context(), group, nil)
	if err != nil || fields["m:a"] != "from 2" || fields["m:b"] != "2-3" || fields["m:2999"] != "3" || len(fields) != 3004 {
		t.Errorf("%d fields, m:a %q, m:b %q, m:2999 %q, %v", len(fields), fields["m:a"], fields["m:b"], fields["m:2999"], err)
	}
}

func testDelete(t *testing.T, f *fixture) {
	group := f.group(1)
	c := f.send(group, "", "x")
	c.Set = []domain.Field{{Name: "k:1", Value: "a"}, {Name: "k:2", Value: "b"}}
	f.mustAppend(t, c)
	c = f.send(group, "", "x")
	c.Delete = []string{"k:1"}
	f.mustAppend(t, c)
	fields, err := f.log.Load(t.Context(), group, nil)
	if _, there := fields["k:1"]; there || fields["k:2"] != "b" || err != nil {
		t.Errorf("fields are %v, %v", fields, err)
	}
}

func testAllOrNothing(t *testing.T, f *fixture) {
	group := f.group(1)
	c := f.send(group, "once", "x")
	c.Events = append(c.Events, &domain.MemberAdded{User: "a"}, &domain.MemberAdded{User: "b"})
	c.Guards = []domain.Guard{{Field: "v", Value: "9"}}
	c.Set = []domain.Field{{Name: "m:a", Value: "x"}}
	c.Timers = []domain.Timer{{Name: "t", At: f.now}}
	if _, err := f.log.Append(t.Context(), c); !errors.Is(err, domain.ErrStale) {
		t.Fatalf("append: %v", err)
	}
	fields, _ := f.log.Load(t.Context(), group, nil)
	due, _ := f.Client.ZCard(t.Context(), schema.PartitionKey(1, "due")).Result()
	if n := len(f.records(t, 1)); n != 0 || len(fields) != 0 || due != 0 {
		t.Errorf("a refused command left %d events, fields %v, %d timers", n, fields, due)
	}
	c.Guards = nil
	if got := f.mustAppend(t, c); got.Duplicate || got.Position.Seq != 3 {
		t.Errorf("the same request later gives %+v", got)
	}
}

// cutHook loses the answers of scripts, as a broken connection does.
type cutHook struct {
	lose  atomic.Int64
	calls atomic.Int64
}

func (h *cutHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *cutHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if strings.EqualFold(cmd.Name(), "evalsha") {
			h.calls.Add(1)
			if err == nil && h.lose.Add(-1) >= 0 {
				lost := &net.OpError{Op: "read", Err: errors.New("connection reset")}
				cmd.SetErr(lost)
				return lost
			}
		}
		return err
	}
}

func (h *cutHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func testLostAnswer(t *testing.T, f *fixture) {
	hook := &cutHook{}
	f.Client.AddHook(hook)
	group := f.group(1)
	for i := range 20 {
		hook.lose.Store(int64(i % 4))
		got := f.mustAppend(t, f.send(group, "", "no client id, so only the fence keeps it single"))
		if got.Seq != domain.Seq(i+1) || got.Duplicate {
			t.Fatalf("append %d gives %+v", i, got)
		}
	}
	if n := len(f.records(t, 1)); n != 20 || hook.calls.Load() != 20+5*(1+2+3) {
		t.Errorf("%d events after %d calls", n, hook.calls.Load())
	}
}

func testEmptied(t *testing.T, f *fixture) {
	group := f.group(1)
	f.mustAppend(t, f.send(group, "", "x"))
	if err := f.Client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	_, err := f.log.Append(t.Context(), f.send(group, "", "x"))
	wantCode(t, err, domain.Unavailable)
	if f.log.Forked() == nil || !strings.Contains(f.log.Forked().Error(), "partition 1") {
		t.Errorf("forked is %v", f.log.Forked())
	}
	if n, _ := f.Client.DBSize(t.Context()).Result(); n != 0 {
		t.Errorf("%d keys were written to an emptied server", n)
	}
}

func testLostTail(t *testing.T, f *fixture) {
	group := f.group(1)
	for range 3 {
		f.mustAppend(t, f.send(group, "", "x"))
	}
	// The tail goes, and with it what the appender's own key would tell.
	other, _ := f.start(t, streams.Config{})
	other.Saw(1, 3)
	f.Client.HSet(t.Context(), schema.PartitionKey(1, "meta"), "seq", 2)
	_, err := other.Append(t.Context(), f.send(group, "", "x"))
	wantCode(t, err, domain.Unavailable)
	if forked := other.Forked(); forked == nil || !strings.Contains(forked.Error(), "FORKED at 2") || !strings.Contains(forked.Error(), "up to 3") {
		t.Errorf("forked is %v", forked)
	}
	_, err = other.Append(t.Context(), f.send(f.group(2), "", "x"))
	if err != nil {
		t.Errorf("a partition that lost nothing: %v", err)
	}
}

func testSeenFurther(t *testing.T, f *fixture) {
	f.log.Saw(1, 10)
	_, err := f.log.Append(t.Context(), f.send(f.group(1), "", "x"))
	wantCode(t, err, domain.Unavailable)
}

func testOtherLog(t *testing.T, f *fixture) {
	identity := f.identity
	f.identity.Epoch++
	later, _ := f.start(t, streams.Config{})
	_, err := later.Append(t.Context(), f.send(f.group(1), "", "x"))
	wantCode(t, err, domain.Unavailable)
	f.identity = identity
	f.identity.ID = "00"
	foreign, _ := f.start(t, streams.Config{})
	_, err = foreign.Append(t.Context(), f.send(f.group(1), "", "x"))
	wantCode(t, err, domain.Unavailable)
	if n := len(f.records(t, 1)); n != 0 {
		t.Errorf("%d events were appended", n)
	}
}

func testTimers(t *testing.T, f *fixture) {
	group := f.group(1)
	due := schema.PartitionKey(1, "due")
	c := f.send(group, "", "x")
	c.Timers = []domain.Timer{{Name: "send a", At: f.now}, {Name: "send b", At: f.now.Add(time.Hour)}}
	f.mustAppend(t, c)
	names, _ := f.Client.ZRangeByScore(t.Context(), due, &redis.ZRangeBy{Min: "-inf", Max: fmt.Sprint(f.now.UnixMilli())}).Result()
	if len(names) != 1 || names[0] != "send a" {
		t.Errorf("due now: %v", names)
	}
	fire := f.send(group, "", "fired")
	fire.Fires = "send a"
	f.mustAppend(t, fire)
	_, err := f.log.Append(t.Context(), fire)
	wantCode(t, err, domain.FailedPrecondition)
	cancel := f.send(group, "", "cancelled")
	cancel.Cancels = []string{"send b"}
	f.mustAppend(t, cancel)
	if left, _ := f.Client.ZCard(t.Context(), due).Result(); left != 0 {
		t.Errorf("%d timers are left", left)
	}
	if n := len(f.records(t, 1)); n != 3 {
		t.Errorf("%d events, want 3", n)
	}
}

func testManyCallers(t *testing.T, f *fixture) {
	const callers, each = 20, 50
	other, _ := f.start(t, streams.Config{MaxBatch: 7})
	var wait sync.WaitGroup
	for caller := range callers {
		log := f.log
		if caller%2 == 0 {
			log = other
		}
		group := f.group(caller % partitions)
		wait.Go(func() {
			var last domain.Seq
			for range each {
				appended, err := log.Append(t.Context(), f.send(group, "", "x"))
				if err != nil || appended.Seq <= last {
					t.Errorf("after %d: %+v, %v", last, appended, err)
					return
				}
				last = appended.Seq
			}
		})
	}
	wait.Wait()
	for partition := range partitions {
		for i, record := range f.records(t, partition) {
			if record.Seq != int64(i+1) || record.ConversationSeq != domain.Seq(i+1) {
				t.Fatalf("record %d stands at %s, seq %d", i, record.Position, record.ConversationSeq)
			}
		}
		if n := len(f.records(t, partition)); n != callers*each/partitions {
			t.Errorf("partition %d holds %d events, want %d", partition, n, callers*each/partitions)
		}
	}
}

// holdHook keeps scripts from being answered until it is released.
type holdHook struct{ release chan struct{} }

func (h *holdHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *holdHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if strings.EqualFold(cmd.Name(), "evalsha") {
			<-h.release
		}
		return next(ctx, cmd)
	}
}

func (h *holdHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func testFullQueue(t *testing.T, f *fixture) {
	f.stop()
	hook := &holdHook{release: make(chan struct{})}
	f.Client.AddHook(hook)
	log, _ := f.start(t, streams.Config{MaxQueue: 2, MaxBatch: 3})
	group := f.group(1)
	errs := make(chan error, 10)
	for range 10 {
		go func() {
			_, err := log.Append(t.Context(), f.send(group, "", "x"))
			errs <- err
		}()
	}
	// One batch of at least one command is in flight and two commands wait; the rest is refused while nothing moves.
	refused := 0
	for range 7 {
		err := <-errs
		wantCode(t, err, domain.Unavailable)
		refused++
		if refused == 5 {
			break
		}
	}
	close(hook.release)
	for range 10 - refused {
		if err := <-errs; err != nil {
			wantCode(t, err, domain.Unavailable)
			refused++
		}
	}
	if n := len(f.records(t, 1)); n != 10-refused {
		t.Errorf("%d events, %d refused of 10", n, refused)
	}
}

func testStopFlushes(t *testing.T, f *fixture) {
	group := f.group(1)
	var wait sync.WaitGroup
	var kept atomic.Int64
	for range 200 {
		wait.Go(func() {
			if _, err := f.log.Append(t.Context(), f.send(group, "", "x")); err == nil {
				kept.Add(1)
			}
		})
	}
	f.stop()
	wait.Wait()
	if n := int64(len(f.records(t, 1))); n != kept.Load() {
		t.Errorf("%d events, %d acknowledged", n, kept.Load())
	}
	_, err := f.log.Append(t.Context(), f.send(group, "", "x"))
	wantCode(t, err, domain.Unavailable)
}

func testReader(t *testing.T, f *fixture) {
	for i := range 60 {
		f.mustAppend(t, f.send(f.group(i%2), "", "x"))
	}
	reader := f.reader()
	for from := range int64(31) {
		next := from + 1
		for record, err := range reader.Partition(t.Context(), 1, schema.Checkpoint{Seq: from}) {
			if err != nil || record.Seq != next {
				t.Fatalf("from %d: %v, %v, want %d", from, record, err, next)
			}
			next++
		}
		if next != 31 {
			t.Errorf("from %d the reader ends before %d", from, next)
		}
	}
	at, err := reader.At(t.Context(), domain.Position{Partition: 1, Seq: 17})
	if err != nil || at.Seq != 17 {
		t.Errorf("at 1:17: %v, %v", at, err)
	}
	_, err = reader.At(t.Context(), domain.Position{Partition: 1, Seq: 31})
	wantCode(t, err, domain.NotFound)
	merged := 0
	for _, err := range reader.Merged(t.Context(), []int64{0, 20}) {
		if err != nil {
			t.Fatal(err)
		}
		merged++
	}
	if merged != 40 {
		t.Errorf("merged reading gives %d records, want 40", merged)
	}

	latest, err := reader.Latest(t.Context(), 1, 3)
	if err != nil || len(latest) != 3 || latest[2].Seq != 30 {
		t.Fatalf("latest: %v, %v", latest, err)
	}
	f.Client.XDel(t.Context(), schema.PartitionKey(1, "log"), latest[1].StreamID)
	var gap *streams.GapError
	for _, err := range reader.Partition(t.Context(), 1, schema.Checkpoint{}) {
		if errors.As(err, &gap) {
			break
		}
	}
	if gap == nil || gap.After != 28 || gap.Got != 30 {
		t.Errorf("a missing event gives %v", gap)
	}
}

func testIdentity(t *testing.T, f *fixture) {
	got, err := streams.ReadIdentity(t.Context(), f.Client)
	if err != nil || got != f.identity {
		t.Fatalf("identity is %+v, %v", got, err)
	}
	if err := streams.Create(t.Context(), f.Client, f.identity); err != nil {
		t.Errorf("create again: %v", err)
	}
	other, _ := streams.NewIdentity(partitions)
	if err := streams.Create(t.Context(), f.Client, other); err == nil {
		t.Error("another log was created over this one")
	}
	f.Client.Del(t.Context(), schema.PartitionKey(2, "meta"))
	if _, err := streams.ReadIdentity(t.Context(), f.Client); err == nil {
		t.Error("a missing partition is not noticed")
	}
}

func testSweep(t *testing.T, f *fixture) {
	group := f.group(1)
	old := f.send(group, "old", "x")
	old.At = f.now.Add(-25 * time.Hour)
	f.mustAppend(t, old)
	f.mustAppend(t, f.send(group, "new", "x"))
	sweeper := streams.NewSweeper(streams.SweeperConfig{Client: f.Client, Partitions: partitions})
	swept, err := sweeper.Sweep(t.Context(), 1, 0, streams.Subhashes(partitions))
	if err != nil || swept != (streams.Swept{Age: 1}) {
		t.Errorf("dropped %+v, %v; want one of age", swept, err)
	}
	if _, ok, err := f.log.Lookup(t.Context(), group, *old.Request); ok || err != nil {
		t.Errorf("the old request: %v, %v", ok, err)
	}
	if _, ok, err := f.log.Lookup(t.Context(), group, *f.send(group, "new", "x").Request); !ok || err != nil {
		t.Errorf("the new request: %v, %v", ok, err)
	}
}

func testForeignAggregate(t *testing.T, f *fixture) {
	other := domain.Placement{Partitions: domain.MaxPartitions}
	for i := 0; ; i++ {
		a := other.Group("u", fmt.Sprint(i)).Aggregate()
		if p, _ := a.Partition(); p >= partitions {
			_, err := f.log.Append(t.Context(), f.send(a, "", "x"))
			wantCode(t, err, domain.NotFound)
			return
		}
	}
}
