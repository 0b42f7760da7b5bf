package projectionstest

import (
	"fmt"
	"os"
	"testing"

	"mpim/projections/database"
	"mpim/schema/migrations"
)

// Server is the MariaDB that the tests of a package share, each with a database of its own. Main starts it.
var Server *MariaDBServer

// Main runs the tests of a package beside a MariaDB and returns the exit status.
func Main(m *testing.M) (code int) {
	var err error
	// What a power cut loses does not matter here, and tests commit all the time.
	if Server, err = NewMariaDB(With("innodb-flush-log-at-trx-commit", "2")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code = m.Run()
	if err := Server.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

// Databases open an empty, migrated database of each kind.
var Databases = map[string]func(testing.TB) *database.DB{
	"mariadb":       func(tb testing.TB) *database.DB { tb.Helper(); return Open(tb, Server.URL(Server.CreateDatabase(tb))) },
	"sqlite":        func(tb testing.TB) *database.DB { tb.Helper(); return Open(tb, "sqlite://"+tb.TempDir()+"/mpim.db") },
	"sqlite memory": func(tb testing.TB) *database.DB { tb.Helper(); return Open(tb, "sqlite::memory:") },
}

// Each runs a test on an empty database of each kind.
func Each(t *testing.T, test func(t *testing.T, db *database.DB)) {
	t.Helper()
	for name, open := range Databases {
		if name == "sqlite memory" {
			continue // it runs the same statements as the one in a file
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// Open opens and migrates a database until the test ends.
func Open(tb testing.TB, url string) *database.DB {
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
