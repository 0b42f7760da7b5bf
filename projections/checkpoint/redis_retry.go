package checkpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"mpim/projections"
	"mpim/schema"
)

// retryPiece is how many parked events are applied at once.
const retryPiece = 128

// Open opens what is sealed in records.
type Open func(ctx context.Context, records []*schema.Record) error

// Retry replays what is parked by a key of a partition, in order. While it runs the partition is not fed. What is applied is
// parked no more; where an event fails, it and what follows stay parked, and the try is counted. Open opens what is sealed. It
// returns how many events were applied; an error is fold's, or open's.
//
// What the fold writes outside of the partition has been written for later events of other conversations already, and their
// sequence stands in the guard. So a retry has a guard of its own in these hashes, for the key.
func (c *Redis) Retry(
	ctx context.Context, partition int, key projections.Key, open Open, fold Fold,
) (applied int, err error) {
	err = c.still(ctx, partition, func(at stillAt) error {
		all, err := c.readParked(ctx, partition)
		if err != nil {
			return err
		}
		left := of(all, key)
		for len(left) > 0 {
			if err := c.holdOne(ctx, partition, at.holder, stillWait); err != nil {
				return err
			}
			n := min(len(left), retryPiece)
			if err := c.retry(ctx, at, left[:n], n == len(left), open, fold); err != nil {
				if n == 1 {
					return c.failed(ctx, at, left[0], err)
				}
				// Up to the one that fails, one by one.
				n = 1
				if err := c.retry(ctx, at, left[:n], n == len(left), open, fold); err != nil {
					return c.failed(ctx, at, left[0], err)
				}
			}
			applied += n
			left = left[n:]
		}
		return nil
	})
	return applied, err
}

// retry applies some parked events; last says that nothing else is parked by their key.
func (c *Redis) retry(
	ctx context.Context, at stillAt, some []kept, last bool, open Open, fold Fold,
) error {
	records := make([]*schema.Record, len(some))
	for i, k := range some {
		records[i] = k.record()
	}
	if err := open(ctx, records); err != nil {
		return projections.Outside(err)
	}
	for _, r := range records {
		if r.Broken != nil {
			return fmt.Errorf("event %s at %s: %w", r.ID, r.Position, r.Broken)
		}
	}
	w := c.newWrites(at.step.Partition)
	w.guard = GuardField(at.step.Partition) + "!" + string(some[0].Key)
	if err := fold(ctx, records, w); err != nil {
		return err
	}
	for _, k := range some {
		c.unpark(w, k)
	}
	if last {
		w.Do("SREM", c.parkedKeysKey(at.step.Partition), string(some[0].Key))
	}
	if w.err != nil {
		return w.err
	}
	if err := c.writeGuarded(ctx, w); err != nil {
		return err
	}
	if err := c.commitStill(ctx, at, w); err != nil {
		return err
	}
	return c.unguard(ctx, w)
}

// unguard takes the guard of a retry away again. One that is left behind does no harm: it holds back nothing but what was
// done.
func (c *Redis) unguard(ctx context.Context, w *Writes) error {
	for some := range slices.Chunk(w.guarded, guardedInFlight) {
		_, err := c.config.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, g := range some {
				p.HDel(ctx, g.keys[0], w.guard)
			}
			return nil
		})
		if err != nil {
			return Outside(fmt.Errorf("take the guard away: %w", err))
		}
	}
	return nil
}

// failed counts a try that failed, and why, at the event that the others stand behind.
func (c *Redis) failed(ctx context.Context, at stillAt, first kept, cause error) error {
	if projections.IsOutside(cause) || errors.Is(cause, projections.ErrDeposed) {
		return cause
	}
	if first.Reason != "" {
		first.Attempts++ // beside the one that the reason stands for
	}
	first.TriedAt, first.Reason = now(), shorten(cause.Error())
	text, err := json.Marshal(first.parkedForm)
	if err != nil {
		return errors.Join(cause, err)
	}
	w := c.newWrites(first.Partition)
	w.check("HEXISTS", c.parkedKey(first.Partition), first.field())
	w.HSet(c.parkedKey(first.Partition), first.field(), string(text))
	return errors.Join(cause, c.commitStill(ctx, at, w))
}
