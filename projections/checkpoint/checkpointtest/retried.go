package checkpointtest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"mpim/projections"
	"mpim/projections/checkpoint"
	"mpim/projections/projectionstest"
	"mpim/schema"
)

// Retried draws logs and parks the events of one aggregate from some point on, while all others are applied; then it retries
// what is parked. The state must be that of a fold in order, but for the guards: what was done later has raised them before.
func Retried(t *testing.T, client redis.UniversalClient, open Open, how Draw) {
	t.Helper()
	rapid.Check(t, func(r *rapid.T) {
		log := draw(t, r, how)
		for _, record := range log.Records {
			projectionstest.Encode(t, record)
		}
		spaces := [2]string{newSpace(), newSpace()}
		defer clean(t, client, spaces[:]...)
		reference, live := open(client, spaces[0]), open(client, spaces[1])
		fold(t, r, reference, log)

		end := int64(len(log.Records))
		first := log.Records[rapid.Int64Range(0, end-1).Draw(r, "first that is parked")]
		key := projections.KeyOf(first)
		take(t, live, 1)
		for from := int64(1); from <= end; {
			to := rapid.Int64Range(from, end).Draw(r, "to")
			if err := live.Apply(t.Context(), parking(log, from, to, first)); err != nil {
				r.Fatalf("events %d to %d: %v", from, to, err)
			}
			from = to + 1
		}
		opened := func(context.Context, []*schema.Record) error { return nil }
		retrier, ok := live.(interface {
			Retry(ctx context.Context, partition int, key projections.Key, open checkpoint.Open) (int, error)
		})
		if !ok {
			r.Fatal("the projection retries nothing")
		}
		if _, err := retrier.Retry(t.Context(), partition, key, opened); err != nil {
			r.Fatalf("retry: %v", err)
		}
		compare(t, r, log, unguarded(dump(t, reference)), unguarded(dump(t, live)))
	})
}

// parking returns a step that parks the first event and what follows in its aggregate.
func parking(log *projectionstest.Log, from, to int64, first *schema.Record) projections.Step {
	next := step(log, 1, from, to)
	next.Records = nil
	for _, record := range log.Records[from-1 : to] {
		if record.Seq < first.Seq || record.Aggregate != first.Aggregate {
			next.Records = append(next.Records, record)
			continue
		}
		p := projections.Parked{Record: record, Key: projections.KeyOf(record)}
		if record == first {
			p.Reason = "chosen"
		}
		next.Parked = append(next.Parked, p)
	}
	return next
}

func unguarded(state map[string]string) map[string]string {
	state = maps.Clone(state)
	maps.DeleteFunc(state, func(key, _ string) bool {
		return slices.ContainsFunc(strings.Fields(key), func(word string) bool { return strings.HasPrefix(word, "~") })
	})
	return state
}
