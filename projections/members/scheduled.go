package members

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"mpim/domain"
	"mpim/projections/checkpoint"
)

// Scheduled is a message of a user's that waits to be sent. What it says stands in the decision state of its conversation.
type Scheduled struct {
	ID        domain.ScheduledID
	DeliverAt time.Time
}

// compare puts the one that is sent first before the others.
func (s Scheduled) compare(o Scheduled) int {
	if c := s.DeliverAt.Compare(o.DeliverAt); c != 0 {
		return c
	}
	return strings.Compare(string(s.ID), string(o.ID))
}

// schedule keeps the messages of a user that wait.
func (f *folding) schedule(e event, w *checkpoint.Writes) {
	key := f.p.OutsideKey(scheduledName, string(e.Actor))
	take := func(id domain.ScheduledID) { w.Guarded(key, 0).Do(e.Seq, "HDEL", key, string(id)) }
	switch fact := e.fact.(type) {
	case *domain.ScheduleCreated:
		w.Guarded(key, 0).HSet(e.Seq, string(fact.Scheduled), strconv.FormatInt(fact.DeliverAt.UnixMilli(), 10))
	case *domain.ScheduleCancelled:
		take(fact.Scheduled)
	case *domain.ScheduleFired:
		take(fact.Scheduled)
	case *domain.ScheduleFailed:
		take(fact.Scheduled)
	default:
		// Nothing else waits.
	}
}

// Scheduled returns the messages of a user that wait to be sent, the one that is sent first before the others.
func (q *Queries) Scheduled(ctx context.Context, user domain.UserID) ([]Scheduled, error) {
	fields, err := q.hash(ctx, scheduledName, user)
	if err != nil {
		return nil, err
	}
	all := make([]Scheduled, 0, len(fields))
	for field, value := range fields {
		if strings.HasPrefix(field, "~") {
			continue
		}
		ms, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("scheduled message %s of %s: %w", field, user, err)
		}
		all = append(all, Scheduled{domain.ScheduledID(field), time.UnixMilli(ms).UTC()})
	}
	slices.SortFunc(all, Scheduled.compare)
	return all, nil
}
