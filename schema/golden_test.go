package schema_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack"

	"mpim/domain"
	"mpim/schema"
)

// golden is one file of testdata/events: an event as some released version stored it. A file once added never changes,
// and decodes for ever.
type golden struct {
	Type      domain.EventType `json:"type"`
	Version   int              `json:"version"`
	Aggregate string           `json:"aggregate"`
	Payload   json.RawMessage  `json:"payload"`
}

func goldens(tb testing.TB) map[string]golden {
	tb.Helper()
	paths, err := filepath.Glob("testdata/events/*.json")
	if err != nil || len(paths) == 0 {
		tb.Fatalf("no golden events: %v", err)
	}
	events := make(map[string]golden, len(paths))
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		var g golden
		if err := json.Unmarshal(text, &g); err != nil {
			tb.Fatalf("%s: %v", path, err)
		}
		if want := fmt.Sprintf("%s.v%d.", g.Type, g.Version); !strings.HasPrefix(filepath.Base(path), want) {
			tb.Errorf("%s holds %s", path, want)
		}
		events[filepath.Base(path)] = g
	}
	return events
}

// record decodes the event from an entry with the metadata that the stock marshaller would write.
func (g golden) record(tb testing.TB) schema.Record {
	tb.Helper()
	metadata, err := msgpack.Marshal(map[string]string{
		schema.TypeKey: string(g.Type), schema.VersionKey: strconv.Itoa(g.Version), schema.AggregateKey: g.Aggregate,
		schema.PartitionSeqKey: "17", schema.SeqKey: "4", schema.OrdinalKey: "3",
	})
	if err != nil {
		tb.Fatal(err)
	}
	r, err := schema.DecodeRecord(5, "1-1", "01KDYB1B8E000000000000000A", metadata, compact(tb, g.Payload))
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func compact(tb testing.TB, text []byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func TestGoldenEventsDecode(t *testing.T) {
	for name, g := range goldens(t) {
		t.Run(name, func(t *testing.T) {
			r := g.record(t)
			if want := time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC); !r.At.Equal(want) || r.Actor != "u2g5s9595yafe0ycqw5eg05" {
				t.Errorf("by %s at %v", r.Actor, r.At)
			}
			fact, err := r.Fact()
			if err != nil {
				t.Fatal(err)
			}
			if fact.EventType() != g.Type || fact.Sequenced() != sequenced[strings.Split(string(g.Type), ".")[0]] {
				t.Errorf("decoded as %s, which takes a sequence: %v", fact.EventType(), fact.Sequenced())
			}
			if newest, _ := schema.Lookup(g.Type); g.Version < newest {
				return
			}
			// What is written today reads as it was written then: nothing was dropped, added or renamed.
			encoded, err := schema.EncodeFact(fact)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := value(t, encoded), value(t, r.Data); !reflect.DeepEqual(got, want) {
				t.Errorf("encoded again as %s, want %s", encoded, r.Data)
			}
		})
	}
}

// sequenced says which kinds of events clients count; see the list in section 3 of the protocol.
var sequenced = map[string]bool{"conversation": true, "member": true, "message": true}

func value(tb testing.TB, text []byte) (v any) {
	tb.Helper()
	if err := json.Unmarshal(text, &v); err != nil {
		tb.Fatal(err)
	}
	return v
}

// Every version ever released has its golden files, and the newest ones show every member there is.
func TestGoldenEventsAreComplete(t *testing.T) {
	type version struct {
		name   domain.EventType
		number int
	}
	members := make(map[version]map[string]bool)
	types := make(map[domain.EventType]domain.Fact)
	for _, g := range goldens(t) {
		r := g.record(t)
		fact, err := r.Fact()
		if err != nil {
			t.Fatal(err)
		}
		v := version{g.Type, g.Version}
		if members[v] == nil {
			members[v] = make(map[string]bool)
		}
		for member := range value(t, r.Data).(map[string]any) {
			members[v][member] = true
		}
		types[g.Type] = fact
	}
	for _, name := range schema.Types() {
		newest, _ := schema.Lookup(name)
		for number := 1; number <= newest; number++ {
			if members[version{name, number}] == nil {
				t.Errorf("testdata/events lacks %s.v%d.json", name, number)
			}
		}
		if types[name] == nil {
			continue
		}
		for _, field := range reflect.VisibleFields(reflect.TypeOf(types[name]).Elem()) {
			member, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if field.IsExported() && !members[version{name, newest}][member] {
				t.Errorf("no golden %s.v%d.*.json shows %q", name, newest, member)
			}
		}
	}
}

func TestUnknownEvents(t *testing.T) {
	g := goldens(t)["message.sent.v1.json"]
	for _, change := range []func(*golden){
		func(g *golden) { g.Type = "message.sung" },
		func(g *golden) { g.Version = 99 },
		func(g *golden) { g.Version = 0 },
	} {
		changed := g
		change(&changed)
		r := changed.record(t)
		if fact, err := r.Fact(); err == nil {
			t.Errorf("%s in version %d is %+v", r.Type, r.Version, fact)
		}
		if data, err := r.Public(); err == nil {
			t.Errorf("%s in version %d is shown as %s", r.Type, r.Version, data)
		}
	}
}
