package projectionstest

import (
	"encoding/json"
	"strconv"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack"

	"mpim/domain"
	"mpim/schema"
)

// Log makes the records of one partition as the log would hold them, numbered as the append script numbers.
type Log struct {
	Partition int
	Records   []*schema.Record

	at       time.Time
	seqs     map[domain.Aggregate]domain.Seq
	ordinals map[domain.Aggregate]int64
}

// NewLog returns an empty log whose events are a second apart, from a fixed time on.
func NewLog(partition int) *Log {
	return &Log{
		Partition: partition,
		at:        time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC),
		seqs:      make(map[domain.Aggregate]domain.Seq),
		ordinals:  make(map[domain.Aggregate]int64),
	}
}

// Append adds an event and returns its record.
func (l *Log) Append(tb testing.TB, aggregate domain.Aggregate, actor domain.UserID, fact domain.Fact) *schema.Record {
	tb.Helper()
	data, err := schema.EncodeFact(fact)
	if err != nil {
		tb.Fatal(err)
	}
	version, known := schema.Lookup(fact.EventType())
	if !known {
		tb.Fatalf("event type %s is not registered", fact.EventType())
	}
	l.at = l.at.Add(time.Second)
	n := int64(len(l.Records) + 1)
	var entropy [domain.EventEntropy]byte
	copy(entropy[:], strconv.FormatInt(n, 10))
	r := &schema.Record{
		Position: domain.Position{Partition: l.Partition, Seq: n},
		StreamID: strconv.FormatInt(l.at.UnixMilli(), 10) + "-0",
		ID:       domain.NewEventID(l.at, entropy[:]),
		Type:     fact.EventType(), Version: version, At: l.at, Actor: actor, Aggregate: aggregate, Data: data,
		Metadata: []byte("metadata of " + strconv.FormatInt(n, 10)), Payload: data,
	}
	if fact.Sequenced() {
		l.seqs[aggregate]++
		if fact.EventType() == domain.TypeMessageSent {
			l.ordinals[aggregate]++
		}
		r.ConversationSeq, r.Ordinal = l.seqs[aggregate], l.ordinals[aggregate]
	}
	l.Records = append(l.Records, r)
	return r
}

// Seq returns the last conversation sequence of an aggregate.
func (l *Log) Seq(aggregate domain.Aggregate) domain.Seq { return l.seqs[aggregate] }

// Batch returns the records from one partition sequence to another, both included.
func (l *Log) Batch(token, from, to int64) *schema.Batch {
	records := l.Records[from-1 : to]
	return &schema.Batch{
		Partition: l.Partition, Token: token, From: from, To: to, StreamID: records[len(records)-1].StreamID, Records: records,
	}
}

// Encode gives a record the metadata and the payload that it has in a real log, so that it can be decoded again.
func Encode(tb testing.TB, r *schema.Record) {
	tb.Helper()
	metadata, err := msgpack.Marshal(map[string]string{
		schema.TypeKey: string(r.Type), schema.VersionKey: strconv.Itoa(r.Version), schema.AggregateKey: r.Aggregate.String(),
		schema.PartitionSeqKey: strconv.FormatInt(r.Seq, 10), schema.SeqKey: strconv.FormatInt(int64(r.ConversationSeq), 10),
		schema.OrdinalKey: strconv.FormatInt(r.Ordinal, 10),
	})
	if err != nil {
		tb.Fatal(err)
	}
	payload, err := json.Marshal(map[string]any{"at": r.At.Format(schema.TimeFormat), "actor": r.Actor, "data": r.Data})
	if err != nil {
		tb.Fatal(err)
	}
	r.Metadata, r.Payload = metadata, payload
}
