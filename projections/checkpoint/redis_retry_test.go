package checkpoint_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/checkpoint"
	"mpim/projections/projectionstest"
	"mpim/schema"
)

const key = projections.Key("group:" + group)

// parks applies all of a log but some events, which it parks: the first for itself, the others behind it.
func parks(t *testing.T, c *checkpoint.Redis, log *projectionstest.Log, seqs ...int64) {
	t.Helper()
	step := stepOf(log, 1, 1, int64(len(log.Records)))
	step.Records = slices.DeleteFunc(slices.Clone(step.Records), func(r *schema.Record) bool { return slices.Contains(seqs, r.Seq) })
	for _, seq := range seqs {
		p := projections.Parked{Record: log.Records[seq-1], Key: key}
		if seq == seqs[0] {
			p.Reason = "poison"
		}
		step.Parked = append(step.Parked, p)
	}
	take(t, c, 1, 0)
	if err := c.Apply(t.Context(), step, count(c)); err != nil {
		t.Fatal(err)
	}
	check(t, c.Client(), c, int64(len(log.Records)-len(seqs)))
}

// decodable returns a log whose entries can be decoded again.
func decodable(t *testing.T, n int) *projectionstest.Log {
	t.Helper()
	log := messages(t, n)
	for _, r := range log.Records {
		projectionstest.Encode(t, r)
	}
	return log
}

func opened(context.Context, []*schema.Record) error { return nil }

// parkedSeqs returns where parked events stand, and how often they were tried.
func parkedSeqs(t *testing.T, c *checkpoint.Redis) (seqs []int64, attempts []int) {
	t.Helper()
	all, err := c.ParkedEvents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if e.Record.Broken != nil || e.Key != key || e.Record.Type != domain.TypeMessageSent || e.First.IsZero() {
			t.Errorf("parked is %+v: %+v", e, e.Record)
		}
		seqs, attempts = append(seqs, e.Record.Seq), append(attempts, e.Attempts)
	}
	return seqs, attempts
}

// What is parked is applied later than what came behind it, in order and once, outside of the partition too.
func TestRetryAppliesWhatIsParkedInOrder(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, client *redis.Client) {
		t.Helper()
		c, log := newRedis(client), decodable(t, 600)
		var parked []int64
		for seq := int64(3); seq <= 600; seq += 2 {
			parked = append(parked, seq)
		}
		parks(t, c, log, parked...)
		if seqs, attempts := parkedSeqs(t, c); !slices.Equal(seqs, parked) || attempts[0] != 1 || attempts[1] != 0 {
			t.Errorf("parked are %v, tried %v", seqs, attempts)
		}
		// The 200th cannot be applied yet.
		poison, healed := errors.New("still poison"), false
		var order []int64
		fold := func(ctx context.Context, records []*schema.Record, w *checkpoint.Writes) error {
			for _, r := range records {
				if r.Seq == parked[199] && !healed {
					return poison
				}
			}
			for _, r := range records {
				order = append(order, r.Seq)
			}
			return count(c)(ctx, records, w)
		}
		n, err := c.Retry(t.Context(), partition, key, opened, fold)
		if !errors.Is(err, poison) || n != 199 {
			t.Fatalf("applied %d, %v", n, err)
		}
		check(t, client, c, 600-int64(len(parked))+199)
		if seqs, attempts := parkedSeqs(t, c); !slices.Equal(seqs, parked[199:]) || attempts[0] != 1 {
			t.Errorf("parked are %d from %v, tried %v", len(seqs), seqs[0], attempts)
		}
		if keys, err := c.Parked(t.Context(), partition); err != nil || !slices.Equal(keys, []projections.Key{key}) {
			t.Errorf("parked by %v, %v", keys, err)
		}
		healed = true
		if n, err := c.Retry(t.Context(), partition, key, opened, fold); err != nil || n != len(parked)-199 {
			t.Fatalf("applied %d, %v", n, err)
		}
		check(t, client, c, 600)
		if !slices.Equal(order, parked) {
			t.Errorf("applied in the order %v", order)
		}
		if seqs, _ := parkedSeqs(t, c); len(seqs) != 0 {
			t.Errorf("parked are %v", seqs)
		}
		if keys, err := c.Parked(t.Context(), partition); err != nil || len(keys) != 0 {
			t.Errorf("parked by %v, %v", keys, err)
		}
		if n, err := c.Retry(t.Context(), partition, key, opened, fold); err != nil || n != 0 {
			t.Errorf("applied %d once more, %v", n, err)
		}
		fields, err := client.HKeys(t.Context(), c.OutsideKey("toys", "a")).Result()
		if slices.Sort(fields); err != nil || !slices.Equal(fields, []string{"sum", "~3"}) {
			t.Errorf("outside are %v, %v", fields, err)
		}
		take(t, c, 2, 600)
	})
}

