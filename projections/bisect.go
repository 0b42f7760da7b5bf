package projections

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"mpim/schema"
)

// maxFailuresInARow is how many aggregates of one batch may fail one after the other, with no event applied in between,
// until the cause is taken to be outside of the events.
const maxFailuresInARow = 8

// run is the handling of one batch. Each of its steps is a transaction of its own, so what stands before a failure stays.
type run struct {
	*Runner
	batch  *schema.Batch
	parked map[Key]bool
	// failures counts what was parked for a failure of its own since an event was applied.
	failures int
}

// apply does the records as one step, and in halves where that fails because of an event.
func (r *run) apply(ctx context.Context, records []*schema.Record) error {
	step, err := r.step(records)
	if err != nil {
		return err
	}
	err = r.do(ctx, step)
	switch {
	case err == nil:
		r.done(ctx, step)
		return nil
	case errors.Is(err, ErrDeposed), IsOutside(err), ctx.Err() != nil:
		return err
	case len(step.Records) == 0:
		return Outside(fmt.Errorf("move the checkpoint: %w", err)) // there is no event to blame
	case len(records) == 1:
		return r.park(ctx, records[0], err)
	}
	half := len(records) / 2
	if err := r.apply(ctx, records[:half]); err != nil {
		return err
	}
	return r.apply(ctx, records[half:])
}

// step sorts the records into those to fold and those to park. It fails when one was written by a newer mpim.
func (r *run) step(records []*schema.Record) (Step, error) {
	step := stepOf(r.batch, records)
	standing := 0 // records that stay as they are, so that the common case copies nothing
	var broken map[Key]bool
	for i, record := range records {
		key, reason, park := r.sort(record, broken)
		if park {
			if reason != "" {
				if broken == nil {
					broken = make(map[Key]bool)
				}
				broken[key] = true
			}
			step.Parked = append(step.Parked, Parked{Record: record, Key: key, Reason: reason})
			continue
		}
		if known, ok := schema.Lookup(record.Type); ok && record.Version > known && r.projection.Handles(record.Type) {
			return Step{}, errNewer(record, known)
		}
		if standing == i {
			standing++
			continue
		}
		if step.Records == nil {
			step.Records = append(make([]*schema.Record, 0, len(records)), records[:standing]...)
		}
		step.Records = append(step.Records, record)
	}
	if step.Records == nil {
		step.Records = records[:standing]
	}
	return step, nil
}

// sort says whether a record must park, and why if it is for itself.
func (r *run) sort(record *schema.Record, broken map[Key]bool) (key Key, reason string, park bool) {
	if record.Broken == nil && len(r.parked) == 0 && len(broken) == 0 {
		return "", "", false
	}
	// A type that could be read and does not matter is passed over, whatever became of the rest of the entry.
	if record.Type != "" && !r.projection.Handles(record.Type) {
		return "", "", false
	}
	key = KeyOf(record)
	switch {
	case record.Broken != nil:
		return key, "the entry cannot be decoded: " + record.Broken.Error(), true
	case r.parked[key] || broken[key]:
		return key, "", true
	default:
		return "", "", false
	}
}

// park puts one record aside that could not be applied.
func (r *run) park(ctx context.Context, record *schema.Record, cause error) error {
	if r.failures++; r.failures > maxFailuresInARow {
		return Outside(fmt.Errorf("%d conversations in a row could not be applied, so the events are hardly the cause: %w",
			r.failures, cause))
	}
	step := stepOf(r.batch, []*schema.Record{record})
	step.Parked = []Parked{{Record: record, Key: KeyOf(record), Reason: cause.Error()}}
	if err := r.do(ctx, step); err != nil {
		if errors.Is(err, ErrDeposed) {
			return err
		}
		return Outside(fmt.Errorf("park event %s: %w", record.ID, err))
	}
	r.done(ctx, step)
	return nil
}

// done notes what a step did.
func (r *run) done(ctx context.Context, step Step) {
	if len(step.Records) > 0 {
		r.failures = 0
	}
	for _, p := range step.Parked {
		r.parked[p.Key] = true
		if p.Reason == "" {
			continue
		}
		r.logger.ErrorContext(ctx, "event parked, and with it what follows in the same conversation",
			slog.String("position", p.Record.String()), slog.String("event", string(p.Record.ID)),
			slog.String("type", string(p.Record.Type)), slog.String("aggregate", string(p.Key)),
			slog.String("reason", p.Reason))
	}
	r.metrics.applied(step)
}
