package fold

import (
	"context"
	"fmt"
	"slices"

	"mpim/domain"
)

// Writer writes what stands in Redis beside the log.
type Writer interface {
	// Restate writes a change, unless an event of its aggregate was appended behind Head; then it is false.
	Restate(ctx context.Context, partition int, c Change) (written bool, err error)
}

// Change is what is to be written of one aggregate so that it is what its events up to Head come to.
type Change struct {
	// Aggregate is the zero value for timers that belong to none.
	Aggregate domain.Aggregate
	Head      int64
	Set       []domain.Field
	Delete    []string
	Timers    []domain.Timer
	Cancels   []string
}

// attempts bounds how often something is written anew because more was appended meanwhile.
const attempts = 100

// Rebuild folds a partition from its first event and writes what is stored otherwise: fields of aggregates and entries of the
// due list. Appends may go on meanwhile. It returns how many aggregates have events, and what differed.
func Rebuild(
	ctx context.Context, reader Reader, states States, writer Writer, partition int, step func(events int64),
) (aggregates int, changed []Difference, err error) {
	v := newVerifier(reader, states, partition, step)
	if err := v.foldTo(ctx, 0); err != nil {
		return 0, nil, err
	}
	for _, a := range v.sorted() {
		found, err := v.restate(ctx, writer, func() ([]Difference, int64, error) { return v.aggregate(ctx, a) })
		if changed = append(changed, found...); err != nil {
			return len(v.folded.Aggregates), changed, err
		}
	}
	found, err := v.restate(ctx, writer, func() ([]Difference, int64, error) { return v.due(ctx) })
	return len(v.folded.Aggregates), append(changed, found...), err
}

// restate writes what differs, until nothing does.
func (v *verifier) restate(ctx context.Context, writer Writer, look func() ([]Difference, int64, error)) (changed []Difference, err error) {
	for range attempts {
		found, head, err := look()
		if err != nil || len(found) == 0 {
			return changed, err
		}
		for _, c := range v.changes(found, head) {
			written, err := writer.Restate(ctx, v.partition, c)
			if err != nil {
				return changed, err
			}
			if written {
				changed = append(changed, slices.DeleteFunc(slices.Clone(found), func(d Difference) bool { return d.Aggregate != c.Aggregate })...)
			}
		}
	}
	return changed, fmt.Errorf("partition %d: what was put right differs again each time: does somebody else write into Redis?", v.partition)
}

// changes returns what is to be written, by aggregate.
func (v *verifier) changes(found []Difference, head int64) []Change {
	var all []Change
	for _, d := range found {
		n := slices.IndexFunc(all, func(c Change) bool { return c.Aggregate == d.Aggregate })
		if n < 0 {
			n = len(all)
			all = append(all, Change{Aggregate: d.Aggregate, Head: head})
		}
		c := &all[n]
		switch {
		case d.Timer != "" && d.Want == "":
			c.Cancels = append(c.Cancels, d.Timer)
		case d.Timer != "":
			c.Timers = append(c.Timers, domain.Timer{Name: d.Timer, At: v.folded.Due[d.Timer]})
		case d.Want == "":
			c.Delete = append(c.Delete, d.Field)
		default:
			c.Set = append(c.Set, domain.Field{Name: d.Field, Value: d.Want})
		}
	}
	return all
}
