package webhooks

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"mpim/projections"
	"mpim/projections/deadletters"
)

// Checkpoint is how far a webhook has come in one partition, and the right under which it is moved.
type Checkpoint struct {
	Webhook   string
	Partition int
	// Seq is the last event that was delivered, passed over or given up.
	Seq int64
	// Rewinds counts how often this partition was set to another place.
	Rewinds int
	// Token is that of the lease.
	Token   int64
	Failing Failing
}

// Failing says since when a receiver does not take the next events. The zero value is one that does.
type Failing struct {
	Since time.Time
	// Attempts counts how often they were sent, NextAt says when they are sent again.
	Attempts int
	NextAt   time.Time
	// Reason is the last answer.
	Reason string
}

// Progress is a checkpoint as lists show it.
type Progress struct {
	Checkpoint

	// Delivered counts events that the receiver took.
	Delivered int64
	// DeliveredAt is when it took the last ones, zero for never.
	DeliveredAt time.Time
}

// row is a checkpoint in SQL.
type row struct {
	bun.BaseModel `bun:"table:webhook_checkpoints"`

	Webhook      string    `bun:"webhook,pk"`
	Partition    int       `bun:"log_partition,pk"`
	Seq          int64     `bun:"seq"`
	Token        int64     `bun:"token"`
	Rewinds      int       `bun:"rewinds"`
	Delivered    int64     `bun:"delivered"`
	DeliveredAt  time.Time `bun:"delivered_at,nullzero"`
	FailingSince time.Time `bun:"failing_since,nullzero"`
	Attempts     int       `bun:"attempts"`
	NextAt       time.Time `bun:"next_at,nullzero"`
	Reason       string    `bun:"reason"`
	UpdatedAt    time.Time `bun:"updated_at"`
}

func (r row) progress() Progress {
	p := Progress{Delivered: r.Delivered, DeliveredAt: r.DeliveredAt.UTC()}
	p.Webhook, p.Partition, p.Seq, p.Rewinds, p.Token = r.Webhook, r.Partition, r.Seq, r.Rewinds, r.Token
	p.Failing = Failing{Since: r.FailingSince.UTC(), Attempts: r.Attempts, NextAt: r.NextAt.UTC(), Reason: r.Reason}
	return p
}

// Progress returns how far all webhooks are, by webhook and partition.
func (s Store) Progress(ctx context.Context) ([]Progress, error) {
	var rows []row
	err := s.DB.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		rows = nil
		return tx.NewSelect().Model(&rows).Order("webhook", "log_partition").Scan(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("read how far webhooks are: %w", err)
	}
	all := make([]Progress, len(rows))
	for i, r := range rows {
		all[i] = r.progress()
	}
	return all, nil
}

// Take makes the token the newest of the webhook's partition and returns how far it is. It returns
// projections.ErrDeposed where a newer one was there before, and ErrGone where there is no such webhook.
func (s Store) Take(ctx context.Context, webhook string, partition int, token int64) (c Checkpoint, err error) {
	err = s.DB.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		result, err := tx.NewUpdate().Model((*row)(nil)).Set("token = ?", token).
			Where("webhook = ? AND log_partition = ? AND token <= ?", webhook, partition, token).Exec(ctx)
		if err != nil {
			return fmt.Errorf("take the webhook's checkpoint: %w", err)
		}
		taken, err := result.RowsAffected()
		if err != nil {
			return err
		}
		var rows []row
		if err := tx.NewSelect().Model(&rows).Where("webhook = ? AND log_partition = ?", webhook, partition).Scan(ctx); err != nil {
			return fmt.Errorf("read the webhook's checkpoint: %w", err)
		}
		switch {
		case len(rows) == 0:
			return ErrGone
		case taken == 0:
			return projections.ErrDeposed
		}
		c = rows[0].progress().Checkpoint
		return nil
	})
	return c, err
}

// Advance moves the checkpoint to a sequence, after the receiver took that many of the events up to there. Those of letters
// were given up. The receiver counts as well again. It returns projections.ErrDeposed where the checkpoint is not where it was or is under another
// token.
func (s Store) Advance(ctx context.Context, c Checkpoint, to int64, delivered int, letters ...deadletters.Letter) (Checkpoint, error) {
	err := s.DB.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		update := s.update(tx, c).Set("seq = ?", to).Set("delivered = delivered + ?", delivered).
			Set("failing_since = NULL").Set("next_at = NULL").Set("attempts = 0").Set("reason = ''")
		if delivered > 0 {
			update.Set("delivered_at = ?", now())
		}
		if err := moved(update.Exec(ctx)); err != nil {
			return err
		}
		return deadletters.Put(ctx, tx, letters)
	})
	if err != nil {
		return c, fmt.Errorf("move the webhook's checkpoint: %w", err)
	}
	c.Seq, c.Failing = to, Failing{}
	return c, nil
}

// Fail notes that the receiver does not take what comes next. It returns projections.ErrDeposed as Advance does.
func (s Store) Fail(ctx context.Context, c Checkpoint, f Failing) (Checkpoint, error) {
	err := s.DB.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		return moved(s.update(tx, c).Set("failing_since = ?", f.Since.UTC()).Set("next_at = ?", f.NextAt.UTC()).
			Set("attempts = ?", f.Attempts).Set("reason = ?", f.Reason).Exec(ctx))
	})
	if err != nil {
		return c, fmt.Errorf("note that the webhook fails: %w", err)
	}
	c.Failing = f
	return c, nil
}

// update changes the row of a checkpoint that stands where it stood, under the same token.
func (s Store) update(tx bun.Tx, c Checkpoint) *bun.UpdateQuery {
	return tx.NewUpdate().Model((*row)(nil)).Set("updated_at = ?", now()).
		Where("webhook = ? AND log_partition = ? AND seq = ? AND token = ? AND rewinds = ?", c.Webhook, c.Partition, c.Seq, c.Token, c.Rewinds)
}

func moved(result sql.Result, err error) error {
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err == nil && n != 1 {
		return projections.ErrDeposed
	}
	return err
}

// Retreat sets back every webhook that stands behind a sequence of a partition, to there: the log has other events behind it now.
// Whoever delivers just then is deposed.
func (s Store) Retreat(ctx context.Context, partition int, to int64) error {
	err := s.DB.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewUpdate().Model((*row)(nil)).Set("seq = ?", to).Set("rewinds = rewinds + 1").Set("failing_since = NULL").
			Set("next_at = NULL").Set("attempts = 0").Set("reason = ''").Set("updated_at = ?", now()).
			Where("log_partition = ? AND seq > ?", partition, to).Exec(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("set back the webhooks in partition %d: %w", partition, err)
	}
	return nil
}
