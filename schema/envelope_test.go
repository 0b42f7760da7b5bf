package schema_test

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mpim/schema"
)

func envelopes(t *rapid.T) *schema.Envelope {
	lists := make([][]uint32, rapid.IntRange(1, 4).Draw(t, "lists"))
	for i := range lists {
		lists[i] = rapid.SliceOfNDistinct(rapid.Uint32(), 1, 50, rapid.ID[uint32]).Draw(t, "connections")
		slices.Sort(lists[i])
	}
	e := &schema.Envelope{
		Partition: rapid.IntRange(0, 255).Draw(t, "partition"),
		Token:     rapid.Int64Min(0).Draw(t, "token"),
		Number:    rapid.Uint64().Draw(t, "number"),
		Start:     rapid.Int64Min(0).Draw(t, "start"),
		Seq:       rapid.Int64Min(0).Draw(t, "seq"),
		Items:     make([]schema.Item, rapid.IntRange(0, 20).Draw(t, "items")),
	}
	for i := range e.Items {
		frame := strings.Repeat(rapid.String().Draw(t, "frame"), rapid.IntRange(0, 20).Draw(t, "repeat"))
		e.Items[i] = schema.Item{
			Class:       schema.Class(rapid.IntRange(1, 4).Draw(t, "class")),
			Close:       rapid.Uint16().Draw(t, "close"),
			Frame:       []byte(frame),
			Connections: rapid.SampledFrom(lists).Draw(t, "list"),
		}
	}
	return e
}

func TestEnvelopesSurviveTheWire(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := envelopes(t)
		got, err := schema.DecodePush(want.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v\nwant %+v", got, want)
		}
	})
}

func TestHeartbeatsSurviveTheWire(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 256).Draw(t, "partitions")
		want := &schema.Heartbeat{
			Worker: rapid.String().Draw(t, "worker"),
			Leases: make([]schema.LeaseReport, n),
			Folded: make([]schema.StreamID, n),
		}
		for i := range n {
			want.Leases[i] = schema.LeaseReport{Partition: i, Token: rapid.Int64Min(0).Draw(t, "token"), Number: uint64(i), Start: 7, Seq: 9}
			want.Folded[i] = schema.StreamID{Milliseconds: rapid.Uint64().Draw(t, "ms"), Counter: uint64(i)}
		}
		got, err := schema.DecodePush(want.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v\nwant %+v", got, want)
		}
	})
}

// A busy group's members are listed once, however many messages an envelope has for them.
func TestItemsForTheSameConnectionsShareOneList(t *testing.T) {
	t.Parallel()
	list := make([]uint32, 1000)
	for i := range list {
		list[i] = uint32(7 * i)
	}
	one := &schema.Envelope{Items: []schema.Item{{Class: schema.ClassEvent, Frame: []byte("x"), Connections: list}}}
	many := &schema.Envelope{Items: slices.Repeat(one.Items, 100)}
	if a, b := len(one.Append(nil)), len(many.Append(nil)); b > a+500 {
		t.Errorf("one item takes %d bytes, a hundred take %d", a, b)
	}
	decoded, err := schema.DecodePush(many.Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	items := decoded.(*schema.Envelope).Items
	if &items[0].Connections[0] != &items[99].Connections[0] {
		t.Error("the list was decoded more than once")
	}
}

func FuzzDecodePush(f *testing.F) {
	list := []uint32{1, 2, 300}
	f.Add([]byte{})
	f.Add((&schema.Envelope{
		Partition: 3, Token: 4, Number: 5, Start: 6, Seq: 7,
		Items: []schema.Item{
			{Class: schema.ClassEvent, Frame: []byte(`{"jsonrpc":"2.0"}`), Connections: list},
			{Class: schema.ClassClose, Close: 4101, Connections: list[:1]},
		},
	}).Append(nil))
	f.Add((&schema.Envelope{Items: []schema.Item{{Frame: bytes.Repeat([]byte("abc"), 1000), Connections: list}}}).Append(nil))
	f.Add((&schema.Heartbeat{
		Worker: "w", Leases: []schema.LeaseReport{{Partition: 1, Token: 2, Number: 3, Start: 4, Seq: 5}},
		Folded: []schema.StreamID{{Milliseconds: 1, Counter: 2}},
	}).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := schema.DecodePush(b)
		if err != nil {
			return
		}
		again, err := schema.DecodePush(p.Append(nil))
		if err != nil {
			t.Fatalf("what was decoded does not survive the wire: %v", err)
		}
		if !bytes.Equal(again.Append(nil), p.Append(nil)) {
			t.Fatal("the wire form is not stable")
		}
	})
}

func FuzzParseStreamID(f *testing.F) {
	f.Add("1700000000000-3")
	f.Add("5")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := schema.ParseStreamID(s)
		if err != nil {
			return
		}
		if again, err := schema.ParseStreamID(id.String()); err != nil || again != id {
			t.Fatalf("%q became %v, then %v, %v", s, id, again, err)
		}
	})
}
