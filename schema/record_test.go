package schema_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack"
	"pgregory.net/rapid"

	"mpim/domain"
	"mpim/schema"
)

func anyCommit(t *rapid.T) domain.Commit {
	placement := domain.Placement{Partitions: 16}
	c := domain.Commit{
		Aggregate: placement.Group(domain.UserID(rapid.String().Draw(t, "creator")), "1").Aggregate(),
		At:        time.UnixMilli(rapid.Int64Range(0, 253402300799999).Draw(t, "at")).UTC(),
		Actor:     placement.User(rapid.String().Draw(t, "actor")),
		Entropy:   rapid.SliceOfN(rapid.Byte(), domain.EventEntropy, domain.EventEntropy).Draw(t, "entropy"),
		Trace:     rapid.SampledFrom([]string{"", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}).Draw(t, "trace"),
	}
	if rapid.Bool().Draw(t, "request") {
		c.Request = new(domain.Request)
		copy(c.Request.Key[:], rapid.SliceOfN(rapid.Byte(), 12, 12).Draw(t, "key"))
	}
	text := strings.ToValidUTF8(rapid.String().Draw(t, "text"), "?")
	for range rapid.IntRange(1, 5).Draw(t, "events") {
		c.Events = append(c.Events, rapid.SampledFrom([]domain.Fact{
			&domain.MessageSent{ClientID: text, Body: domain.Body{Type: domain.TextBody, Text: text}},
			&domain.MessageEdited{Message: 3, Body: domain.Body{Type: domain.TextBody, Text: text}},
			&domain.MemberAdded{User: c.Actor},
			&domain.ReceiptMoved{ReadSeq: 3},
			&domain.ConversationDissolved{},
		}).Draw(t, "event"))
	}
	return c
}

// complete adds the sequences to a draft's metadata, as the append script does.
func complete(d schema.Draft, partitionSeq, seq, ordinal int) []byte {
	b := append([]byte(nil), d.Metadata...)
	add := func(key string, n int) {
		for _, s := range []string{key, strconv.Itoa(n)} {
			b = append(append(b, 0xa0|byte(len(s))), s...)
		}
	}
	add(schema.PartitionSeqKey, partitionSeq)
	if d.Sequenced {
		add(schema.SeqKey, seq)
		add(schema.OrdinalKey, ordinal)
	}
	return b
}

// What is drafted and completed is read back, and the stock marshaller's library reads the same metadata.
func TestRecordRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := anyCommit(t)
		drafts, err := schema.Drafts(c, nil)
		if err != nil {
			t.Fatal(err)
		}
		ids := map[domain.EventID]bool{}
		for i, d := range drafts {
			partitionSeq, seq, ordinal := 1+rapid.IntRange(0, 1<<40).Draw(t, "partition seq"), i+7, i+3
			metadata := complete(d, partitionSeq, seq, ordinal)
			r, err := schema.DecodeRecord(3, "5-0", string(d.ID), metadata, d.Payload)
			if err != nil {
				t.Fatal(err)
			}
			fact, err := r.Fact()
			if err != nil || !reflect.DeepEqual(fact, c.Events[i]) {
				t.Fatalf("got %+v, %v, want %+v", fact, err, c.Events[i])
			}
			if r.Aggregate != c.Aggregate || !r.At.Equal(c.At) || r.Actor != c.Actor || r.Trace != c.Trace ||
				r.Position != (domain.Position{Partition: 3, Seq: int64(partitionSeq)}) {
				t.Fatalf("got %+v of %+v", r, c)
			}
			if d.Sequenced != (r.ConversationSeq == domain.Seq(seq)) || d.Sequenced != (r.Ordinal == int64(ordinal)) {
				t.Fatalf("sequence %d, ordinal %d", r.ConversationSeq, r.Ordinal)
			}
			kept, ok := r.KeptRequest()
			if ok && (i > 0 || c.Request == nil || kept != *c.Request) {
				t.Fatalf("event %d keeps the request %x, want %v", i, kept, c.Request)
			}
			checkStockMetadata(t, metadata, r, ok)
			if d.ID != drafts[0].ID.Behind(i) {
				t.Fatalf("event %d has id %s, but %s is behind the first", i, d.ID, drafts[0].ID.Behind(i))
			}
			ids[d.ID] = true
		}
		if len(ids) != len(drafts) {
			t.Fatalf("%d events share %d ids", len(drafts), len(ids))
		}
		if c.Request != nil && drafts[0].ID != schema.RequestEventID(c.Request.Key, c.At) {
			t.Fatal("the first event's id does not follow from the request")
		}
	})
}

