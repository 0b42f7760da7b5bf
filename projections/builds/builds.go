// Package builds is the registry of the builds of SQL projections. A build is a set of tables that one version of a
// projection's code has filled; several can stand beside each other, and readers use the live one.
//
// # Design
//
// Readers look the live build up in the transaction that reads its rows, so promoting another one is the change of one row and
// no query ever mixes two. A build's tables are made before its row, by statements that can be run again, so whoever
// finds the row finds the tables.
package builds

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/uptrace/bun"

	"mpim/projections"
	"mpim/projections/database"
)

// Build is one build of a projection.
type Build struct {
	bun.BaseModel `bun:"table:projection_builds"`

	Name string `bun:"name,pk"`
	// Number counts the builds of the projection from 1.
	Number int `bun:"build,pk"`
	// Version is that of the code that fills it.
	Version   int               `bun:"version"`
	State     projections.State `bun:"state"`
	CreatedAt time.Time         `bun:"created_at"`
	UpdatedAt time.Time         `bun:"updated_at"`
}

// Table returns the name of a table of the build, such as history_1_messages.
func (b Build) Table(name string) string { return Table(b.Name, b.Number, name) }

// Table returns the name of a table of a build.
func Table(projection string, build int, name string) string {
	return projection + "_" + strconv.Itoa(build) + "_" + name
}

// Ensure returns the build that a worker with this version of the projection's code feeds: the newest of that version. Where the
// projection has no build at all, it makes the first and that is live at once. Define makes the tables of a build that are
// not there.
//
// An error is marked by projections.Outside where the database is out of reach, or where all builds are of other versions.
func Ensure(
	ctx context.Context, db *database.DB, name string, version int, define func(ctx context.Context, build int) error,
) (Build, error) {
	all, err := List(ctx, db, name)
	if err != nil {
		return Build{}, err
	}
	if len(all) == 0 {
		if all, err = first(ctx, db, name, version, define); err != nil {
			return Build{}, err
		}
	}
	for _, b := range slices.Backward(all) {
		if b.Version == version && b.State != projections.Dropped {
			return b, define(ctx, b.Number)
		}
	}
	return Build{}, projections.Outside(fmt.Errorf("projection %s has no build of version %d, which this mpim knows: "+
		"run `mpim projection build %s`, or a worker of the mpim that made it", name, version, name))
}

// first makes build 1, or finds that another worker has.
func first(
	ctx context.Context, db *database.DB, name string, version int, define func(ctx context.Context, build int) error,
) ([]Build, error) {
	if err := define(ctx, 1); err != nil {
		return nil, err
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	b := Build{Name: name, Number: 1, Version: version, State: projections.Live, CreatedAt: now, UpdatedAt: now}
	err := db.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewInsert().Model(&b).Ignore().Exec(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("register the first build of %s: %w", name, err)
	}
	return List(ctx, db, name)
}

// List returns all builds of a projection, by number.
func List(ctx context.Context, db *database.DB, name string) ([]Build, error) {
	var all []Build
	err := db.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		all = nil
		return tx.NewSelect().Model(&all).Where("name = ?", name).Order("build").Scan(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("list the builds of %s: %w", name, err)
	}
	return all, nil
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
