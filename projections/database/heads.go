package database

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"
)

type headRow struct {
	bun.BaseModel `bun:"table:log_heads"`

	Partition int       `bun:"log_partition,pk"`
	Head      int64     `bun:"head"`
	NotedAt   time.Time `bun:"noted_at"`
}

// NoteHeads notes how far the log is, by partition, for who knows SQL alone. Where that was done less than every ago, by whomever, it
// does nothing.
func NoteHeads(ctx context.Context, db *DB, heads []int64, every time.Duration) error {
	now := time.Now().UTC().Truncate(time.Microsecond)
	due := false
	look := func(ctx context.Context, tx bun.Tx, lock bool) error {
		var rows []headRow
		query := tx.NewSelect().Model(&rows).Where("log_partition = 0")
		if lock && db.LocksRows() {
			query.For("UPDATE")
		}
		err := query.Scan(ctx)
		// A time that is yet to come is of a clock that is ahead.
		due = len(rows) == 0 || now.Sub(rows[0].NotedAt) >= every || rows[0].NotedAt.Sub(now) > time.Minute
		return err
	}
	err := db.Read(ctx, func(ctx context.Context, tx bun.Tx) error { return look(ctx, tx, false) })
	if err != nil || !due {
		return noted(err)
	}
	rows := make([]headRow, len(heads))
	for partition, head := range heads {
		rows[partition] = headRow{Partition: partition, Head: head, NotedAt: now}
	}
	return noted(db.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		if err := look(ctx, tx, true); err != nil || !due {
			return err
		}
		_, err := db.Upsert(tx.NewInsert().Model(&rows), []string{"log_partition"}, []string{"head", "noted_at"}).Exec(ctx)
		return err
	}))
}

func noted(err error) error {
	if err != nil {
		return fmt.Errorf("note how far the log is: %w", err)
	}
	return nil
}
