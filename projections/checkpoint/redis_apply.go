package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/projections"
	"mpim/schema"
)

// Bounds of one call of the script, which holds up all of Redis while it runs.
const (
	maxRecords = 512
	maxBytes   = 1 << 20
)

// guardedInFlight is how many guarded hashes are written in one pipeline.
const guardedInFlight = 512

// Fold turns records into writes. It may read what it needs first: where somebody else writes the partition's keys
// meanwhile, what it comes to is not used. Errors of Redis are wrapped by Outside; any other is the events' fault.
type Fold func(ctx context.Context, records []*schema.Record, w *Writes) error

// heldPause is how long a step waits until it asks again whether the build is held still.
const heldPause = 5 * time.Millisecond

// Apply does a step as projections.Projection says, by folding it into writes. A step that is too much for one call of
// the script is done in pieces, each with its own move of the checkpoint. While somebody holds the build still it waits.
func (c *Redis) Apply(ctx context.Context, step projections.Step, fold Fold) error {
	for {
		piece := firstPiece(step)
		stands, err := c.applyPiece(ctx, piece, fold)
		switch {
		case errors.Is(err, errHeld):
			if err := rest(ctx, heldPause); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		case stands >= step.To:
			return nil
		case stands < piece.From:
			return projections.ErrDeposed
		}
		step = after(step, stands)
	}
}

// applyPiece does one piece and returns where the checkpoint stands then: at the piece's end, or elsewhere if it was done
// before, or if the checkpoint was moved by somebody who is not deposed.
func (c *Redis) applyPiece(ctx context.Context, piece projections.Step, fold Fold) (int64, error) {
	w := newWrites(piece.Partition, c.checkpointKey(piece.Partition))
	if len(piece.Records) > 0 {
		if err := fold(ctx, piece.Records, w); err != nil {
			return 0, err
		}
	}
	if err := c.putAside(w, piece); err != nil {
		return 0, err
	}
	if w.err != nil {
		return 0, w.err
	}
	if len(w.guarded) > 0 {
		// What goes out before the checkpoint is compared cannot be called back. The guards keep a worker that is deposed at
		// this very moment from doing harm; one that was deposed long ago shall not even try.
		if stands, err := c.stands(ctx, piece); err != nil || stands != piece.From-1 {
			return stands, err
		}
		if len(w.checks) > 0 {
			return c.commitChecked(ctx, piece, w)
		}
		if err := c.writeGuarded(ctx, w); err != nil {
			return 0, err
		}
	}
	return c.commit(ctx, piece, w, "")
}

// commitChecked writes what has guards, and then the rest, while nobody else takes away what the step relies on: guards would
// pass over what came out otherwise the next time.
func (c *Redis) commitChecked(ctx context.Context, piece projections.Step, w *Writes) (int64, error) {
	who := newHolder()
	if err := c.holdOne(ctx, piece.Partition, who, stillWait); err != nil {
		return 0, err
	}
	defer func() {
		release, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = c.holdOne(release, piece.Partition, who, 0) // it ends by itself
	}()
	there, err := c.config.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for check := range slices.Chunk(w.checks, 3) {
			index, _ := check[0].(int)
			p.Do(ctx, check[1], w.keys[index-1], check[2])
		}
		return nil
	})
	if err != nil {
		return 0, Outside(fmt.Errorf("look for what is parked: %w", err))
	}
	for _, answer := range there {
		if found, ok := answer.(*redis.Cmd); ok && found.Val() == int64(0) {
			return 0, projections.Outside(errRetried) // the batch is done again, by what is parked then
		}
	}
	if err := c.writeGuarded(ctx, w); err != nil {
		return 0, err
	}
	return c.commit(ctx, piece, w, who)
}

// stands returns where the checkpoint stands, and ErrDeposed where it has another token.
func (c *Redis) stands(ctx context.Context, piece projections.Step) (int64, error) {
	kept, err := c.config.Client.HMGet(ctx, c.checkpointKey(piece.Partition), "seq", "token").Result()
	if err != nil {
		return 0, Outside(fmt.Errorf("read the checkpoint: %w", err))
	}
	if token, _ := kept[1].(string); token != strconv.FormatInt(piece.Token, 10) {
		return 0, projections.ErrDeposed
	}
	return number(kept[0]), nil
}