func checkStockMetadata(t *rapid.T, metadata []byte, r schema.Record, keepsRequest bool) {
	var stock map[string]string
	if err := msgpack.Unmarshal(metadata, &stock); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		schema.TypeKey: string(r.Type), schema.VersionKey: strconv.Itoa(r.Version), schema.AggregateKey: r.Aggregate.String(),
		schema.PartitionSeqKey: strconv.FormatInt(r.Seq, 10),
	}
	if r.Trace != "" {
		want[schema.TraceKey] = r.Trace
	}
	if r.ConversationSeq != 0 {
		want[schema.SeqKey], want[schema.OrdinalKey] = r.ConversationSeq.String(), strconv.FormatInt(r.Ordinal, 10)
	}
	if keepsRequest {
		want[schema.RequestKey] = stock[schema.RequestKey]
	}
	if !reflect.DeepEqual(stock, want) {
		t.Fatalf("the stock library reads %v, want %v", stock, want)
	}
}

// What the stock library writes is read the same, in whatever order it writes it and whatever else it holds.
func TestStockMetadata(t *testing.T) {
	g := goldens(t)["message.sent.v1.json"]
	payload := compact(t, g.Payload)
	rapid.Check(t, func(t *rapid.T) {
		written := rapid.MapOfN(rapid.String(), rapid.OneOf(
			rapid.String(),
			rapid.Map(rapid.SampledFrom([]int{31, 32, 255, 256, 65535, 65536}), func(n int) string { return strings.Repeat("x", n) }),
		), 0, 20).Draw(t, "others")
		written[schema.TypeKey], written[schema.VersionKey] = string(g.Type), "1"
		written[schema.AggregateKey], written[schema.PartitionSeqKey] = g.Aggregate, "17"
		delete(written, schema.SeqKey)
		delete(written, schema.OrdinalKey)
		metadata, err := msgpack.Marshal(written)
		if err != nil {
			t.Fatal(err)
		}
		r, err := schema.DecodeRecord(5, "1-1", "id", metadata, payload)
		if err != nil {
			t.Fatal(err)
		}
		if r.Type != g.Type || r.Version != 1 || r.Aggregate.String() != g.Aggregate || r.Seq != 17 || r.Trace != written[schema.TraceKey] {
			t.Fatalf("got %+v of %v", r, written)
		}
	})
}

// A payload that another program wrote, with its own spaces and order, is read like ours.
func TestForeignPayloads(t *testing.T) {
	for name, g := range goldens(t) {
		want := g.record(t)
		var indented bytes.Buffer
		if err := json.Indent(&indented, want.Payload, "", "  "); err != nil {
			t.Fatal(err)
		}
		reordered, err := json.Marshal(value(t, want.Payload)) // by name: actor, at, data
		if err != nil {
			t.Fatal(err)
		}
		for _, payload := range [][]byte{indented.Bytes(), reordered} {
			got, err := schema.DecodeRecord(5, "1-1", string(want.ID), want.Metadata, payload)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if !got.At.Equal(want.At) || got.Actor != want.Actor || !reflect.DeepEqual(value(t, got.Data), value(t, want.Data)) {
				t.Errorf("%s: %s was read as %+v", name, payload, got)
			}
		}
	}
}

