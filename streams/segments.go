package streams

import (
	"context"
	"time"

	"mpim/domain"
	"mpim/schema"
)

// Segments is the archive, as readers of the log need it. All of a partition from its first event to some later one is in
// it, and whatever was trimmed from the stream is.
type Segments interface {
	// After returns records of a partition behind a sequence, at least the next one and as many as are at hand. There are none
	// where the archive does not go on there.
	After(ctx context.Context, partition int, seq int64) ([]*schema.Record, error)
	// Event returns the record with the id. The error is of kind NotFound where the archive does not hold it.
	Event(ctx context.Context, id domain.EventID) (*schema.Record, error)
	// Before returns a sequence of a partition up to which all events have effective times before at; 0 where it cannot tell.
	Before(ctx context.Context, partition int, at time.Time) (int64, error)
}

// archivedAt returns the record at a position from the archive.
func (r Reader) archivedAt(ctx context.Context, p domain.Position) (*schema.Record, error) {
	if r.Segments == nil {
		return nil, noRecord(p)
	}
	records, err := r.Segments.After(ctx, p.Partition, p.Seq-1)
	if err != nil {
		return nil, err
	}
	if len(records) == 0 || records[0].Seq != p.Seq {
		return nil, noRecord(p)
	}
	return records[0], nil
}

// Event returns the record with an id, which is looked for among the events of its time. The error is of kind NotFound where
// the log does not hold it.
func (r Reader) Event(ctx context.Context, id domain.EventID) (*schema.Record, error) {
	record, err := r.storedEvent(ctx, id)
	return r.openedOne(ctx, record, err)
}

// storedEvent returns the record with an id as it is stored.
func (r Reader) storedEvent(ctx context.Context, id domain.EventID) (*schema.Record, error) {
	missing := domain.Errorf(domain.NotFound, "the log holds no event %s", id)
	at, ok := id.Time()
	if !ok {
		return nil, missing
	}
	// Not found among those whose addresses are of that time, by the server's clock, it may be elsewhere.
	for _, from := range []time.Time{at.Add(-eventSlack), {}} {
		for partition := range r.Partitions {
			if record, err := r.search(ctx, partition, id, from, at); record != nil || err != nil {
				return record, err
			}
		}
		if r.Segments == nil {
			continue
		}
		record, err := r.Segments.Event(ctx, id)
		if domain.CodeOf(err) != domain.NotFound {
			return record, err
		}
	}
	return nil, missing
}

// eventSlack is by how much the clocks of gateways and of the server are expected to differ, at most.
const eventSlack = 5 * time.Second

// search looks for an event in the stream, among the entries from a time on: up to a little after the event's own, or, where
// from is zero, among all.
func (r Reader) search(ctx context.Context, partition int, id domain.EventID, from, at time.Time) (*schema.Record, error) {
	at = at.Add(eventSlack)
	page := stretch{from: "-", to: "+"}
	if !from.IsZero() {
		page = stretch{from: idAt(from), to: idAt(at)}
	}
	for {
		records, next, err := r.stretch(ctx, partition, page)
		if err != nil {
			return nil, err
		}
		for _, record := range records {
			if record.ID == id {
				return record, nil
			}
		}
		if next == "" {
			return nil, nil
		}
		page.from = "(" + next
	}
}

// Since returns checkpoints behind which to read for all events from a time on, one a partition: what is archived and all
// before it is left out.
func (r Reader) Since(ctx context.Context, at time.Time) ([]int64, error) {
	after := make([]int64, r.Partitions)
	if r.Segments == nil || at.IsZero() {
		return after, nil
	}
	for partition := range after {
		var err error
		if after[partition], err = r.Segments.Before(ctx, partition, at); err != nil {
			return nil, err
		}
	}
	return after, nil
}
