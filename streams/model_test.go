package streams_test

import (
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"mpim/domain"
	"mpim/schema"
	"mpim/streams"
	"mpim/streams/streamstest"
)

// model is what the append script does to one partition, written as plainly as it can be.
type model struct {
	head       int64
	aggregates map[domain.Aggregate]domain.Fields
	requests   map[[12]byte]modelRequest
	timers     map[string]int64
	records    []string
}

type modelRequest struct {
	content [8]byte
	result  domain.Appended
}

func newModel() *model {
	return &model{
		aggregates: make(map[domain.Aggregate]domain.Fields),
		requests:   make(map[[12]byte]modelRequest),
		timers:     make(map[string]int64),
	}
}

func (m *model) append(partition int, c domain.Commit) (domain.Appended, domain.Code) {
	if c.Request != nil {
		if first, ok := m.requests[c.Request.Key]; ok {
			if first.content != c.Request.Content {
				return domain.Appended{}, domain.Conflict
			}
			result := first.result
			result.Position.Seq, result.Ordinal, result.Duplicate = m.head, 0, true
			return result, ""
		}
	}
	fields := m.aggregates[c.Aggregate]
	for _, guard := range c.Guards {
		if fields[guard.Field] != guard.Value {
			return domain.Appended{}, stale
		}
	}
	if _, ok := m.timers[c.Fires]; c.Fires != "" && !ok {
		return domain.Appended{}, domain.FailedPrecondition
	}
	if fields == nil {
		fields = make(domain.Fields)
		m.aggregates[c.Aggregate] = fields
	}
	result := domain.Appended{At: c.At}
	seqs := m.addEvents(c, fields, &result)
	result.Position = domain.Position{Partition: partition, Seq: m.head}
	result.Ordinal = fields.Int(domain.OrdinalField)
	m.change(c, fields, seqs)
	if c.Request != nil {
		m.requests[c.Request.Key] = modelRequest{c.Request.Content, result}
	}
	return result, ""
}

// stale stands for [domain.ErrStale] among the codes.
const stale domain.Code = "stale"

func (m *model) addEvents(c domain.Commit, fields domain.Fields, result *domain.Appended) (seqs []int64) {
	drafts, err := schema.Drafts(c, nil)
	if err != nil {
		panic(err)
	}
	result.Event = drafts[0].ID
	for _, d := range drafts {
		m.head++
		seq, ordinal := fields.Int(domain.SeqField), fields.Int(domain.OrdinalField)
		if d.Sequenced {
			seq++
			if d.Message {
				ordinal++
			}
			fields[domain.SeqField], fields[domain.OrdinalField] = strconv.FormatInt(seq, 10), strconv.FormatInt(ordinal, 10)
			if result.Seq == 0 {
				result.Seq = domain.Seq(seq)
			}
			m.records = append(m.records, fmt.Sprintf("%d %s %s %d %d %s", m.head, d.ID, c.Aggregate, seq, ordinal, d.Payload))
		} else {
			m.records = append(m.records, fmt.Sprintf("%d %s %s 0 0 %s", m.head, d.ID, c.Aggregate, settled(string(d.Payload), seqs)))
		}
		seqs = append(seqs, seq)
	}
	return seqs
}

func (m *model) change(c domain.Commit, fields domain.Fields, seqs []int64) {
	for _, f := range c.Set {
		fields[f.Name] = settled(f.Value, seqs)
	}
	for _, name := range c.Delete {
		delete(fields, name)
	}
	if c.RaisesVersion {
		fields[domain.VersionField] = strconv.FormatInt(fields.Int(domain.VersionField)+1, 10)
	}
	for _, timer := range c.Timers {
		m.timers[settled(timer.Name, seqs)] = timer.At.UnixMilli()
	}
	for _, name := range append(c.Cancels, c.Fires) {
		delete(m.timers, name)
	}
}

// settled puts sequences in place of pending ones.
func settled(text string, seqs []int64) string {
	for i, seq := range seqs {
		text = strings.ReplaceAll(text, domain.Pending(i).String(), strconv.FormatInt(seq, 10))
	}
	return text
}