func TestDecodeRecordRefuses(t *testing.T) {
	good := goldens(t)["message.sent.v1.json"].record(t)
	metadata := func(change func(map[string]string)) []byte {
		var m map[string]string
		if err := msgpack.Unmarshal(good.Metadata, &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		b, err := msgpack.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, entry := range map[string]struct{ metadata, payload []byte }{
		"no metadata":        {nil, good.Payload},
		"metadata cut short": {good.Metadata[:len(good.Metadata)-1], good.Payload},
		"no map":             {[]byte{0xa1, 'x'}, good.Payload},
		"a number in it":     {[]byte{0x81, 0xa1, 'x', 7}, good.Payload},
		"no type":            {metadata(func(m map[string]string) { delete(m, schema.TypeKey) }), good.Payload},
		"no partition seq":   {metadata(func(m map[string]string) { delete(m, schema.PartitionSeqKey) }), good.Payload},
		"partition seq 0":    {metadata(func(m map[string]string) { m[schema.PartitionSeqKey] = "0" }), good.Payload},
		"bad partition seq":  {metadata(func(m map[string]string) { m[schema.PartitionSeqKey] = "x" }), good.Payload},
		"bad seq":            {metadata(func(m map[string]string) { m[schema.SeqKey] = "x" }), good.Payload},
		"bad ordinal":        {metadata(func(m map[string]string) { m[schema.OrdinalKey] = "x" }), good.Payload},
		"bad version":        {metadata(func(m map[string]string) { m[schema.VersionKey] = "x" }), good.Payload},
		"bad aggregate":      {metadata(func(m map[string]string) { m[schema.AggregateKey] = "room:7" }), good.Payload},
		"no payload":         {good.Metadata, nil},
		"no time":            {good.Metadata, []byte(`{"actor":"u","data":{}}`)},
		"bad time":           {good.Metadata, bytes.Replace(good.Payload, []byte("2026"), []byte("20x6"), 1)},
	} {
		if r, err := schema.DecodeRecord(5, "1-1", "id", entry.metadata, entry.payload); err == nil {
			t.Errorf("%s: read as %+v", name, r)
		} else if !strings.Contains(err.Error(), "1-1") {
			t.Errorf("%s: the error does not say which entry: %v", name, err)
		}
	}
}

// Data is not looked into before it is decoded, so an entry that was cut short may be found out only then.
func TestNothingCutShortIsDecoded(t *testing.T) {
	for name, g := range goldens(t) {
		good := g.record(t)
		for n := range good.Payload {
			r, err := schema.DecodeRecord(5, "1-1", "id", good.Metadata, good.Payload[:n])
			if err != nil {
				continue
			}
			if fact, err := r.Fact(); err == nil {
				t.Errorf("%s: the first %d bytes of %s are %+v", name, n, good.Payload, fact)
			}
		}
	}
}

// Whatever bytes an entry holds: it is refused or read, and what is read is what the stock library and encoding/json
// find in it.
func FuzzDecodeRecord(f *testing.F) {
	for _, g := range goldens(f) {
		r := g.record(f)
		f.Add(r.Metadata, r.Payload)
	}
	f.Fuzz(func(t *testing.T, metadata, payload []byte) {
		r, err := schema.DecodeRecord(0, "1-1", "id", metadata, payload)
		if err != nil {
			return
		}
		var stock map[string]string
		if err := msgpack.Unmarshal(metadata, &stock); err == nil {
			if n, _ := strconv.ParseInt(stock[schema.PartitionSeqKey], 10, 64); n != r.Seq || stock[schema.TypeKey] != string(r.Type) {
				t.Errorf("read as %s at %d, the stock library reads %v", r.Type, r.Seq, stock)
			}
		}
		var parsed struct {
			At    time.Time
			Actor domain.UserID
		}
		if json.Valid(payload) && json.Valid(r.Data) {
			if err := json.Unmarshal(payload, &parsed); err == nil && (!parsed.At.Equal(r.At) || parsed.Actor != r.Actor) {
				t.Errorf("read as by %q at %v, encoding/json reads %+v", r.Actor, r.At, parsed)
			}
		}
		if _, err := r.Fact(); err == nil && !json.Valid(r.Data) {
			t.Errorf("%q was decoded", r.Data)
		}
		_, _ = r.Public()
	})
}
