package database

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"
)

// Repair is what a repair of the log does with one partition, or a part of that, and what it finds lost.
type Repair struct {
	bun.BaseModel `bun:"table:log_repairs"`

	// Epoch is what the log has afterwards.
	Epoch     int64 `bun:"epoch,pk"`
	Partition int   `bun:"log_partition,pk"`
	// Part counts what is said of the partition from 0.
	Part int `bun:"part,pk"`
	// From and To are the events that Redis came back without; the last Lost of them are gone.
	From int64 `bun:"from_seq"`
	To   int64 `bun:"to_seq"`
	Lost int64 `bun:"lost"`
	// Head, Archived, Common, End and Anew are the plan.
	Head     int64 `bun:"head_seq"`
	Archived int64 `bun:"archived_seq"`
	Common   int64 `bun:"common_seq"`
	End      int64 `bun:"end_seq"`
	Anew     bool  `bun:"anew"`
	// BeganAt and FinishedAt are set by PlanRepair and CompleteRepair; FinishedAt is zero before.
	BeganAt    time.Time `bun:"began_at"`
	FinishedAt time.Time `bun:"finished_at,nullzero"`
}

// errNotSo says that the identity is not what it was thought to be.
var errNotSo = errors.New("another process changed the log's identity at this moment: try again")

// BeginRepair notes that the log is being repaired, and raises the epoch from the one that it is known to have.
func BeginRepair(ctx context.Context, db *DB, id string, epoch int64) error {
	return changeIdentity(ctx, db, func(q *bun.UpdateQuery) *bun.UpdateQuery {
		return q.Set("state = ?", repairing).Set("epoch = ?", epoch+1).Where("id = ? AND epoch = ? AND state = ?", id, epoch, complete)
	})
}

// CompleteRepair notes that the log is repaired, under the epoch that it got.
func CompleteRepair(ctx context.Context, db *DB, id string, epoch int64) error {
	err := changeIdentity(ctx, db, func(q *bun.UpdateQuery) *bun.UpdateQuery {
		return q.Set("state = ?", complete).Where("id = ? AND epoch = ? AND state = ?", id, epoch, repairing)
	})
	if err != nil {
		return err
	}
	return db.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewUpdate().Model((*Repair)(nil)).Set("finished_at = ?", microseconds()).Where("epoch = ? AND finished_at IS NULL", epoch).Exec(ctx)
		return err
	})
}

func changeIdentity(ctx context.Context, db *DB, change func(*bun.UpdateQuery) *bun.UpdateQuery) error {
	return db.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		result, err := change(tx.NewUpdate().Model((*identityRow)(nil))).Exec(ctx)
		if err != nil {
			return fmt.Errorf("change the log's identity: %w", err)
		}
		if n, err := result.RowsAffected(); err != nil || n != 1 {
			return errNotSo
		}
		return nil
	})
}

// PlanRepair keeps what is to be done in a repair; all of it or nothing.
func PlanRepair(ctx context.Context, db *DB, plan []Repair) error {
	if len(plan) == 0 {
		return nil
	}
	at := microseconds()
	for i := range plan {
		plan[i].BeganAt = at
	}
	return db.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.NewInsert().Model(&plan).Exec(ctx); err != nil {
			return fmt.Errorf("keep what is to be repaired: %w", err)
		}
		return nil
	})
}

// Repairs returns what a repair does, or did, by partition; nothing for one that found nothing damaged.
func Repairs(ctx context.Context, db *DB, epoch int64) (found []Repair, err error) {
	err = db.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		found = nil
		return tx.NewSelect().Model(&found).Where("epoch = ?", epoch).Order("log_partition", "part").Scan(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("read what is to be repaired: %w", err)
	}
	return found, nil
}

// repairLeaseRow says who repairs.
type repairLeaseRow struct {
	bun.BaseModel `bun:"table:log_repair_lease"`

	Singleton int       `bun:"singleton,pk"`
	Worker    string    `bun:"worker"`
	Token     int64     `bun:"token"`
	ExpiresAt time.Time `bun:"expires_at"`
}

// TakeRepairLease takes the right to repair for so long, where nobody has it. It is false, with the name of who has it, where
// somebody does. A token is higher than all before.
func TakeRepairLease(ctx context.Context, db *DB, worker string, life time.Duration) (token int64, holder string, taken bool, err error) {
	err = db.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		taken = false
		row := repairLeaseRow{Singleton: 1, ExpiresAt: time.Unix(0, 0).UTC()}
		if _, err := tx.NewInsert().Model(&row).Ignore().Exec(ctx); err != nil {
			return err
		}
		at := microseconds()
		result, err := tx.NewUpdate().Model(&row).
			Set("worker = ?", worker).Set("token = token + 1").Set("expires_at = ?", at.Add(life)).
			Where("singleton = 1 AND expires_at <= ?", at).Exec(ctx)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return err
		}
		taken = n == 1
		return tx.NewSelect().Model(&row).Column("token", "worker").Where("singleton = 1").Scan(ctx, &token, &holder)
	})
	if err != nil {
		return 0, "", false, fmt.Errorf("take the right to repair: %w", err)
	}
	return token, holder, taken, nil
}

// RenewRepairLease prolongs the right, to a moment from which it is over for zero. It is false where somebody else has it.
func RenewRepairLease(ctx context.Context, db *DB, token int64, life time.Duration) (held bool, err error) {
	err = db.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		result, err := tx.NewUpdate().Model((*repairLeaseRow)(nil)).Set("expires_at = ?", microseconds().Add(life)).
			Where("singleton = 1 AND token = ?", token).Exec(ctx)
		if err != nil {
			return fmt.Errorf("renew the right to repair: %w", err)
		}
		n, err := result.RowsAffected()
		held = n == 1
		return err
	})
	return held, err
}

// microseconds is the time as the tables keep it.
func microseconds() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
