package history_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"mpim/projections/database"
	"mpim/projections/history"
	"mpim/projections/projectionstest"
	"mpim/schema/migrations"
)

// server is shared by the tests of this package, each with a database of its own.
var server *projectionstest.MariaDBServer

func TestMain(m *testing.M) {
	var err error
	// What a power cut loses does not matter here, and tests commit all the time.
	if server, err = projectionstest.NewMariaDB(projectionstest.With("innodb-flush-log-at-trx-commit", "2")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := server.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// kinds open an empty, migrated database of each kind.
var kinds = map[string]func(testing.TB) *database.DB{
	"mariadb":       func(tb testing.TB) *database.DB { tb.Helper(); return open(tb, server.URL(server.CreateDatabase(tb))) },
	"sqlite":        func(tb testing.TB) *database.DB { tb.Helper(); return open(tb, "sqlite://"+tb.TempDir()+"/mpim.db") },
	"sqlite memory": func(tb testing.TB) *database.DB { tb.Helper(); return open(tb, "sqlite::memory:") },
}

func open(tb testing.TB, url string) *database.DB {
	tb.Helper()
	db, err := database.Open(tb.Context(), url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	m, err := database.NewMigrations(db, migrations.Files)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := m.Up(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return db
}

// tables are those of the first build.
var tables = []string{
	"history_1_conversations", "history_1_members", "history_1_messages", "history_1_revisions", "history_1_reactions",
}

// dump returns every row of the first build as text, in the order of the keys.
func dump(ctx context.Context, tb testing.TB, db *database.DB) string {
	tb.Helper()
	var b strings.Builder
	for _, table := range tables {
		fmt.Fprintf(&b, "%s\n", table)
		for _, line := range projectionstest.Rows(ctx, tb, db, "SELECT * FROM "+table+" ORDER BY 1, 2, 3") {
			fmt.Fprintf(&b, "  %s\n", line)
		}
	}
	return b.String()
}

// take makes the projection and takes a partition of it.
func take(tb testing.TB, db *database.DB, partition int, token int64) *history.Projection {
	tb.Helper()
	p := history.New(db)
	if _, err := p.Take(tb.Context(), partition, token); err != nil {
		tb.Fatal(err)
	}
	return p
}

func at(second int) time.Time {
	return time.Date(2026, 1, 2, 3, 4, 5+second, 678_000_000, time.UTC)
}
