package archive

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"mpim/schema"
)

// Stored is a segment as it lies in the database, for who checks whether it is what it says.
type Stored struct {
	row row
	// From and To are the events that the row says it has.
	From, To int64
	// ReachedAt is the latest time of an event up to its end, as the row says.
	ReachedAt time.Time
}

// StoredAt returns the segment that is read for an event, or else the next one behind it; nil where there is none.
func (a Archive) StoredAt(ctx context.Context, partition int, seq int64) (*Stored, error) {
	var found []row
	err := a.DB.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		found = nil
		err := tx.NewSelect().Model(&found).Where("log_partition = ? AND from_seq <= ?", partition, seq).OrderExpr("from_seq DESC").Limit(1).Scan(ctx)
		if err != nil || len(found) > 0 && found[0].To >= seq {
			return err
		}
		found = nil
		return tx.NewSelect().Model(&found).Where("log_partition = ? AND from_seq > ?", partition, seq).Order("from_seq").Limit(1).Scan(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("read the archive: %w", err)
	}
	if len(found) == 0 {
		return nil, nil
	}
	return &Stored{row: found[0], From: found[0].From, To: found[0].To, ReachedAt: found[0].ReachedAt}, nil
}

// Records returns the events. The error is a [*DamagedError] where the row does not hold what it says.
func (s *Stored) Records() ([]*schema.Record, error) { return s.row.decode() }

// Differs returns what the row says of its records that is not so, "" where all is. Before is the latest time of an event before
// them; zero where it is not known.
func (s *Stored) Differs(records []*schema.Record, before time.Time) string {
	if before.IsZero() {
		before = s.ReachedAt
	}
	want := describe(records, before)
	for _, column := range []struct {
		name string
		same bool
	}{
		{"count", s.row.Count == want.Count},
		{"bytes", s.row.Bytes == want.Bytes},
		{"first_at", s.row.FirstAt.Equal(want.FirstAt)},
		{"last_at", s.row.LastAt.Equal(want.LastAt)},
		{"reached_at", s.row.ReachedAt.Equal(want.ReachedAt)},
	} {
		if !column.same {
			return column.name
		}
	}
	return ""
}

// Extent is what the rows of one partition say, all of one moment.
type Extent struct {
	State PartitionState
	// Segments are the ranges of the segments, in order of their beginning.
	Segments []Range
}

// Range is a run of events, both ends included.
type Range struct{ From, To int64 }

// Extent returns what the rows of a partition say.
func (a Archive) Extent(ctx context.Context, partition int) (e Extent, err error) {
	err = a.DB.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		e = Extent{State: PartitionState{Partition: partition}}
		var rows []partitionRow
		if err := tx.NewSelect().Model(&rows).Where("log_partition = ?", partition).Scan(ctx); err != nil {
			return err
		}
		for _, r := range rows {
			e.State = r.state()
		}
		var heads []head
		if err := tx.NewSelect().Model(&heads).Column("log_partition", "from_seq", "to_seq").Where("log_partition = ?", partition).Order("from_seq").Scan(ctx); err != nil {
			return err
		}
		for _, h := range heads {
			e.Segments = append(e.Segments, Range{h.From, h.To})
		}
		return nil
	})
	if err != nil {
		return e, fmt.Errorf("list the segments of partition %d: %w", partition, err)
	}
	return e, nil
}

// Data returns the segment as it lies in the database.
func (s *Stored) Data() []byte { return s.row.Data }

// Bytes returns what its events take before they are compressed, as the row says.
func (s *Stored) Bytes() int64 { return s.row.Bytes }
