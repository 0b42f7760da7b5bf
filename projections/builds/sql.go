package builds

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"mpim/projections"
	"mpim/projections/database"
)

// SQL is the registry of the projections whose state is tables.
type SQL struct{ DB *database.DB }

var _ Registry = SQL{}

type goalRow struct {
	bun.BaseModel `bun:"table:projection_goals"`

	Name      string `bun:"name,pk"`
	Build     int    `bun:"build,pk"`
	Partition int    `bun:"log_partition,pk"`
	Seq       int64  `bun:"seq"`
}

type pauseRow struct {
	bun.BaseModel `bun:"table:projection_pauses"`

	Name     string    `bun:"name,pk"`
	PausedAt time.Time `bun:"paused_at"`
}

// Standing implements Registry.
func (s SQL) Standing(ctx context.Context, name string) (standing Standing, err error) {
	err = s.DB.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		standing = Standing{}
		if err := tx.NewSelect().Model(&standing.Builds).Where("name = ?", name).Order("build").Scan(ctx); err != nil {
			return err
		}
		var goals []goalRow
		if err := tx.NewSelect().Model(&goals).Where("name = ?", name).Order("build", "log_partition").Scan(ctx); err != nil {
			return err
		}
		for _, g := range goals {
			for i := range standing.Builds {
				if b := &standing.Builds[i]; b.Number == g.Build {
					b.Goals = append(b.Goals, g.Seq)
				}
			}
		}
		standing.Paused, err = tx.NewSelect().Model((*pauseRow)(nil)).Where("name = ?", name).Exists(ctx)
		return err
	})
	if err != nil {
		return Standing{}, fmt.Errorf("look up the builds of %s: %w", name, err)
	}
	return standing, nil
}

// Add implements Registry.
func (s SQL) Add(ctx context.Context, b Build) error {
	err := s.DB.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		result, err := tx.NewInsert().Model(&b).Ignore().Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return ErrTaken
		}
		if len(b.Goals) == 0 {
			return nil
		}
		goals := make([]goalRow, len(b.Goals))
		for p, seq := range b.Goals {
			goals[p] = goalRow{Name: b.Name, Build: b.Number, Partition: p, Seq: seq}
		}
		_, err = tx.NewInsert().Model(&goals).Exec(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("register %s: %w", b, err)
	}
	return nil
}

// Change implements Registry.
func (s SQL) Change(ctx context.Context, b Build, to projections.State) error {
	err := s.DB.Write(ctx, func(ctx context.Context, tx bun.Tx) error { return change(ctx, tx, b, to) })
	if err != nil {
		return fmt.Errorf("make %s %s: %w", b, to, err)
	}
	return nil
}

func change(ctx context.Context, tx bun.Tx, b Build, to projections.State) error {
	result, err := tx.NewUpdate().Model((*Build)(nil)).Set("state = ?", to).Set("updated_at = ?", now()).
		Where("name = ? AND build = ? AND state = ?", b.Name, b.Number, b.State).Exec(ctx)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return ErrTaken
	}
	return nil
}

// Pause implements Registry.
func (s SQL) Pause(ctx context.Context, name string, paused bool) error {
	err := s.DB.Write(ctx, func(ctx context.Context, tx bun.Tx) (err error) {
		row := pauseRow{Name: name, PausedAt: now()}
		if paused {
			_, err = s.DB.Upsert(tx.NewInsert().Model(&row), []string{"name"}, []string{"paused_at"}).Exec(ctx)
		} else {
			_, err = tx.NewDelete().Model(&row).WherePK().Exec(ctx)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("pause or resume %s: %w", name, err)
	}
	return nil
}

// switchWait is how long a switch waits for the next build to come as far as the live one, while that one is held still.
const switchWait = 2 * time.Second

// Switch implements Registry. The live build's checkpoints are locked, so that it stands still and the next one can come as
// far; SQLite has no such locks, and there the two are compared again and again.
func (s SQL) Switch(ctx context.Context, live, next Build) error {
	deadline := time.Now().Add(switchWait)
	for {
		err := s.DB.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
			still, err := s.positions(ctx, tx, live, true)
			if err != nil {
				return err
			}
			if err := s.await(ctx, tx, next, still, deadline); err != nil {
				return err
			}
			if err := change(ctx, tx, live, projections.Kept); err != nil {
				return err
			}
			return change(ctx, tx, next, projections.Live)
		})
		if err == nil {
			return nil
		}
		if s.DB.LocksRows() || time.Now().After(deadline) || !isBehind(err) {
			return fmt.Errorf("make %s live: %w", next, err)
		}
		if pause(ctx, 5*time.Millisecond) != nil {
			return ctx.Err()
		}
	}
}

