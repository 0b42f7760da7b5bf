package database_test

import (
	"fmt"
	"os"
	"testing"

	"mpim/projections/database"
	"mpim/projections/projectionstest"
)

// server is shared by the tests of this package, each with a database of its own. Its defaults are not those that a session
// must have.
var server *projectionstest.MariaDBServer

func TestMain(m *testing.M) {
	var err error
	server, err = projectionstest.NewMariaDB(
		projectionstest.With("innodb-flush-log-at-trx-commit", "2"), projectionstest.With("default-time-zone", "+05:30"),
		projectionstest.With("sql-mode", ""), projectionstest.With("character-set-server", "latin1"),
		projectionstest.With("transaction-isolation", "SERIALIZABLE"),
	)
	if err != nil {
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

// kinds give the URL of an empty database of each kind.
var kinds = map[string]func(*testing.T) string{
	"mariadb":       func(t *testing.T) string { t.Helper(); return server.URL(server.CreateDatabase(t)) },
	"sqlite":        func(t *testing.T) string { t.Helper(); return "sqlite://" + t.TempDir() + "/mpim.db" },
	"sqlite memory": func(*testing.T) string { return "sqlite::memory:" },
}

func open(t *testing.T, url string) *database.DB {
	t.Helper()
	db, err := database.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}
