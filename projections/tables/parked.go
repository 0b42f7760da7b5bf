package tables

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"mpim/projections"
	"mpim/projections/checkpoint"
	"mpim/schema"
)

// ParkedEvents returns what the build has parked, by partition and sequence.
func (p *Projection) ParkedEvents(ctx context.Context) ([]checkpoint.ParkedEvent, error) {
	c, err := p.checkpoints(ctx)
	if err != nil {
		return nil, err
	}
	return c.ParkedEvents(ctx)
}

// Discards returns what of the build was given up, by partition and sequence.
func (p *Projection) Discards(ctx context.Context) ([]checkpoint.Discarded, error) {
	c, err := p.checkpoints(ctx)
	if err != nil {
		return nil, err
	}
	return c.Discards(ctx)
}

// Discard gives up what is parked by a key of a partition; see checkpoint.SQL.
func (p *Projection) Discard(ctx context.Context, partition int, key projections.Key, seq int64, by, why string) (int, error) {
	c, err := p.checkpoints(ctx)
	if err != nil {
		return 0, err
	}
	return c.Discard(ctx, partition, key, seq, by, why)
}

// Retry replays what is parked by a key of a partition; see checkpoint.SQL. Open opens what is sealed in the events.
func (p *Projection) Retry(
	ctx context.Context, partition int, key projections.Key, open checkpoint.Open,
) (int, error) {
	c, err := p.checkpoints(ctx)
	if err != nil {
		return 0, err
	}
	return c.Retry(ctx, partition, key, func(ctx context.Context, tx bun.Tx, records []*schema.Record) error {
		if err := open(ctx, records); err != nil {
			return projections.Outside(err)
		}
		for _, r := range records {
			if r.Broken != nil {
				return fmt.Errorf("event %s at %s: %w", r.ID, r, r.Broken)
			}
		}
		return p.prepare(records)(ctx, &Tx{Tx: tx, DB: p.db, build: c.Build})
	})
}
