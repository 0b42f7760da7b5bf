package projectionstest_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"mpim/projections/projectionstest"
)

func open(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
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

func exec(t *testing.T, db *sql.DB, statement string, arguments ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement, arguments...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func TestMariaDBKeepsCommittedDataOverKill(t *testing.T) {
	t.Parallel()
	server := projectionstest.StartMariaDB(t)
	name := server.CreateDatabase(t)
	if other := server.CreateDatabase(t); other == name {
		t.Fatalf("two databases are called %s", name)
	}
	db := open(t, server.DSN(name))
	at := time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)
	exec(t, db, "CREATE TABLE kept (body TEXT, at DATETIME(6))")
	exec(t, db, "INSERT INTO kept VALUES (?, ?)", "héllo 👋", at)
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := db.PingContext(t.Context()); err == nil {
		t.Fatal("a killed server answered")
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	var body string
	var got time.Time
	if err := db.QueryRowContext(t.Context(), "SELECT body, at FROM kept").Scan(&body, &got); err != nil {
		t.Fatal(err)
	}
	if body != "héllo 👋" || !got.Equal(at) {
		t.Fatalf("after the restart: %q at %s", body, got)
	}

	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := db.QueryRowContext(ctx, "SELECT body, at FROM kept").Scan(&body, &got); err == nil {
		t.Fatal("a paused server answered")
	}
	if err := server.Continue(); err != nil {
		t.Fatal(err)
	}
	if err := db.QueryRowContext(t.Context(), "SELECT body, at FROM kept").Scan(&body, &got); err != nil {
		t.Fatal(err)
	}
}

func TestMariaDBTakesVariablesAndLeavesNothing(t *testing.T) {
	t.Parallel()
	server, err := projectionstest.NewMariaDB(projectionstest.With("default-time-zone", "+05:30"))
	if err != nil {
		t.Fatal(err)
	}
	var zone, charset string
	err = open(t, server.DSN("")).QueryRowContext(t.Context(), "SELECT @@time_zone, @@character_set_server").
		Scan(&zone, &charset)
	if err != nil || zone != "+05:30" || charset != "utf8mb4" {
		t.Errorf("time zone %q, character set %q, %v", zone, charset, err)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-server.Done():
	default:
		t.Error("the server still runs")
	}
	if _, err := os.Stat(server.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its directory is still there: %v", err)
	}
}

func TestMariaDBSaysWhyItDoesNotStart(t *testing.T) {
	t.Parallel()
	server, err := projectionstest.NewMariaDB(projectionstest.With("no-such-variable", "1"))
	if err == nil {
		_ = server.Close()
		t.Fatal("it started")
	}
	if !strings.Contains(err.Error(), "no-such-variable") {
		t.Fatalf("the error does not show what the server printed: %v", err)
	}
}
