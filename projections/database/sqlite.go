package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

// readers is how many connections read a SQLite database at once.
const readers = 4

// memories counts the databases in memory, which are told apart by their names.
var memories atomic.Int64

// openSQLite opens what follows "sqlite:" in a URL.
func openSQLite(ctx context.Context, rest string) (*DB, error) {
	if rest == ":memory:" {
		name := "file:/mpim-" + strconv.FormatInt(memories.Add(1), 10) + "?vfs=memdb"
		return openSQLitePools(ctx, name, "sqlite::memory:", nil)
	}
	name := rest
	if after, slashes := strings.CutPrefix(rest, "//"); slashes {
		if !strings.HasPrefix(after, "/") {
			return nil, fmt.Errorf("the database URL names the host %q, and SQLite has none: write sqlite:///%s", after, after)
		}
		name = path.Clean(after)
	}
	if name == "" || name == "/" || strings.ContainsAny(name, "?#") {
		return nil, errors.New("the database URL names no file: write sqlite:///path/to/file")
	}
	file := url.URL{Scheme: "file", Opaque: (&url.URL{Path: name}).EscapedPath()}
	return openSQLitePools(ctx, file.String()+"?", "sqlite:"+rest, []string{"journal_mode(WAL)", "synchronous(NORMAL)"})
}

func openSQLitePools(ctx context.Context, name, place string, pragmas []string) (_ *DB, err error) {
	pool := func(connections int, options url.Values) (*bun.DB, error) {
		options["_pragma"] = append(options["_pragma"], "busy_timeout(5000)")
		db, err := sql.Open("sqlite", strings.TrimSuffix(name, "?")+separator(name)+options.Encode())
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", place, err)
		}
		db.SetMaxOpenConns(connections)
		db.SetMaxIdleConns(connections)
		return bun.NewDB(db, sqlitedialect.New()), nil
	}
	d := &DB{place: place}
	if d.write, err = pool(1, url.Values{"_txlock": {"immediate"}, "_pragma": pragmas}); err != nil {
		return nil, err
	}
	if d.read, err = pool(readers, url.Values{"_pragma": {"query_only(1)"}}); err != nil {
		return nil, err
	}
	// The first connection makes the file and sets its journal mode, which must not happen while another one reads. In
	// memory it is also what keeps the database.
	if strings.Contains(name, "vfs=memdb") {
		d.anchor, err = d.read.DB.Conn(ctx)
		d.read.SetMaxOpenConns(readers + 1)
	} else {
		err = d.write.PingContext(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w: does its directory exist, and may this user write there?", place, err)
	}
	return d, nil
}

func separator(name string) string {
	if strings.HasSuffix(name, "?") {
		return "?"
	}
	return "&"
}
