package database

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/uptrace/bun"
	"modernc.org/sqlite"
)

// migrateLock is the name under which one migration at a time runs on a MySQL database, and how many seconds another one waits.
const (
	migrateLock        = "mpim migrate"
	migrateLockSeconds = 60
)

// Up applies what is still to be applied and returns it. It can be run again after it was cut off anywhere, and by several
// processes at once.
func (m *Migrations) Up(ctx context.Context) ([]Migration, error) {
	var done []Migration
	err := m.locked(ctx, func(ctx context.Context, db bun.IDB) error {
		applied, err := m.applied(ctx, db)
		if err != nil {
			return err
		}
		if err := m.fits(applied, false); err != nil {
			return err
		}
		for _, file := range m.missing(applied) {
			row, err := m.up(ctx, db, file)
			if err != nil {
				return err
			}
			done = append(done, listed(file, row))
		}
		return nil
	})
	return done, err
}

// Down takes the newest migration back, with all data in what it added. It is false where there is none.
func (m *Migrations) Down(ctx context.Context) (undone Migration, ok bool, err error) {
	err = m.locked(ctx, func(ctx context.Context, db bun.IDB) error {
		applied, err := m.applied(ctx, db)
		if err != nil || len(applied) == 0 {
			return err
		}
		last := applied[len(applied)-1]
		file, known := m.file(last.Number)
		if !known {
			return fmt.Errorf("migration %d (%s) was applied by a newer mpim: take it back with that one", last.Number, last.Name)
		}
		for _, statement := range file.down {
			if _, err := db.ExecContext(ctx, m.db.DDL(statement)); err != nil {
				return fmt.Errorf("take back migration %d (%s): %w", file.number, file.name, err)
			}
		}
		if _, err := db.NewDelete().Model(&last).WherePK().Exec(ctx); err != nil {
			return err
		}
		undone, ok = listed(file, last), true
		return nil
	})
	return undone, ok, err
}

// List returns every migration, those that only a newer binary knows included.
func (m *Migrations) List(ctx context.Context) ([]Migration, error) {
	applied, err := m.read(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Migration, 0, len(m.files))
	for _, row := range applied {
		if file, known := m.file(row.Number); known {
			list = append(list, listed(file, row))
		} else {
			list = append(list, Migration{Number: row.Number, Name: row.Name, AppliedAt: row.AppliedAt, Requires: row.Requires})
		}
	}
	for _, file := range m.missing(applied) {
		list = append(list, Migration{Number: file.number, Name: file.name, Requires: file.requires, Known: true})
	}
	slices.SortFunc(list, func(a, b Migration) int { return a.Number - b.Number })
	return list, nil
}

// Check returns nil where this binary can work with the schema. An error marked by projections.Outside says that the
// database is out of reach; any other, that the schema is older than needed, or demands a newer binary, and what to do.
func (m *Migrations) Check(ctx context.Context) error {
	applied, err := m.read(ctx)
	if err != nil {
		return err
	}
	return m.fits(applied, true)
}

// fits compares what was applied with what this binary knows.
func (m *Migrations) fits(applied []appliedMigration, complete bool) error {
	for _, row := range applied {
		if row.Requires > m.newest() {
			return fmt.Errorf("the schema of %s needs a newer mpim: migration %d (%s) requires one that knows %d, this knows %d",
				m.db, row.Number, row.Name, row.Requires, m.newest())
		}
		if file, known := m.file(row.Number); known && row.Checksum != file.checksum {
			return fmt.Errorf("migration %d (%s) of %s is not the one this mpim knows: they come from different sources",
				row.Number, row.Name, m.db)
		}
	}
	if missing := m.missing(applied); complete && len(missing) > 0 {
		return fmt.Errorf("the schema of %s lacks migration %d (%s), which this mpim needs: run `mpim migrate up`",
			m.db, missing[0].number, missing[0].name)
	}
	return nil
}

func (m *Migrations) up(ctx context.Context, db bun.IDB, file migration) (appliedMigration, error) {
	for _, statement := range file.up {
		if _, err := db.ExecContext(ctx, m.db.DDL(statement)); err != nil {
			return appliedMigration{}, fmt.Errorf("apply migration %d (%s): %w", file.number, file.name, err)
		}
	}
	row := appliedMigration{
		Number: file.number, Name: file.name, Checksum: file.checksum, Requires: file.requires,
		AppliedAt: time.Now().UTC().Truncate(time.Microsecond),
	}
	if _, err := db.NewInsert().Model(&row).Exec(ctx); err != nil {
		return appliedMigration{}, fmt.Errorf("record migration %d (%s): %w", file.number, file.name, err)
	}
	return row, nil
}

// applied returns what is recorded, and makes the table for it.
func (m *Migrations) applied(ctx context.Context, db bun.IDB) ([]appliedMigration, error) {
	if _, err := db.ExecContext(ctx, m.db.DDL(migrationsTable)); err != nil {
		return nil, fmt.Errorf("make the table schema_migrations: %w", err)
	}
	return readApplied(ctx, db)
}

// read returns what is recorded, and nothing where the table for it is not there.
func (m *Migrations) read(ctx context.Context) ([]appliedMigration, error) {
	applied, err := readApplied(ctx, m.db.read)
	if noSuchTable(err) {
		return nil, nil
	}
	return applied, m.db.classify(err)
}

func readApplied(ctx context.Context, db bun.IDB) ([]appliedMigration, error) {
	var rows []appliedMigration
	if err := db.NewSelect().Model(&rows).Order("number").Scan(ctx); err != nil {
		return nil, fmt.Errorf("read the table schema_migrations: %w", err)
	}
	return rows, nil
}

func noSuchTable(err error) bool {
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return e.Number == errNoSuchTable
	}
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code() == 1 // SQLITE_ERROR: the only way the one statement above can be wrong
}

func listed(file migration, row appliedMigration) Migration {
	return Migration{
		Number: file.number, Name: file.name, AppliedAt: row.AppliedAt, Requires: row.Requires,
		Known: true, Changed: row.Checksum != file.checksum,
	}
}

// locked calls fn while no other process migrates: in SQLite as the one writer, in MySQL, where DDL cannot be part of a
// transaction, under a named lock of the connection.
func (m *Migrations) locked(ctx context.Context, fn func(context.Context, bun.IDB) error) error {
	if !m.db.mysql() {
		return m.db.Write(ctx, func(ctx context.Context, tx bun.Tx) error { return fn(ctx, tx) })
	}
	conn, err := m.db.write.Conn(ctx)
	if err != nil {
		return m.db.explain(err)
	}
	defer conn.Close()
	name := fmt.Sprintf("%s %.40s", migrateLock, m.db.name)
	var got int
	err = conn.QueryRowContext(ctx, "SELECT COALESCE(GET_LOCK(?, ?), 0)", name, migrateLockSeconds).Scan(&got)
	if err != nil {
		return m.db.explain(err)
	}
	if got != 1 {
		return fmt.Errorf("another `mpim migrate` has been running on %s for %d s: wait for it, or end it", m.db, migrateLockSeconds)
	}
	defer func() {
		// With another context: the connection goes back to the pool, and the lock would go with it.
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "DO RELEASE_LOCK(?)", name)
	}()
	if err := fn(ctx, conn); err != nil {
		return m.db.explain(err)
	}
	return nil
}