// anyCommit draws a command that may well be refused. About half of them have the short form.
func anyCommit(t *rapid.T, m *model, aggregates []domain.Aggregate, n int) domain.Commit {
	c := domain.Commit{
		Aggregate: rapid.SampledFrom(aggregates).Draw(t, "aggregate"),
		At:        time.UnixMilli(1_700_000_000_000 + int64(n)).UTC(), Actor: "u", Entropy: fmt.Appendf(nil, "%010d", n),
		Events: []domain.Fact{rapid.SampledFrom(facts).Draw(t, "event")},
	}
	version := m.aggregates[c.Aggregate][domain.VersionField]
	c.Guards = []domain.Guard{{Field: domain.VersionField, Value: rapid.SampledFrom([]string{version, version, version, "", "1"}).Draw(t, "version")}}
	if rapid.IntRange(0, 4).Draw(t, "request") > 0 {
		c.Request = &domain.Request{}
		copy(c.Request.Key[:], fmt.Sprintf("key %d", rapid.IntRange(0, 2*n+3).Draw(t, "key")))
		copy(c.Request.Content[:], rapid.SampledFrom([]string{"same", "same", "same", "other"}).Draw(t, "content"))
	}
	if rapid.Bool().Draw(t, "short") {
		return c
	}
	c.Events = rapid.SliceOfN(rapid.SampledFrom(facts), 1, 4).Draw(t, "events")
	if last := len(c.Events) - 1; rapid.Bool().Draw(t, "scheduled") {
		c.Events = append(c.Events, &domain.ScheduleFired{Scheduled: "t", Message: domain.Pending(last)})
	}
	field := rapid.SampledFrom([]string{"m:a", "m:b", "c:a"})
	guard := rapid.Custom(func(t *rapid.T) domain.Guard {
		name := field.Draw(t, "field")
		return domain.Guard{Field: name, Value: rapid.SampledFrom([]string{m.aggregates[c.Aggregate][name], "x", ""}).Draw(t, "value")}
	})
	c.Guards = append(c.Guards, rapid.SliceOfN(guard, 0, 2).Draw(t, "guards")...)
	for i := range rapid.IntRange(0, 3).Draw(t, "sets") {
		value := rapid.SampledFrom([]string{"x", "y", domain.Pending(0).String() + "-" + domain.Pending(len(c.Events)-1).String()}).Draw(t, "value")
		c.Set = append(c.Set, domain.Field{Name: []string{"m:a", "m:b", "c:a"}[i], Value: value})
	}
	c.Delete = rapid.SliceOfN(field, 0, 2).Draw(t, "deletes")
	c.RaisesVersion = rapid.Bool().Draw(t, "raises")
	timer := rapid.SampledFrom([]string{"t1", "t2", "t3", "t" + domain.Pending(0).String()})
	for _, name := range rapid.SliceOfN(timer, 0, 2).Draw(t, "timers") {
		c.Timers = append(c.Timers, domain.Timer{Name: name, At: c.At})
	}
	c.Cancels = rapid.SliceOfN(rapid.SampledFrom([]string{"t1", "t2", "t3"}), 0, 1).Draw(t, "cancels")
	c.Fires = rapid.SampledFrom([]string{"", "", "", "t1", "t2"}).Draw(t, "fires")
	return c
}

var facts = []domain.Fact{
	&domain.MessageSent{Body: domain.Body{Type: domain.TextBody, Text: "x"}},
	&domain.MessageSent{Body: domain.Body{Type: domain.TextBody, Text: "y"}},
	&domain.MessageEdited{Message: 1},
	&domain.ReceiptMoved{ReadSeq: 1},
}

// long gives a command the long form without changing what it means.
func long(c domain.Commit) domain.Commit {
	c.Guards = append(c.Guards[:1:1], c.Guards...)
	return c
}

