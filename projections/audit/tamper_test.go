package audit_test

import (
	"context"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"mpim/projections/archive/segment"
	"mpim/projections/database"
	"mpim/schema"
	"mpim/schema/proof"
)

// segmentRow is a row of the archive, as who tampers with it sees it.
type segmentRow struct {
	bun.BaseModel `bun:"table:archive_segments"`

	Partition int       `bun:"log_partition,pk"`
	From      int64     `bun:"from_seq,pk"`
	To        int64     `bun:"to_seq"`
	Count     int64     `bun:"count"`
	Tier      int       `bun:"tier"`
	Bytes     int64     `bun:"bytes"`
	FirstAt   time.Time `bun:"first_at"`
	LastAt    time.Time `bun:"last_at"`
	ReachedAt time.Time `bun:"reached_at"`
	SHA256    []byte    `bun:"sha256"`
	Data      []byte    `bun:"data"`
	CreatedAt time.Time `bun:"created_at"`
}

func execute(t *testing.T, db *database.DB, statement string, args ...any) {
	t.Helper()
	err := db.Write(t.Context(), func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.ExecContext(ctx, statement, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) heads() (n int) {
	f.Helper()
	err := f.db.Read(f.Context(), func(ctx context.Context, tx bun.Tx) error {
		return tx.NewRaw("SELECT COUNT(*) FROM audit_heads").Scan(ctx, &n)
	})
	if err != nil {
		f.Fatal(err)
	}
	return n
}

func (f *fixture) insertHead(h proof.Head, signed []byte) {
	f.Helper()
	execute(f.T, f.db, "INSERT INTO audit_heads (number, signed_at, note) VALUES (?, ?, ?)", h.Number, h.At, signed)
}

// changeTile changes a row of partition 0's tree.
func (f *fixture) changeTile(level int, n int64, change func([]byte) []byte) {
	f.Helper()
	err := f.db.Write(f.Context(), func(ctx context.Context, tx bun.Tx) error {
		var hashes []byte
		if err := tx.NewRaw("SELECT hashes FROM audit_tiles WHERE log_partition = 0 AND level = ? AND n = ?", level, n).Scan(ctx, &hashes); err != nil {
			return err
		}
		_, err := tx.NewRaw("UPDATE audit_tiles SET hashes = ? WHERE log_partition = 0 AND level = ? AND n = ?", change(hashes), level, n).Exec(ctx)
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
}

// segments returns the rows of a partition, in order.
func (f *fixture) segments(partition int) (rows []*segmentRow) {
	f.Helper()
	err := f.db.Read(f.Context(), func(ctx context.Context, tx bun.Tx) error {
		return tx.NewSelect().Model(&rows).Where("log_partition = ?", partition).Order("from_seq").Scan(ctx)
	})
	if err != nil {
		f.Fatal(err)
	}
	return rows
}

func (row *segmentRow) records(t *testing.T) []*schema.Record {
	t.Helper()
	records, err := segment.Decode(row.Data)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// put writes a row that holds these records, with a hash that fits, as who knows the code would.
func (f *fixture) put(row *segmentRow, records []*schema.Record) {
	f.Helper()
	data, err := segment.Encode(records, segment.Fast)
	if err != nil {
		f.Fatal(err)
	}
	sum := sha256.Sum256(data)
	row.Data, row.SHA256, row.Count, row.To, row.Bytes = data, sum[:], int64(len(records)), records[len(records)-1].Seq, 0
	for _, r := range records {
		row.Bytes += int64(len(r.ID) + len(r.Metadata) + len(r.Payload))
	}
	err = f.db.Write(f.Context(), func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.NewDelete().Model(row).WherePK().Exec(ctx); err != nil {
			return err
		}
		_, err := tx.NewInsert().Model(row).Exec(ctx)
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
}

// rewrite changes one archived event, and makes everything in its row fit.
func (f *fixture) rewrite(partition int, seq int64, change func(*schema.Record)) {
	f.Helper()
	for _, row := range f.segments(partition) {
		if row.From <= seq && seq <= row.To {
			records := row.records(f.T)
			change(records[seq-row.From])
			f.put(row, records)
			return
		}
	}
	f.Fatalf("event %d:%d is not there", partition, seq)
}
