package fold

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"

	"mpim/domain"
	"mpim/schema"
)

// Reader reads a partition of the log in order.
type Reader interface {
	Partition(ctx context.Context, partition int, after schema.Checkpoint) iter.Seq2[*schema.Record, error]
}

// States reads decision state as it stands in Redis.
type States interface {
	// State returns all fields of an aggregate, and the partition's last sequence at that moment.
	State(ctx context.Context, aggregate domain.Aggregate) (fields domain.Fields, head int64, err error)
}

// Difference is a field that is not what the events of its aggregate come to. An empty value stands for an absent field.
type Difference struct {
	Aggregate    domain.Aggregate
	Field        string
	Stored, Want string
}

// String says what differs, without the values: there are password hashes among them.
func (d Difference) String() string {
	switch {
	case d.Stored == "":
		return fmt.Sprintf("%s lacks the field %s", d.Aggregate, d.Field)
	case d.Want == "":
		return fmt.Sprintf("%s has the field %s, which no event gave it", d.Aggregate, d.Field)
	default:
		return fmt.Sprintf("%s has another value in the field %s than its events come to", d.Aggregate, d.Field)
	}
}

// Verify folds a partition from its first event and compares every aggregate that has events with what is stored. Appends may go
// on meanwhile. Step is called now and then with how many more events were folded.
func Verify(ctx context.Context, reader Reader, states States, partition int, step func(events int64)) (aggregates int, found []Difference, err error) {
	p := New()
	v := &verifier{Reader: reader, partition: partition, folded: p, step: step}
	if err := v.foldTo(ctx, 0); err != nil {
		return 0, nil, err
	}
	for _, a := range slices.SortedFunc(maps.Keys(p.Aggregates), func(a, b domain.Aggregate) int { return cmp.Compare(a.String(), b.String()) }) {
		fields, head, err := states.State(ctx, a)
		if err != nil {
			return len(p.Aggregates), found, err
		}
		// What was appended since the fold ended is in what is stored.
		if err := v.foldTo(ctx, head); err != nil {
			return len(p.Aggregates), found, err
		}
		if p.Seq != head {
			return len(p.Aggregates), found, fmt.Errorf("partition %d ends at %d, and its events at %d: is it being repaired?", partition, head, p.Seq)
		}
		found = append(found, compare(a, fields, p.Aggregates[a])...)
	}
	return len(p.Aggregates), found, nil
}

type verifier struct {
	Reader
	partition int
	folded    *Partition
	at        schema.Checkpoint
	step      func(int64)
}

// foldTo folds up to a sequence, or, for 0, to the end.
func (v *verifier) foldTo(ctx context.Context, seq int64) error {
	if seq > 0 && v.folded.Seq >= seq {
		return nil
	}
	for record, err := range v.Partition(ctx, v.partition, v.at) {
		if err != nil {
			return err
		}
		if err := v.folded.Add(record); err != nil {
			return err
		}
		v.at = schema.Checkpoint{Seq: record.Seq, StreamID: record.StreamID}
		v.step(1)
		if seq > 0 && record.Seq == seq {
			return nil
		}
	}
	return nil
}

func compare(a domain.Aggregate, stored domain.Fields, folded *Aggregate) (found []Difference) {
	want := folded.Fields
	names := make(map[string]bool, len(want))
	for _, fields := range []domain.Fields{stored, want} {
		for name, value := range fields {
			names[name] = names[name] || value != ""
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		counted := name == domain.VersionField || name == domain.SeqField || name == domain.OrdinalField
		if folded.Erased && !counted {
			continue
		}
		if names[name] && stored[name] != want[name] {
			found = append(found, Difference{Aggregate: a, Field: name, Stored: stored[name], Want: want[name]})
		}
	}
	return found
}
