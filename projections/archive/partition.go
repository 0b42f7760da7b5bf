package archive

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/uptrace/bun"

	"mpim/projections"
	"mpim/projections/archive/segment"
	"mpim/schema"
)

// partition is one partition during a shift.
type partition struct {
	*shift
	partitionRow

	// short are the segments that may be merged, in order.
	short []head
	// waits says that the stream could not be read, so that it is told once.
	waits bool
}

// begin makes the partition's row, verifies what was not, and lists what can be merged.
func (p *partition) begin(ctx context.Context) error {
	err := p.config.DB.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		row := p.partitionRow
		row.UpdatedAt = now()
		_, err := tx.NewInsert().Model(&row).Ignore().Exec(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("begin the archive of partition %d: %w", p.Partition, err)
	}
	for p.VerifiedTo < p.ArchivedTo {
		records, err := p.Archiver.archive.After(ctx, p.Partition, p.VerifiedTo)
		if err != nil {
			return err
		}
		if len(records) == 0 {
			return fmt.Errorf("partition %d is archived up to %d, but event %d is not there", p.Partition, p.ArchivedTo, p.VerifiedTo+1)
		}
		if err := p.verified(ctx, records[len(records)-1], nil); err != nil {
			return err
		}
	}
	heads, err := p.Archiver.archive.heads(ctx, p.Partition)
	if err != nil {
		return err
	}
	for _, h := range heads {
		if h.Tier < tierFull {
			p.short = append(p.short, h)
		} else {
			p.short = nil
		}
	}
	return nil
}

// round archives what is new, and trims where it is time to. It tells where the stream does not go on; the error is one of the
// database.
func (p *partition) round(ctx context.Context, trims bool) (err error) {
	if err = p.archive(ctx); err == nil && trims {
		_, err = p.trim(ctx)
	}
	switch {
	case err == nil:
		p.waits = false
		return nil
	case ctx.Err() != nil || isDeposed(err) || projections.IsOutside(err) && !isStream(err):
		return err
	}
	p.metrics.failures.Inc()
	if !p.waits {
		p.waits = true
		p.config.Logger.ErrorContext(ctx, "partition is not archived", slog.Int("partition", p.Partition), slog.Int64("archived_to", p.ArchivedTo), slog.Any("error", err))
	}
	return nil
}

// archive archives all that the stream has, and merges.
func (p *partition) archive(ctx context.Context) error {
	var waiting []*schema.Record
	after := schema.Checkpoint{Seq: p.VerifiedTo, StreamID: p.StreamID}
	for {
		records, err := p.config.Stream.Read(ctx, p.Partition, after, readAtOnce)
		if err != nil {
			return &streamError{err}
		}
		waiting = append(waiting, records...)
		ended := len(records) == 0
		if !ended {
			last := records[len(records)-1]
			after = schema.Checkpoint{Seq: last.Seq, StreamID: last.StreamID}
		}
		for len(waiting) > 0 {
			n := cut(waiting)
			if n == len(waiting) && !ended {
				break // more may belong to it
			}
			if err := p.write(ctx, waiting[:n]); err != nil {
				return err
			}
			waiting = waiting[n:]
		}
		if ended {
			return p.merge(ctx)
		}
	}
}

// readAtOnce is how many entries one read takes.
const readAtOnce = 2000

// streamError is a failure of the stream, which concerns one partition.
type streamError struct{ cause error }

func (e *streamError) Error() string { return "read the stream: " + e.cause.Error() }
func (e *streamError) Unwrap() error { return e.cause }

// write writes one segment and reads it back.
func (p *partition) write(ctx context.Context, records []*schema.Record) error {
	tier, level := 0, segment.Fast
	count, size := int64(len(records)), int64(0)
	for _, r := range records {
		size += sizeOf(r)
	}
	if isFull(count, size) {
		tier, level = tierFull, segment.Best
	}
	r, err := newRow(records, tier, level, p.ReachedAt)
	if err != nil {
		return err
	}
	err = p.config.DB.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		result, err := tx.NewUpdate().Model((*partitionRow)(nil)).
			Set("archived_to = ?", r.To).Set("reached_at = ?", r.ReachedAt).Set("token = ?", p.token).Set("updated_at = ?", now()).
			Where("log_partition = ? AND archived_to = ? AND verified_to = ? AND token <= ?", p.Partition, r.From-1, r.From-1, p.token).Exec(ctx)
		if err != nil {
			return fmt.Errorf("move the end of the archive: %w", err)
		}
		if n, err := result.RowsAffected(); err != nil || n != 1 {
			return errDeposed
		}
		if _, err := tx.NewInsert().Model(r).Exec(ctx); err != nil {
			return fmt.Errorf("write a segment: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	p.ArchivedTo, p.ReachedAt = r.To, r.ReachedAt
	if err := p.verified(ctx, records[len(records)-1], r); err != nil {
		return err
	}
	p.config.Signer.Take(p.Partition, records)
	if tier < tierFull {
		p.short = append(p.short, r.head)
	} else {
		p.short = nil
	}
	p.metrics.written(p.Partition, r)
	return nil
}

// verified reads a segment back, where it is given, and notes that all up to its last record is verified.
func (p *partition) verified(ctx context.Context, last *schema.Record, r *row) error {
	if r != nil {
		if err := p.config.DB.Read(ctx, r.same); err != nil {
			return fmt.Errorf("verify a segment: %w", err)
		}
	}
	err := p.config.DB.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewUpdate().Model((*partitionRow)(nil)).
			Set("verified_to = ?", last.Seq).Set("stream_id = ?", last.StreamID).Set("updated_at = ?", now()).
			Where("log_partition = ? AND verified_to < ? AND archived_to >= ?", p.Partition, last.Seq, last.Seq).Exec(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("note what is verified: %w", err)
	}
	p.VerifiedTo, p.StreamID = last.Seq, last.StreamID
	return nil
}

// trim drops from the stream what is verified and old enough.
func (p *partition) trim(ctx context.Context) (int64, error) {
	if p.VerifiedTo == 0 {
		return 0, nil
	}
	n, err := p.config.Stream.Trim(ctx, p.Partition, schema.Checkpoint{Seq: p.VerifiedTo, StreamID: p.StreamID}, p.config.Keep())
	if err != nil {
		return 0, &streamError{err}
	}
	p.metrics.trimmed.Add(float64(n))
	return n, nil
}
