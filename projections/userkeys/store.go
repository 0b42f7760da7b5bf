// Package userkeys keeps the wrapped keys of users in SQL. They are no projection of the log: the log holds what they open.
//
// # Design
//
// A row stays when its key is destroyed, without the key: so the user can get no other, and what is sealed reads as erased and
// not as damaged. Rows are written in single statements that can be repeated.
package userkeys

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"mpim/domain"
	"mpim/projections/database"
	"mpim/schema/seal"
)

// Store implements seal.Store, and what only commands do.
type Store struct{ DB *database.DB }

var _ seal.Store = Store{}

type row struct {
	bun.BaseModel `bun:"table:user_keys"`

	User        string    `bun:"user_id,pk"`
	Wrapping    string    `bun:"wrapping"`
	Key         []byte    `bun:"wrapped_key"`
	CreatedAt   time.Time `bun:"created_at"`
	DestroyedAt time.Time `bun:"destroyed_at,nullzero"`
}

func (r row) wrapped() seal.Wrapped {
	return seal.Wrapped{User: domain.UserID(r.User), Wrapping: r.Wrapping, Key: r.Key}
}

// Read returns the keys of these users, those destroyed included.
func (s Store) Read(ctx context.Context, users []domain.UserID) (keys []seal.Wrapped, err error) {
	err = s.DB.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		var rows []row
		if err := tx.NewSelect().Model(&rows).Where("user_id IN ?", bun.Tuple(users)).Scan(ctx); err != nil {
			return fmt.Errorf("read user_keys: %w", err)
		}
		keys = keys[:0]
		for _, r := range rows {
			keys = append(keys, r.wrapped())
		}
		return nil
	})
	return keys, err
}

// Erased returns the users whose keys were destroyed.
func (s Store) Erased(ctx context.Context) (users []domain.UserID, err error) {
	err = s.DB.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		users = nil
		if err := tx.NewSelect().Model((*row)(nil)).Column("user_id").Where("destroyed_at IS NOT NULL").Scan(ctx, &users); err != nil {
			return fmt.Errorf("read user_keys: %w", err)
		}
		return nil
	})
	return users, err
}

// Create keeps a key, unless its user has or had one, and returns the one that stands.
func (s Store) Create(ctx context.Context, key seal.Wrapped) (stands seal.Wrapped, err error) {
	err = s.DB.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		r := row{User: string(key.User), Wrapping: key.Wrapping, Key: key.Key, CreatedAt: now()}
		if _, err := tx.NewInsert().Model(&r).Ignore().Exec(ctx); err != nil {
			return fmt.Errorf("write user_keys: %w", err)
		}
		if err := tx.NewSelect().Model(&r).WherePK().Scan(ctx); err != nil {
			return fmt.Errorf("read user_keys: %w", err)
		}
		stands = r.wrapped()
		return nil
	})
	return stands, err
}

// Destroy overwrites the key of a user and returns when that was done first. A user without a key gets a row without one, so
// that none is made later.
func (s Store) Destroy(ctx context.Context, user domain.UserID) (at time.Time, err error) {
	err = s.DB.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		r := row{User: string(user), Key: []byte{}, CreatedAt: now(), DestroyedAt: now()}
		if _, err := tx.NewInsert().Model(&r).Ignore().Exec(ctx); err != nil {
			return fmt.Errorf("write user_keys: %w", err)
		}
		// Zeros of the same length first: a server that updates in place then has no copy of the key in the page.
		for _, value := range [][]byte{make([]byte, wrappedBytes), {}} {
			if _, err := tx.NewUpdate().Model((*row)(nil)).Set("wrapped_key = ?", value).
				Set("destroyed_at = COALESCE(destroyed_at, ?)", r.DestroyedAt).Where("user_id = ?", string(user)).Exec(ctx); err != nil {
				return fmt.Errorf("destroy the key of %s: %w", user, err)
			}
		}
		if err := tx.NewSelect().Model(&r).WherePK().Scan(ctx); err != nil {
			return err
		}
		at = r.DestroyedAt
		return nil
	})
	return at, err
}

// wrappedBytes is the length of a wrapped key: nonce, key and tag.
const wrappedBytes = 12 + seal.KeyBytes + 16

// page is how many rows are wrapped anew in one transaction.
const page = 500

// Rewrap wraps every key anew that is not wrapped with the current wrapping key, and returns how many there were. Keys keep
// their meaning, so it may run while everything else does, and again after it was cut off.
func (s Store) Rewrap(ctx context.Context, w *seal.Wrapping, progress func(n int)) (total int, err error) {
	for after := ""; ; {
		var rows []row
		err := s.DB.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
			return tx.NewSelect().Model(&rows).Where("user_id > ?", after).Where("wrapping <> ?", w.Current()).
				Where("destroyed_at IS NULL").Order("user_id").Limit(page).Scan(ctx)
		})
		if err != nil {
			return total, fmt.Errorf("read user_keys: %w", err)
		}
		for chunk := range slices.Chunk(rows, page) {
			if err := s.rewrap(ctx, w, chunk); err != nil {
				return total, err
			}
			total += len(chunk)
			progress(len(chunk))
		}
		if len(rows) < page {
			return total, nil
		}
		after = rows[len(rows)-1].User
	}
}

func (s Store) rewrap(ctx context.Context, w *seal.Wrapping, rows []row) error {
	return s.DB.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		for _, r := range rows {
			k, err := w.Rewrap(r.wrapped())
			if err != nil {
				return err
			}
			// The old key is compared, so that one destroyed meanwhile does not come back.
			if _, err := tx.NewUpdate().Model((*row)(nil)).Set("wrapping = ?", k.Wrapping).Set("wrapped_key = ?", k.Key).
				Where("user_id = ?", r.User).Where("wrapped_key = ?", r.Key).Exec(ctx); err != nil {
				return fmt.Errorf("wrap the key of %s anew: %w", r.User, err)
			}
		}
		return nil
	})
}

// Count returns how many keys are wrapped with each wrapping key, and how many were destroyed.
func (s Store) Count(ctx context.Context) (byWrapping map[string]int, destroyed int, err error) {
	byWrapping = make(map[string]int)
	err = s.DB.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		var rows []struct {
			Wrapping string `bun:"wrapping"`
			Gone     bool   `bun:"gone"`
			N        int    `bun:"n"`
		}
		if err := tx.NewSelect().Model((*row)(nil)).Column("wrapping").ColumnExpr("destroyed_at IS NOT NULL AS gone").
			ColumnExpr("COUNT(*) AS n").GroupExpr("wrapping, destroyed_at IS NOT NULL").Scan(ctx, &rows); err != nil {
			return fmt.Errorf("count user_keys: %w", err)
		}
		for _, r := range rows {
			if r.Gone {
				destroyed += r.N
			} else {
				byWrapping[r.Wrapping] += r.N
			}
		}
		return nil
	})
	return byWrapping, destroyed, err
}

func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
