package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect"
)

// DB is one SQL database. It is made by Open and safe for use by many goroutines.
type DB struct {
	write, read *bun.DB
	// anchor keeps a database in memory alive; nil elsewhere.
	anchor *sql.Conn
	// place names the database for error texts, without secrets, and name is what the server calls it.
	place, name string
}

// Tries and waits of a transaction that meets a deadlock. A lock wait may have taken seconds, so tries are few.
const (
	maxTries  = 6
	firstWait = 5 * time.Millisecond
)

// Open opens the database that a setting names:
//
//	mysql://user:password@host:port/database   MySQL, MariaDB and what speaks like them; ?tls=true and other options of
//	                                           github.com/go-sql-driver/mysql may follow
//	sqlite:///absolute/path, sqlite:path       a file, made where there is none
//	sqlite::memory:                            nothing is kept
//
// For MySQL it makes no connection. An error says what is wrong with the setting, or with the file.
func Open(ctx context.Context, url string) (*DB, error) {
	scheme, rest, found := strings.Cut(url, ":")
	switch {
	case url == "":
		return nil, errors.New("no database is set: give MPIM_DATABASE_URL, such as mysql://user:password@host:3306/mpim")
	case found && scheme == "mysql":
		return openMySQL(url)
	case found && scheme == "sqlite":
		return openSQLite(ctx, rest)
	default:
		return nil, fmt.Errorf("the database URL begins with %q: write mysql://user:password@host:port/db, "+
			"sqlite:///file, or sqlite::memory: to keep nothing", scheme)
	}
}

// Close closes all connections.
func (d *DB) Close() error {
	err := errors.Join(d.read.Close(), d.write.Close())
	if d.anchor != nil {
		err = errors.Join(err, d.anchor.Close())
	}
	return err
}

// String names the database, without user and password.
func (d *DB) String() string { return d.place }

// Ping connects. An error says what to do.
func (d *DB) Ping(ctx context.Context) error {
	if err := d.read.PingContext(ctx); err != nil {
		return d.explain(err)
	}
	return nil
}

// Stats returns the statistics of the two pools of connections, those that read and those that write.
func (d *DB) Stats() (read, write sql.DBStats) { return d.read.Stats(), d.write.Stats() }

// Write calls fn in a transaction and commits it if fn returns nil. It calls fn again, in a new transaction, after a
// deadlock or a lock wait. Errors that are not the data's fault are marked by projections.Outside; after one of these the
// transaction may have been committed, as when a connection breaks between the commit and its answer.
func (d *DB) Write(ctx context.Context, fn func(ctx context.Context, tx bun.Tx) error) error {
	var err error
	for try := range maxTries {
		if try > 0 {
			if waited := pause(ctx, firstWait<<try); waited != nil {
				break
			}
		}
		if err = inTx(ctx, d.write, nil, fn); !again(err) {
			break
		}
	}
	return d.classify(err)
}

// Read calls fn in a transaction that sees one moment of the database. Errors are marked like those of Write.
func (d *DB) Read(ctx context.Context, fn func(ctx context.Context, tx bun.Tx) error) error {
	return d.classify(inTx(ctx, d.read, &sql.TxOptions{ReadOnly: true}, fn))
}

func (d *DB) mysql() bool { return d.write.Dialect().Name() == dialect.MySQL }

func inTx(ctx context.Context, db *bun.DB, o *sql.TxOptions, fn func(context.Context, bun.Tx) error) error {
	tx, err := db.BeginTx(ctx, o)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	// Also on a panic. After a commit it does nothing, and of its own error nothing follows.
	defer func() { _ = tx.Rollback() }()
	if err := fn(ctx, tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// pause waits for up to about d, so that two who met do not meet again.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d/2 + rand.N(d)) //nolint:gosec // spreading needs no secrets
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