// commit writes what lives with the checkpoint, and moves that. Holder is who holds the build still, if it is the caller.
func (c *Redis) commit(ctx context.Context, piece projections.Step, w *Writes, holder string) (int64, error) {
	args := make([]any, 0, 8+len(w.checks)+len(w.args))
	args = append(args, piece.From-1, piece.Token, piece.To, piece.StreamID, unixMilli(piece.At), time.Now().UnixMilli(),
		holder, len(w.checks)/3)
	args = append(args, w.checks...)
	args = append(args, w.args...)
	reply, err := stepScript.Run(ctx, c.config.Client, w.keys, args...).Text()
	switch {
	case err != nil:
		return 0, Outside(fmt.Errorf("apply: %w", err))
	case reply == "":
		return piece.To, nil
	case reply == "held":
		return 0, errHeld
	case reply == "gone":
		return 0, projections.Outside(errRetried) // the batch is done again, by what is parked then
	}
	seq, token, _ := strings.Cut(reply, " ")
	if token != strconv.FormatInt(piece.Token, 10) {
		return 0, projections.ErrDeposed
	}
	stands, err := strconv.ParseInt(seq, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("apply: the checkpoint is damaged: %w", err)
	}
	return stands, nil
}

func unixMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// writeGuarded writes the hashes outside of the partition, each with a call of its own.
func (c *Redis) writeGuarded(ctx context.Context, w *Writes) error {
	for some := range slices.Chunk(w.guarded, guardedInFlight) {
		if err := c.writeSome(ctx, w.guard, some); err != nil {
			return Outside(fmt.Errorf("write outside of the partition: %w", err))
		}
	}
	return nil
}

func (c *Redis) writeSome(ctx context.Context, field string, some []*Guarded) error {
	write := func() error {
		_, err := c.config.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, g := range some {
				p.EvalSha(ctx, guardedScript.Hash(), g.keys, g.call(field)...)
			}
			return nil
		})
		return err
	}
	err := write()
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		// A server that was restarted, or a master that was added. Those that were written are not harmed by a second time.
		if err = guardedScript.Load(ctx, c.config.Client).Err(); err == nil {
			err = write()
		}
	}
	return err
}

func (g *Guarded) call(field string) []any {
	args := make([]any, 0, 2+len(g.args))
	return append(append(args, field, g.ttl.Milliseconds()), g.args...)
}

// firstPiece returns as much of the beginning of a step as one call takes.
func firstPiece(step projections.Step) projections.Step {
	to := min(step.To, step.From+maxRecords-1)
	bytes := 0
	for _, r := range step.Records {
		if r.Seq > to {
			break
		}
		if bytes += len(r.Payload); bytes > maxBytes && r.Seq > step.From {
			to = r.Seq - 1
			break
		}
	}
	if to == step.To {
		return step
	}
	piece := step
	piece.To = to
	piece.Records = step.Records[:countUpTo(step.Records, to)]
	piece.Parked = step.Parked[:parkedUpTo(step.Parked, to)]
	piece.StreamID, piece.At = lastOf(piece)
	return piece
}

// after returns what is left of a step above seq.
func after(step projections.Step, seq int64) projections.Step {
	step.From = seq + 1
	step.Records = step.Records[countUpTo(step.Records, seq):]
	step.Parked = step.Parked[parkedUpTo(step.Parked, seq):]
	return step
}

func countUpTo(records []*schema.Record, seq int64) int {
	return sort.Search(len(records), func(i int) bool { return records[i].Seq > seq })
}

func parkedUpTo(parked []projections.Parked, seq int64) int {
	return sort.Search(len(parked), func(i int) bool { return parked[i].Record.Seq > seq })
}

// lastOf returns the address of the last record of a piece, and the time of the last one that has one.
func lastOf(piece projections.Step) (streamID string, at time.Time) {
	if n := len(piece.Parked); n > 0 && piece.Parked[n-1].Record.Seq == piece.To {
		streamID, at = piece.Parked[n-1].Record.StreamID, piece.Parked[n-1].Record.At
	}
	if n := len(piece.Records); n > 0 {
		if last := piece.Records[n-1]; last.Seq == piece.To {
			return last.StreamID, last.At
		} else if at.IsZero() {
			at = last.At
		}
	}
	return streamID, at
}