// await waits until a build has come as far as still, where others can write meanwhile; elsewhere it looks once.
func (s SQL) await(ctx context.Context, tx bun.Tx, next Build, still map[int]int64, deadline time.Time) error {
	for {
		there, err := s.positions(ctx, tx, next, false)
		if err != nil {
			return err
		}
		if covers(there, still) {
			return nil
		}
		if !s.DB.LocksRows() || time.Now().After(deadline) {
			return ErrBehind
		}
		if err := pause(ctx, 2*time.Millisecond); err != nil {
			return err
		}
	}
}

// positions returns how far a build has come in each partition, which stays so for the transaction where they are locked.
func (s SQL) positions(ctx context.Context, tx bun.Tx, b Build, lock bool) (map[int]int64, error) {
	var rows []struct {
		Partition int   `bun:"log_partition"`
		Seq       int64 `bun:"seq"`
	}
	q := tx.NewSelect().Table("checkpoints").Column("log_partition", "seq").
		Where("projection = ? AND build = ?", b.Name, b.Number).Order("log_partition")
	if lock && s.DB.LocksRows() {
		q.For("UPDATE")
	}
	if err := q.Scan(ctx, &rows); err != nil {
		return nil, err
	}
	found := make(map[int]int64, len(rows))
	for _, r := range rows {
		found[r.Partition] = r.Seq
	}
	return found, nil
}

// Live returns the number of the live build, as of the moment that the transaction sees. An error marked by
// projections.Outside says that there is none.
func Live(ctx context.Context, tx bun.Tx, name string) (int, error) {
	var live []int
	err := tx.NewSelect().Model((*Build)(nil)).Column("build").
		Where("name = ? AND state = ?", name, projections.Live).Scan(ctx, &live)
	if err != nil {
		return 0, fmt.Errorf("look up the live build of %s: %w", name, err)
	}
	if len(live) != 1 {
		return 0, projections.Outside(fmt.Errorf("projection %s has %d live builds: has a worker run yet?", name, len(live)))
	}
	return live[0], nil
}

// Ensure returns the newest build of this version. Where the projection has no build at all, it makes the first and that
// is live at once. Define makes the tables of a build that are not there.
//
// An error is marked by projections.Outside where the database is out of reach, or where all builds are of other versions.
func Ensure(
	ctx context.Context, db *database.DB, name string, version int, define func(ctx context.Context, build int) error,
) (Build, error) {
	registry := SQL{db}
	standing, err := registry.Standing(ctx, name)
	if err != nil {
		return Build{}, err
	}
	if len(standing.Builds) == 0 {
		if err := define(ctx, 1); err != nil {
			return Build{}, err
		}
		if err := registry.Add(ctx, first(name, version, projections.Live)); err != nil && !isTaken(err) {
			return Build{}, err
		}
		if standing, err = registry.Standing(ctx, name); err != nil {
			return Build{}, err
		}
	}
	for _, b := range slices.Backward(standing.Builds) {
		if b.Version == version && b.State != projections.Dropped {
			return b, define(ctx, b.Number)
		}
	}
	return Build{}, projections.Outside(fmt.Errorf("projection %s has no build of version %d, which this mpim knows: "+
		"run `mpim projection build %s`, or a worker of the mpim that made it", name, version, name))
}

func first(name string, version int, state projections.State) Build {
	at := now()
	return Build{Name: name, Number: 1, Version: version, State: state, CreatedAt: at, UpdatedAt: at}
}
