package main

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"mpim/domain"
	"mpim/projections/archive/segment/segmenttest"
	"mpim/schema"
)

// What is not wanted stays sealed; the rest comes in order, and opened, however much of it is read at once.
func TestOpenedOpensWhatIsWantedAlone(t *testing.T) {
	const events = 2*openedAtOnce + 100
	log := segmenttest.NewLog(3, 1)
	log.Ring = segmenttest.NewRing(t)
	log.Messages(t, events, []string{"a text"})
	s := &stores{ring: log.Ring}
	read := 0
	all := func(yield func(*schema.Record, error) bool) {
		for _, r := range log.Records {
			if read++; !yield(r, nil) {
				return
			}
		}
	}
	odd := func(r *schema.Record) bool { return r.Seq%2 == 1 }
	next := int64(1)
	for record, err := range s.opened(t.Context(), all, odd) {
		if err != nil {
			t.Fatal(err)
		}
		if fact, err := record.Fact(); err != nil || record.Seq != next || fact.(*domain.MessageSent).Body.Text != "a text" {
			t.Fatalf("event %d is %v, %v; want event %d opened", record.Seq, fact, err, next)
		}
		next += 2
	}
	if next != events+1 || read != events {
		t.Errorf("ended before event %d after reading %d, want %d", next, read, events)
	}
	if n := slices.IndexFunc(log.Records, func(r *schema.Record) bool { _, sealed := r.Sealed(); return sealed == odd(r) }); n >= 0 {
		t.Errorf("event %d: only what is wanted is to be opened", n+1)
	}
	read = 0
	for _, err := range s.opened(t.Context(), all, func(*schema.Record) bool { return true }) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	if read != openedAtOnce {
		t.Errorf("read %d events for the first one", read)
	}
	broken := func(yield func(*schema.Record, error) bool) {
		_ = yield(log.Records[0], nil) && yield(nil, errors.New("the log is gone"))
	}
	var got []string
	for record, err := range s.opened(t.Context(), broken, odd) {
		got = append(got, fmt.Sprint(record != nil, " ", err))
	}
	if want := []string{"true <nil>", "false the log is gone"}; !slices.Equal(got, want) {
		t.Errorf("before an error came %q, want %q", got, want)
	}
}
