package archive

import (
	"context"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"mpim/projections/archive/segment"
	"mpim/schema"
)

// mergeAt is how many segments of one tier are merged into one of the next.
const mergeAt = 16

// bestFrom is the tier from which on a segment is compressed as well as can be.
const bestFrom = 2

// merge merges short segments until there are few of each tier. The newest ones have the lowest tier.
func (p *partition) merge(ctx context.Context) error {
	for {
		run := mergeable(p.short)
		if run == 0 {
			return nil
		}
		from := len(p.short) - run
		merged, err := p.mergeRun(ctx, p.short[from:])
		if err != nil {
			return err
		}
		if merged.Tier == tierFull {
			p.short = nil
		} else {
			p.short = append(p.short[:from], merged)
		}
	}
}

// mergeable returns how many of the newest segments are to be merged: those that fill one, or all of the lowest tier.
func mergeable(short []head) (run int) {
	if len(short) < 2 {
		return 0
	}
	var count, size int64
	lowest := short[len(short)-1].Tier
	sameTier := 0
	for i, one := range slices.Backward(short) {
		if count+one.Count > maxEvents || size+one.Bytes > maxBytes {
			// One more would be too long. What is there already may be full.
			if run > 1 && (isFull(count, size) || i == 0) {
				return run
			}
			break
		}
		count, size, run = count+one.Count, size+one.Bytes, run+1
		if one.Tier == lowest && sameTier == run-1 {
			sameTier++
		}
		if run > 1 && isFull(count, size) {
			return run
		}
	}
	if sameTier >= mergeAt {
		return sameTier
	}
	return 0
}

// mergeRun replaces neighbouring segments by one, in one transaction.
func (p *partition) mergeRun(ctx context.Context, run []head) (head, error) {
	records, err := p.readRun(ctx, run)
	if err != nil {
		return head{}, err
	}
	var size int64
	for _, h := range run {
		size += h.Bytes
	}
	tier, level := run[len(run)-1].Tier+1, segment.Fast
	if isFull(int64(len(records)), size) {
		tier = tierFull
	}
	tier = min(tier, tierFull)
	if tier >= bestFrom {
		level = segment.Best
	}
	merged, err := newRow(records, tier, level, run[0].ReachedAt)
	if err != nil {
		return head{}, err
	}
	merged.ReachedAt = run[len(run)-1].ReachedAt
	err = p.config.DB.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		if err := p.fence(ctx, tx); err != nil {
			return err
		}
		for _, h := range run {
			result, err := tx.NewDelete().Model((*head)(nil)).
				Where("log_partition = ? AND from_seq = ? AND to_seq = ? AND sha256 = ?", h.Partition, h.From, h.To, h.SHA256).Exec(ctx)
			if err != nil {
				return fmt.Errorf("take a segment away: %w", err)
			}
			if n, err := result.RowsAffected(); err != nil || n != 1 {
				return errDeposed
			}
		}
		if _, err := tx.NewInsert().Model(merged).Exec(ctx); err != nil {
			return fmt.Errorf("write a merged segment: %w", err)
		}
		return merged.same(ctx, tx)
	})
	if err != nil {
		return head{}, fmt.Errorf("merge segments: %w", err)
	}
	p.metrics.merges.Inc()
	return merged.head, nil
}

// readRun returns the records of neighbouring segments, each checked against its hash.
func (p *partition) readRun(ctx context.Context, run []head) (records []*schema.Record, err error) {
	err = p.config.DB.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		var rows []row
		records = nil
		if err := tx.NewSelect().Model(&rows).Where("log_partition = ? AND from_seq BETWEEN ? AND ?", p.Partition, run[0].From, run[len(run)-1].From).
			Order("from_seq").Scan(ctx); err != nil {
			return err
		}
		for i := range rows {
			part, err := rows[i].decode()
			if err != nil {
				return err
			}
			records = append(records, part...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read segments to merge: %w", err)
	}
	return records, nil
}

// fence fails where another archiver has written since.
func (p *partition) fence(ctx context.Context, tx bun.Tx) error {
	result, err := tx.NewUpdate().Model((*partitionRow)(nil)).Set("token = ?", p.token).
		Where("log_partition = ? AND token <= ?", p.Partition, p.token).Exec(ctx)
	if err != nil {
		return fmt.Errorf("look who archives: %w", err)
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errDeposed
	}
	return nil
}
