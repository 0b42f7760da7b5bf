package database

import (
	"errors"
	"fmt"
	"slices"

	"github.com/go-sql-driver/mysql"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"mpim/projections"
)

// Error numbers of MySQL and MariaDB, see
// https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html.
const (
	errLockWait        = 1205
	errDeadlock        = 1213
	errAccessDenied    = 1045
	errDatabaseDenied  = 1044
	errUnknownDatabase = 1049
	errNoSuchTable     = 1146
)

// dataErrors are those that a value causes: null, duplicate, out of range, truncated, wrong date or characters, too long,
// a constraint, a row or a packet too large. All others have their cause in the server or its schema.
var dataErrors = []uint16{1048, 1062, 1118, 1153, 1264, 1265, 1292, 1366, 1406, 1452, 1690, 3140, 3819, 4025}

// sqliteDataErrors are those of SQLite (https://www.sqlite.org/rescode.html).
var sqliteDataErrors = []int{
	sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_RANGE,
}

// again says whether the same transaction may simply be done once more.
func again(err error) bool {
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return e.Number == errDeadlock || e.Number == errLockWait
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()&0xff == sqlite3.SQLITE_BUSY || e.Code()&0xff == sqlite3.SQLITE_LOCKED
	}
	return false
}

// classify marks an error whose cause is not in the data.
func (d *DB) classify(err error) error {
	if err == nil || projections.IsOutside(err) {
		return err
	}
	outside := errors.Is(err, mysql.ErrInvalidConn)
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		outside = !slices.Contains(dataErrors, e.Number)
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		outside = !slices.Contains(sqliteDataErrors, e.Code()&0xff)
	}
	if !outside {
		return err
	}
	return projections.Outside(d.explain(err))
}

// explain adds what to do to errors that people meet when they set a server up.
func (d *DB) explain(err error) error {
	e, ok := errors.AsType[*mysql.MySQLError](err)
	if !ok {
		if d.mysql() && projections.IsOutside(err) {
			return fmt.Errorf("%s: %w: is the server running, and reachable from here?", d.place, err)
		}
		return fmt.Errorf("%s: %w", d.place, err)
	}
	switch e.Number {
	case errAccessDenied, errDatabaseDenied:
		return fmt.Errorf("%s: %w: check user and password in MPIM_DATABASE_URL, and the user's grants", d.place, err)
	case errUnknownDatabase:
		return fmt.Errorf("%s: %w: create it with CREATE DATABASE … CHARACTER SET utf8mb4, then run `mpim migrate up`",
			d.place, err)
	case errNoSuchTable:
		return fmt.Errorf("%s: %w: run `mpim migrate up`", d.place, err)
	default:
		return fmt.Errorf("%s: %w", d.place, err)
	}
}
