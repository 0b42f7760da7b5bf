package database

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"mpim/projections"
)

// Identity is what SQL knows of the log.
type Identity struct {
	// ID is 32 hexadecimal digits.
	ID string
	// Key makes ids and idempotency hashes unguessable.
	Key [32]byte
	// Partitions never changes.
	Partitions int
	// Epoch rises with each repair, from 1.
	Epoch int64
	// Complete is false until Redis is known to hold the same identity, and while the log is being repaired.
	Complete bool
	// Repairing says that the epoch is that of a repair which has not ended.
	Repairing bool
	// CreatedAt is set by BeginIdentity.
	CreatedAt time.Time
}

// States of the identity's row.
const (
	creating  = "creating"
	repairing = "repairing"
	complete  = "complete"
)

type identityRow struct {
	bun.BaseModel `bun:"table:log_identity"`

	Singleton  int       `bun:"singleton,pk"`
	ID         string    `bun:"id"`
	Key        []byte    `bun:"placement_key"`
	Partitions int       `bun:"partitions"`
	Epoch      int64     `bun:"epoch"`
	State      string    `bun:"state"`
	CreatedAt  time.Time `bun:"created_at"`
}

// ReadIdentity returns the log's identity. It is false where SQL knows of no log.
func ReadIdentity(ctx context.Context, db *DB) (i Identity, ok bool, err error) {
	err = db.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		i, ok, err = readIdentity(ctx, tx)
		return err
	})
	return i, ok, err
}

// BeginIdentity notes that the log with this identity is being created. Where another process began first, it changes
// nothing and returns that one's, complete or not: so all go on with the same.
func BeginIdentity(ctx context.Context, db *DB, i Identity) (begun Identity, err error) {
	err = db.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		row := identityRow{
			Singleton: 1, ID: i.ID, Key: i.Key[:], Partitions: i.Partitions, Epoch: i.Epoch, State: creating,
			CreatedAt: time.Now().UTC().Truncate(time.Microsecond),
		}
		if _, err := tx.NewInsert().Model(&row).Ignore().Exec(ctx); err != nil {
			return fmt.Errorf("write the log's identity: %w", err)
		}
		var ok bool
		if begun, ok, err = readIdentity(ctx, tx); err == nil && !ok {
			err = errors.New("the log's identity was not written")
		}
		return err
	})
	return begun, err
}

// CompleteIdentity notes that Redis holds the log with this id. An error says so where SQL knows another log.
func CompleteIdentity(ctx context.Context, db *DB, id string) error {
	return db.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		result, err := tx.NewUpdate().Model((*identityRow)(nil)).Set("state = ?", complete).Where("id = ?", id).Exec(ctx)
		if err != nil {
			return fmt.Errorf("complete the log's identity: %w", err)
		}
		if n, err := result.RowsAffected(); err != nil || n != 1 {
			return projections.Outside(fmt.Errorf("%s knows no log with the id %s", db, id))
		}
		return nil
	})
}

func readIdentity(ctx context.Context, tx bun.Tx) (Identity, bool, error) {
	var rows []identityRow
	if err := tx.NewSelect().Model(&rows).Scan(ctx); err != nil {
		return Identity{}, false, fmt.Errorf("read the log's identity: %w", err)
	}
	if len(rows) == 0 {
		return Identity{}, false, nil
	}
	row := rows[0]
	i := Identity{
		ID: row.ID, Partitions: row.Partitions, Epoch: row.Epoch, Complete: row.State == complete, Repairing: row.State == repairing,
		CreatedAt: row.CreatedAt,
	}
	if copy(i.Key[:], row.Key) != len(i.Key) || len(row.Key) != len(i.Key) {
		return Identity{}, false, fmt.Errorf("the log's key in the table log_identity has %d bytes, not %d", len(row.Key), len(i.Key))
	}
	return i, true, nil
}
