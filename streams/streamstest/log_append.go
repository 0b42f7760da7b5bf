package streamstest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill-redisstream/pkg/redisstream"
	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/schema"
)

func testDenseNumbers(t *testing.T, f *fixture) {
	one, other := f.group(1), f.groupOf("v", 1)
	for i := range 6 {
		target, want := one, domain.Seq(i/2+1)
		if i%2 == 1 {
			target = other
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
	all, err := f.log.LoadAll(t.Context(), []domain.Wanted{
		{Aggregate: f.group(0), Fields: []string{"v"}},
		{Aggregate: group, Fields: []string{"v", "none"}},
		{Aggregate: group},
		{Aggregate: domain.Aggregate{Kind: domain.Group, ID: "none"}, Fields: []string{"v"}},
	})
	if err != nil || fmt.Sprint(all) != "[map[] map[v:1] map[] map[]]" {
		t.Errorf("together they are %v, %v", all, err)
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
		c.Set = append(c.Set, domain.Field{Name: "m:" + strconv.Itoa(i), Value: domain.Pending(2).String()})
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

func testTimers(t *testing.T, f *fixture) {
	group := f.group(1)
	due := schema.PartitionKey(1, "due")
	c := f.send(group, "", "x")
	c.Timers = []domain.Timer{{Name: "send a", At: f.now}, {Name: "send b", At: f.now.Add(time.Hour)}}
	f.mustAppend(t, c)
	names, _ := f.Client.ZRangeByScore(t.Context(), due, &redis.ZRangeBy{Min: "-inf", Max: strconv.FormatInt(f.now.UnixMilli(), 10)}).Result()
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

// What a commit says of sequences that the log gives only now: in the names of its timers, and in the data of events that
// take none.
func testPendingInTimersAndEvents(t *testing.T, f *fixture) {
	group := f.group(1)
	f.mustAppend(t, f.send(group, "", "x"))
	c := f.send(group, "", "y")
	c.Events = append(c.Events, &domain.ScheduleFired{Scheduled: "t", Message: domain.Pending(0)})
	c.Timers = []domain.Timer{{Name: "expire " + domain.Pending(0).String(), At: f.now}}
	f.mustAppend(t, c)
	names, err := f.Client.ZRange(t.Context(), schema.PartitionKey(1, "due"), 0, -1).Result()
	if err != nil || len(names) != 1 || names[0] != "expire 2" {
		t.Errorf("due %v, %v", names, err)
	}
	fact, err := f.records(t, 1)[2].Fact()
	if fired, ok := fact.(*domain.ScheduleFired); err != nil || !ok || fired.Message != 2 {
		t.Errorf("fired %+v, %v", fact, err)
	}
}

func testForeignAggregate(t *testing.T, f *fixture) {
	other := domain.Placement{Partitions: domain.MaxPartitions}
	for i := 0; ; i++ {
		a := other.Group("u", strconv.Itoa(i)).Aggregate()
		if p, _ := a.Partition(); p >= partitions {
			_, err := f.log.Append(t.Context(), f.send(a, "", "x"))
			wantCode(t, err, domain.NotFound)
			return
		}
	}
}
