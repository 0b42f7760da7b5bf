package fold

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"mpim/domain"
	"mpim/domain/conversation"
	"mpim/schema"
)

// Reader reads a partition of the log in order.
type Reader interface {
	Partition(ctx context.Context, partition int, after schema.Checkpoint) iter.Seq2[*schema.Record, error]
}

// States reads what stands in Redis beside the log.
type States interface {
	// State returns all fields of an aggregate, and the partition's last sequence at that moment.
	State(ctx context.Context, aggregate domain.Aggregate) (fields domain.Fields, head int64, err error)
	// DueList returns when each timer of the partition fires, by its name, and the partition's last sequence at that moment.
	DueList(ctx context.Context, partition int) (due map[string]time.Time, head int64, err error)
}

// Difference is a field, or an entry of the due list, that is not what the events come to. An empty value stands for an absent one.
type Difference struct {
	// Aggregate is whose field or timer it is; the zero value where the name of a timer does not tell.
	Aggregate domain.Aggregate
	// Field is empty where it is about a timer, of which Stored and Want are times.
	Field, Timer string
	Stored, Want string
}

// String says what differs, without the values: there are password hashes among them.
func (d Difference) String() string {
	switch {
	case d.Timer != "" && d.Stored == "":
		return fmt.Sprintf("the due list lacks %q", d.Timer)
	case d.Timer != "" && d.Want == "":
		return fmt.Sprintf("the due list has %q, which no event put there", d.Timer)
	case d.Timer != "":
		return fmt.Sprintf("the due list has %q at %s, and its event says %s", d.Timer, d.Stored, d.Want)
	case d.Stored == "":
		return fmt.Sprintf("%s lacks the field %s", d.Aggregate, d.Field)
	case d.Want == "":
		return fmt.Sprintf("%s has the field %s, which no event gave it", d.Aggregate, d.Field)
	default:
		return fmt.Sprintf("%s has another value in the field %s than its events come to", d.Aggregate, d.Field)
	}
}

// Verify folds a partition from its first event and compares every aggregate that has events, and the due list, with what is
// stored. Appends may go on meanwhile. Step is called now and then with how many more events were folded.
func Verify(ctx context.Context, reader Reader, states States, partition int, step func(events int64)) (aggregates int, found []Difference, err error) {
	v := newVerifier(reader, states, partition, step)
	if err := v.foldTo(ctx, 0); err != nil {
		return 0, nil, err
	}
	for _, a := range v.sorted() {
		differences, _, err := v.aggregate(ctx, a)
		if err != nil {
			return len(v.folded.Aggregates), found, err
		}
		found = append(found, differences...)
	}
	differences, _, err := v.due(ctx)
	return len(v.folded.Aggregates), append(found, differences...), err
}

type verifier struct {
	Reader
	states    States
	partition int
	folded    *Partition
	at        schema.Checkpoint
	step      func(int64)
}

func newVerifier(reader Reader, states States, partition int, step func(int64)) *verifier {
	return &verifier{Reader: reader, states: states, partition: partition, folded: New(), step: step}
}

// sorted returns the aggregates that have events.
func (v *verifier) sorted() []domain.Aggregate {
	return slices.SortedFunc(maps.Keys(v.folded.Aggregates), func(a, b domain.Aggregate) int { return cmp.Compare(a.String(), b.String()) })
}

// aggregate compares one aggregate as it stood when the partition ended at head.
func (v *verifier) aggregate(ctx context.Context, a domain.Aggregate) (found []Difference, head int64, err error) {
	fields, head, err := v.states.State(ctx, a)
	if err != nil {
		return nil, 0, err
	}
	if err := v.foldTo(ctx, head); err != nil {
		return nil, 0, err
	}
	return compare(a, fields, v.folded.Aggregates[a]), head, nil
}

// due compares the due list as it stood when the partition ended at head.
func (v *verifier) due(ctx context.Context) (found []Difference, head int64, err error) {
	stored, head, err := v.states.DueList(ctx, v.partition)
	if err != nil {
		return nil, 0, err
	}
	if err := v.foldTo(ctx, head); err != nil {
		return nil, 0, err
	}
	names := slices.Concat(slices.Collect(maps.Keys(stored)), slices.Collect(maps.Keys(v.folded.Due)))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if is, want := dueAt(stored, name), dueAt(v.folded.Due, name); is != want {
			due, _ := conversation.ParseDue(name)
			found = append(found, Difference{Aggregate: aggregateOf(due), Timer: name, Stored: is, Want: want})
		}
	}
	return found, head, nil
}

// aggregateOf returns whose timer it is, nobody's for one that cannot be read.
func aggregateOf(due conversation.Due) domain.Aggregate {
	if due.Conversation == "" {
		return domain.Aggregate{}
	}
	return due.Conversation.Aggregate()
}

func dueAt(due map[string]time.Time, name string) string {
	at, ok := due[name]
	if !ok {
		return ""
	}
	return at.UTC().Format(schema.TimeFormat)
}

// foldTo folds up to a sequence, or, for 0, to the end. What was appended since the fold ended is in what was read since, so
// it must be there.
func (v *verifier) foldTo(ctx context.Context, seq int64) error {
	if seq > 0 && v.folded.Seq == seq {
		return nil
	}
	if seq == 0 || v.folded.Seq < seq {
		if err := v.fold(ctx, seq); err != nil {
			return err
		}
	}
	if seq > 0 && v.folded.Seq != seq {
		return fmt.Errorf("partition %d ends at %d, and its events at %d: is it being repaired?", v.partition, seq, v.folded.Seq)
	}
	return nil
}

func (v *verifier) fold(ctx context.Context, seq int64) error {
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
		if folded.Erased && !counted && stored[name] != "" {
			continue // what it was made of is not readable any more
		}
		if names[name] && stored[name] != want[name] {
			found = append(found, Difference{Aggregate: a, Field: name, Stored: stored[name], Want: want[name]})
		}
	}
	return found
}
