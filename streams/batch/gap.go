package batch

import (
	"context"
	"fmt"
	"log/slog"
)

// GapError says that the log does not go on where a consumer stands.
type GapError struct {
	Partition int
	// After and AfterID are the sequence and the stream id up to which the consumer is done.
	After   int64
	AfterID string
	// Got and GotID are those of the entry that the log has behind AfterID.
	Got   int64
	GotID string
}

// Error says what is missing and what can have happened.
func (e *GapError) Error() string {
	if e.Got <= e.After {
		return fmt.Sprintf("partition %d was forked: event %d at %s was applied, and the log goes on with event %d at %s; "+
			"Redis has lost what it once had", e.Partition, e.After, e.AfterID, e.Got, e.GotID)
	}
	return fmt.Sprintf("partition %d lacks events %d to %d: behind event %d at %s the log goes on with event %d at %s; "+
		"they were trimmed, deleted or lost", e.Partition, e.After+1, e.Got-1, e.After, e.AfterID, e.Got, e.GotID)
}

// lookAhead is how many entries are looked at when the next event is searched; more than one only for entries that
// are no events.
const lookAhead = 16

// locate looks in the log itself for the event behind last. If it is there the group's cursor was moved by somebody, and is
// set back by the next read; else there is a GapError.
func (r *reader) locate(ctx context.Context) error {
	r.adrift = true
	for from := r.lastID; ; {
		entries, err := r.config.Client.XRangeN(ctx, r.key, "("+from.String(), "+", lookAhead).Result()
		if err != nil {
			return fmt.Errorf("look for the event behind %d: %w", r.last, err)
		}
		for _, entry := range entries {
			id := parseStreamID(entry.ID)
			record := r.decode(ctx, entry)
			switch {
			case record == nil || record.Seq <= r.last && r.lastID == streamID{}:
				from = id
				continue
			case record.Seq != r.last+1:
				return &GapError{Partition: r.Partition, After: r.last, AfterID: r.lastID.String(), Got: record.Seq, GotID: entry.ID}
			}
			r.metrics.moved.WithLabelValues(r.Consumer).Inc()
			r.logger.WarnContext(ctx, "cursor of the group was moved by somebody else and is set back",
				slog.Int64("seq", r.last), slog.String("stream_id", r.lastID.String()))
			return nil
		}
		if len(entries) < lookAhead {
			// What had been delivered is gone again: the server lost it, or was emptied. The next read will tell.
			return fmt.Errorf("the log ends at %s, although it had delivered more", r.lastID)
		}
	}
}
