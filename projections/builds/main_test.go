package builds_test

import (
	"fmt"
	"os"
	"testing"

	"mpim/projections/database"
	"mpim/projections/projectionstest"
	"mpim/schema/migrations"
)

// server is shared by the tests of this package, each with a database of its own.
var server *projectionstest.MariaDBServer

func TestMain(m *testing.M) {
	var err error
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
	"mariadb": func(tb testing.TB) *database.DB { tb.Helper(); return open(tb, server.URL(server.CreateDatabase(tb))) },
	"sqlite":  func(tb testing.TB) *database.DB { tb.Helper(); return open(tb, "sqlite://"+tb.TempDir()+"/mpim.db") },
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

// onEach runs a test on each kind of database.
func onEach(t *testing.T, test func(t *testing.T, db *database.DB)) {
	t.Helper()
	for name, empty := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, empty(t))
		})
	}
}