// A worker that believes events to be parked that were retried meanwhile parks nothing behind them.
func TestNothingIsParkedBehindWhatIsGone(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, client *redis.Client) {
		t.Helper()
		c, log := newRedis(client), decodable(t, 12)
		first := *log
		first.Records = log.Records[:10]
		parks(t, c, &first, 4)
		if n, err := c.Retry(t.Context(), partition, key, opened, count(c)); err != nil || n != 1 {
			t.Fatalf("applied %d, %v", n, err)
		}
		stale := stepOf(log, 1, 11, 12)
		stale.Parked = []projections.Parked{{Record: log.Records[10], Key: key}}
		stale.Records = log.Records[11:]
		err := c.Apply(t.Context(), stale, count(c))
		if !projections.IsOutside(err) || !strings.Contains(err.Error(), "retried or discarded meanwhile") {
			t.Errorf("got %v", err)
		}
		if err := c.Apply(t.Context(), stepOf(log, 1, 11, 12), count(c)); err != nil {
			t.Fatal(err)
		}
		check(t, client, c, 12)
	})
}

// Retries and a worker that goes on do not disturb each other.
func TestRetryBesideAWorker(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, client *redis.Client) {
		t.Helper()
		const n = 1200
		c, log := newRedis(client), decodable(t, n)
		first := *log
		first.Records = log.Records[:200]
		parked := []int64{5, 6, 50, 120, 199}
		parks(t, c, &first, parked...)
		var group sync.WaitGroup
		group.Go(func() {
			for from := int64(201); from <= n; from += 10 {
				if err := c.Apply(t.Context(), stepOf(log, 1, from, from+9), count(c)); err != nil {
					t.Errorf("events from %d: %v", from, err)
					return
				}
			}
		})
		for range parked {
			group.Go(func() {
				if _, err := c.Retry(t.Context(), partition, key, opened, count(c)); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		check(t, client, c, n)
	})
}

// What is given up is kept with who did so and why, and frees what stands behind nothing else.
func TestDiscardKeepsWhoAndWhy(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, client *redis.Client) {
		t.Helper()
		c := newRedis(client)
		parks(t, c, decodable(t, 10), 4, 6, 8)
		if n, err := c.Discard(t.Context(), partition, key, 6, "ann", "not needed"); err != nil || n != 1 {
			t.Errorf("discarded %d, %v", n, err)
		}
		if n, err := c.Discard(t.Context(), partition, key, 6, "ann", "not needed"); err != nil || n != 0 {
			t.Errorf("discarded %d once more, %v", n, err)
		}
		if keys, err := c.Parked(t.Context(), partition); err != nil || len(keys) != 1 {
			t.Errorf("parked by %v, %v", keys, err)
		}
		if n, err := c.Discard(t.Context(), partition, key, 0, "ben", "a bug"); err != nil || n != 2 {
			t.Errorf("discarded %d, %v", n, err)
		}
		if keys, err := c.Parked(t.Context(), partition); err != nil || len(keys) != 0 {
			t.Errorf("parked by %v, %v", keys, err)
		}
		all, err := c.Discards(t.Context())
		if err != nil || len(all) != 3 {
			t.Fatalf("discarded are %+v, %v", all, err)
		}
		for i, want := range []string{"4 ben a bug poison", "6 ann not needed ", "8 ben a bug "} {
			d := all[i]
			got := strings.Join([]string{string(rune('0' + d.Seq)), d.By, d.Why, d.Reason}, " ")
			if got != want || d.Key != key || d.Type != domain.TypeMessageSent || d.At.IsZero() || d.ParkedAt.IsZero() || d.Projection != "toy" || d.Build != 1 {
				t.Errorf("discarded is %q: %+v, want %q", got, d, want)
			}
		}
		check(t, client, c, 7)
	})
}