// testModel appends random commands to a log, in batches of any size, and compares every answer and all that is kept with
// the model. Where the long form is forced, both forms are shown to mean the same.
func testModel(t *testing.T, client *redis.Client, server streams.Server, form func(domain.Commit) domain.Commit) {
	t.Helper()
	rapid.Check(t, func(rt *rapid.T) {
		if err := client.FlushAll(t.Context()).Err(); err != nil {
			rt.Fatal(err)
		}
		log, stop := startLog(t, client, streams.Config{Server: server})
		defer stop()
		aggregates := neighbours(log.Identity(), 3)
		m := newModel()
		for n := 0; n < 60; {
			commits := make([]domain.Commit, rapid.IntRange(1, 12).Draw(rt, "batch"))
			want, codes := make([]domain.Appended, len(commits)), make([]domain.Code, len(commits))
			for i := range commits {
				c := anyCommit(rt, m, aggregates, n)
				want[i], codes[i] = m.append(1, c)
				commits[i] = form(c)
				n++
			}
			got, errs := log.AppendTogether(t.Context(), commits)
			for i := range commits {
				if code := codeOf(errs[i]); code != codes[i] || code == "" && got[i] != want[i] {
					rt.Fatalf("command %d of %d, %+v: got %+v, %v; want %+v, %q", i, len(commits), commits[i], got[i], errs[i], want[i], codes[i])
				}
			}
		}
		m.compare(t, rt, client, log, aggregates)
	})
}

func codeOf(err error) domain.Code {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, domain.ErrStale):
		return stale
	default:
		return domain.CodeOf(err)
	}
}

// compare compares what the log keeps with the model.
func (m *model) compare(t *testing.T, rt *rapid.T, client *redis.Client, log *streams.Log, aggregates []domain.Aggregate) {
	t.Helper()
	for _, a := range aggregates {
		fields, err := log.Load(t.Context(), a, nil)
		if err != nil || !maps.Equal(fields, m.aggregates[a]) {
			rt.Fatalf("%s holds %v, %v; want %v", a, fields, err, m.aggregates[a])
		}
	}
	timers, err := client.ZRangeWithScores(t.Context(), schema.PartitionKey(1, "due"), 0, -1).Result()
	if err != nil || len(timers) != len(m.timers) {
		rt.Fatalf("timers are %v, %v; want %v", timers, err, m.timers)
	}
	for _, timer := range timers {
		if name, _ := timer.Member.(string); int64(timer.Score) != m.timers[name] {
			rt.Fatalf("timer %s is due at %v, want %d", name, timer.Score, m.timers[name])
		}
	}
	reader := streams.Reader{Client: client, Partitions: faultPartitions}
	n := 0
	for r, err := range reader.Partition(t.Context(), 1, schema.Checkpoint{}) {
		if err != nil {
			rt.Fatal(err)
		}
		got := fmt.Sprintf("%d %s %s %d %d %s", r.Seq, r.ID, r.Aggregate, r.ConversationSeq, r.Ordinal, r.Payload)
		if n >= len(m.records) || got != m.records[n] {
			rt.Fatalf("record %d is %s, the model has %d", n, got, len(m.records))
		}
		n++
	}
	if n != len(m.records) {
		rt.Fatalf("the log holds %d records, want %d", n, len(m.records))
	}
	for key, request := range m.requests {
		found, ok, err := log.Lookup(t.Context(), aggregates[0], domain.Request{Key: key, Content: request.content})
		if err != nil || !ok || found.Seq != request.result.Seq || found.Event != request.result.Event {
			rt.Fatalf("request %q is kept as %+v, %v, %v; want %+v", key, found, ok, err, request.result)
		}
	}
}

// neighbours returns aggregates that live in partition 1.
func neighbours(identity streams.Identity, n int) []domain.Aggregate {
	var all []domain.Aggregate
	for i := 0; len(all) < n; i++ {
		a := identity.Placement().Group("u", strconv.Itoa(i)).Aggregate()
		if p, _ := a.Partition(); p == 1 {
			all = append(all, a)
		}
	}
	return all
}

func same(c domain.Commit) domain.Commit { return c }

func TestModelOnRedis(t *testing.T) {
	t.Parallel()
	client := streamstest.StartRedis(t).Client()
	testModel(t, client, nil, same)
	testModel(t, client, nil, long)
}

func TestModelOnMiniredis(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
	t.Cleanup(func() { _ = client.Close() })
	server := streams.EmbeddedServer{Life: "one"}
	testModel(t, client, server, same)
	testModel(t, client, server, long)
}
