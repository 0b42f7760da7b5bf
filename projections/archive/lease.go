package archive

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"mpim/projections/database"
)

// leaseRow says who archives.
type leaseRow struct {
	bun.BaseModel `bun:"table:archive_lease"`

	Singleton int       `bun:"singleton,pk"`
	Worker    string    `bun:"worker"`
	Token     int64     `bun:"token"`
	ExpiresAt time.Time `bun:"expires_at"`
}

// Holder says who archives.
type Holder struct {
	Worker string
	// Token counts how often the lease was taken.
	Token     int64
	ExpiresAt time.Time
}

// Holder returns who archives. It is false where nobody does.
func (a Archive) Holder(ctx context.Context) (Holder, bool, error) {
	var found []leaseRow
	err := a.DB.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		found = nil
		return tx.NewSelect().Model(&found).Where("singleton = 1").Scan(ctx)
	})
	if err != nil {
		return Holder{}, false, fmt.Errorf("read who archives: %w", err)
	}
	if len(found) == 0 || !found[0].ExpiresAt.After(now()) {
		return Holder{}, false, nil
	}
	return Holder{Worker: found[0].Worker, Token: found[0].Token, ExpiresAt: found[0].ExpiresAt.UTC()}, true, nil
}

// lease is the right to archive.
type lease struct {
	db     *database.DB
	worker string
	token  int64
	life   time.Duration
}

// takeLease takes the lease where it is free or has run out. It is false where somebody else holds it.
func takeLease(ctx context.Context, db *database.DB, worker string, life time.Duration) (*lease, bool, error) {
	l := &lease{db: db, worker: worker, life: life}
	taken := false
	err := db.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		taken = false
		row := leaseRow{Singleton: 1, ExpiresAt: time.Unix(0, 0).UTC()}
		if _, err := tx.NewInsert().Model(&row).Ignore().Exec(ctx); err != nil {
			return err
		}
		at := now()
		result, err := tx.NewUpdate().Model(&row).
			Set("worker = ?", worker).Set("token = token + 1").Set("expires_at = ?", at.Add(life)).
			Where("singleton = 1 AND expires_at <= ?", at).Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return err
		}
		taken = true
		return tx.NewSelect().Model(&row).Column("token").Where("singleton = 1").Scan(ctx, &l.token)
	})
	if err != nil {
		return nil, false, fmt.Errorf("take the archiver's lease: %w", err)
	}
	return l, taken, nil
}

// renew prolongs the lease, to a moment from which it is over for zero. It fails with errDeposed where it is lost.
func (l *lease) renew(ctx context.Context, life time.Duration) error {
	return l.db.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		result, err := tx.NewUpdate().Model((*leaseRow)(nil)).Set("expires_at = ?", now().Add(life)).
			Where("singleton = 1 AND token = ?", l.token).Exec(ctx)
		if err != nil {
			return fmt.Errorf("renew the archiver's lease: %w", err)
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errDeposed
		}
		return nil
	})
}

// keep renews the lease until ctx ends, and ends work where it is lost or cannot be renewed in time.
func (l *lease) keep(ctx context.Context, end context.CancelCauseFunc) {
	ticker := time.NewTicker(l.life / 4)
	defer ticker.Stop()
	renewed := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		limit, cancel := context.WithTimeout(ctx, l.life/4)
		err := l.renew(limit, l.life)
		cancel()
		switch {
		case err == nil:
			renewed = time.Now()
		case ctx.Err() != nil:
			return
		case time.Since(renewed) > l.life/2:
			end(fmt.Errorf("the archiver's lease could not be renewed: %w", err))
			return
		}
		if isDeposed(err) {
			end(err)
			return
		}
	}
}

// release gives the lease back, so that another worker has it at once.
func (l *lease) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = l.renew(ctx, 0) // else it runs out
}
