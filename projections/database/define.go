package database

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/uptrace/bun"

	"mpim/projections"
)

// Define runs statements that define tables, with the words of DDL. MySQL commits each by itself, so each must be one that
// can be run again.
func (d *DB) Define(ctx context.Context, statements ...string) error {
	if d.mysql() {
		return d.classify(d.define(ctx, d.write, statements))
	}
	return d.Write(ctx, func(ctx context.Context, tx bun.Tx) error { return d.define(ctx, tx, statements) })
}

func (d *DB) define(ctx context.Context, db bun.IDB, statements []string) error {
	for _, statement := range statements {
		if _, err := db.ExecContext(ctx, d.DDL(statement)); err != nil {
			return fmt.Errorf("define a table: %w", err)
		}
	}
	return nil
}

// DefineWithin is Define for statements that wait for all who use the table or view, while all who come later wait for
// them: each waits no longer than given, which MySQL counts in seconds. An error marked by projections.Outside says that
// it was too short.
func (d *DB) DefineWithin(ctx context.Context, wait time.Duration, statements ...string) (err error) {
	if !d.mysql() {
		return d.Define(ctx, statements...)
	}
	conn, err := d.write.Conn(ctx)
	if err != nil {
		return d.classify(err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.ExecContext(ctx, "SET SESSION lock_wait_timeout = ?", max(1, int(wait.Seconds()))); err != nil {
		return d.classify(err)
	}
	defer func() {
		// The connection goes back to the pool, where nobody expects it to be so impatient.
		_, reset := conn.ExecContext(context.WithoutCancel(ctx), "SET SESSION lock_wait_timeout = DEFAULT")
		err = errors.Join(err, d.classify(reset))
	}()
	err = d.define(ctx, conn, statements)
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok && e.Number == errLockWait {
		return projections.Outside(err)
	}
	return d.classify(err)
}

// ReplaceView returns the statements that make a view, or make it another.
func (d *DB) ReplaceView(name, query string) []string {
	if d.mysql() {
		return []string{"CREATE OR REPLACE VIEW " + name + " AS " + query}
	}
	return []string{"DROP VIEW IF EXISTS " + name, "CREATE VIEW " + name + " AS " + query}
}

// Tables returns the names of all tables that begin with a prefix, in order.
func (d *DB) Tables(ctx context.Context, prefix string) (names []string, err error) {
	pattern := strings.NewReplacer("!", "!!", "_", "!_", "%", "!%").Replace(prefix) + "%"
	query := "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE ? ESCAPE '!' ORDER BY name"
	if d.mysql() {
		query = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' " +
			"AND table_name LIKE ? ESCAPE '!' ORDER BY table_name"
	}
	err = d.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		names = nil
		return tx.NewRaw(query, pattern).Scan(ctx, &names)
	})
	if err != nil {
		return nil, fmt.Errorf("list the tables %s…: %w", prefix, err)
	}
	return names, nil
}
