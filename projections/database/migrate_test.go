package database_test

import (
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"mpim/projections/database"
	"mpim/projections/projectionstest"
	"mpim/schema/migrations"
)

// files makes migrations of pairs of contents, up and down.
func files(contents ...string) fstest.MapFS {
	all := fstest.MapFS{}
	for i := 0; i < len(contents); i += 2 {
		name := "000" + string(rune('1'+i/2)) + "_step"
		all[name+".up.sql"] = &fstest.MapFile{Data: []byte(contents[i])}
		all[name+".down.sql"] = &fstest.MapFile{Data: []byte(contents[i+1])}
	}
	return all
}

const (
	first  = "-- a comment;\nCREATE TABLE IF NOT EXISTS a (\n  id {id} NOT NULL,\n  PRIMARY KEY (id)\n) {table};\nCREATE TABLE IF NOT EXISTS b (id {id} NOT NULL, PRIMARY KEY (id)) {table};\n"
	second = "CREATE TABLE IF NOT EXISTS c (id {id} NOT NULL, PRIMARY KEY (id)) {table};\n"
)

func newMigrations(t *testing.T, db *database.DB, all fstest.MapFS) *database.Migrations {
	t.Helper()
	m, err := database.NewMigrations(db, all)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMigrationsGoUpAndDown(t *testing.T) {
	t.Parallel()
	for name, url := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t, url(t))
			old := newMigrations(t, db, files(first, "DROP TABLE b;\nDROP TABLE a;\n"))
			if err := old.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "mpim migrate up") {
				t.Errorf("an empty database: %v", err)
			}
			if done, err := old.Up(t.Context()); err != nil || len(done) != 1 || done[0].AppliedAt.IsZero() {
				t.Fatalf("up: %+v, %v", done, err)
			}
			projectionstest.Rows(t.Context(), t, db, "SELECT id FROM a UNION ALL SELECT id FROM b")
			if done, err := old.Up(t.Context()); err != nil || len(done) != 0 {
				t.Errorf("up again: %+v, %v", done, err)
			}

			both := files(first, "DROP TABLE b;\nDROP TABLE a;\n", second, "DROP TABLE c;\n")
			next := newMigrations(t, db, both)
			if err := next.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "mpim migrate up") {
				t.Errorf("a binary newer than the schema: %v", err)
			}
			list, err := next.List(t.Context())
			if err != nil || len(list) != 2 || list[0].AppliedAt.IsZero() || !list[1].AppliedAt.IsZero() {
				t.Errorf("list: %+v, %v", list, err)
			}
			if _, err := next.Up(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := next.Check(t.Context()); err != nil {
				t.Error(err)
			}
			if err := old.Check(t.Context()); err != nil {
				t.Errorf("an older binary on an expanded schema: %v", err)
			}
			if list, err := old.List(t.Context()); err != nil || len(list) != 2 || list[1].Known {
				t.Errorf("the older binary lists %+v, %v", list, err)
			}
			if _, _, err := old.Down(t.Context()); err == nil || !strings.Contains(err.Error(), "newer mpim") {
				t.Errorf("the older binary takes back what it does not know: %v", err)
			}
			if undone, ok, err := next.Down(t.Context()); err != nil || !ok || undone.Number != 2 {
				t.Errorf("down: %+v, %v", undone, err)
			}
			if err := old.Check(t.Context()); err != nil {
				t.Error(err)
			}
			if _, ok, err := old.Down(t.Context()); err != nil || !ok {
				t.Error(err)
			}
			if _, ok, err := old.Down(t.Context()); err != nil || ok {
				t.Errorf("down of nothing: %t, %v", ok, err)
			}
		})
	}
}

func TestMigrationsRefuseWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	for name, url := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t, url(t))
			old := newMigrations(t, db, files(first, "DROP TABLE a;\n"))
			demanding := newMigrations(t, db, files(first, "DROP TABLE a;\n", "-- requires: 2\n"+second, "DROP TABLE c;\n"))
			if _, err := demanding.Up(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := old.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "needs a newer mpim") {
				t.Errorf("a schema that demands a newer binary: %v", err)
			}
			other := newMigrations(t, db, files(first+"-- changed\n", "DROP TABLE a;\n", second, "DROP TABLE c;\n"))
			if err := other.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "different sources") {
				t.Errorf("a changed file: %v", err)
			}
			if _, err := other.Up(t.Context()); err == nil {
				t.Error("a changed file was passed over")
			}
		})
	}
	for _, wrong := range []fstest.MapFS{
		{"0002_a.up.sql": {}, "0002_a.down.sql": {}},
		{"1_a.up.sql": {}},
		{"0001_a.up.sql": {}},
		files("-- requires: soon\n", ""),
	} {
		if _, err := database.NewMigrations(nil, wrong); err == nil {
			t.Errorf("%v was taken", wrong)
		}
	}
}

// Lines of work end in another order than they began: what has a lower number is applied later.
func TestMigrationsMayComeLate(t *testing.T) {
	t.Parallel()
	for name, url := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t, url(t))
			both := files(first, "DROP TABLE b;\nDROP TABLE a;\n", second, "DROP TABLE c;\n", "SELECT 1;\n", "SELECT 1;\n")
			early := files(first, "DROP TABLE b;\nDROP TABLE a;\n", second, "DROP TABLE c;\n", "SELECT 1;\n", "SELECT 1;\n")
			delete(early, "0002_step.up.sql")
			delete(early, "0002_step.down.sql")
			if done, err := newMigrations(t, db, early).Up(t.Context()); err != nil || len(done) != 2 {
				t.Fatalf("up: %+v, %v", done, err)
			}
			m := newMigrations(t, db, both)
			if err := m.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "lacks migration 2") {
				t.Errorf("a schema without migration 2: %v", err)
			}
			if done, err := m.Up(t.Context()); err != nil || len(done) != 1 || done[0].Number != 2 {
				t.Fatalf("up: %+v, %v", done, err)
			}
			if list, err := m.List(t.Context()); err != nil || len(list) != 3 || list[1].Number != 2 || list[1].AppliedAt.IsZero() {
				t.Errorf("list: %+v, %v", list, err)
			}
			if err := newMigrations(t, db, early).Check(t.Context()); err != nil {
				t.Errorf("a binary without migration 2: %v", err)
			}
		})
	}
}

// What was cut off between two statements goes on.
func TestMigrationIsTakenUpAgain(t *testing.T) {
	t.Parallel()
	db := open(t, kinds["mariadb"](t))
	broken := newMigrations(t, db, files(first+"CREATE NONSENSE;\n", ""))
	if _, err := broken.Up(t.Context()); err == nil || !strings.Contains(err.Error(), "migration 1 (step)") {
		t.Fatalf("nonsense was applied: %v", err)
	}
	if _, err := newMigrations(t, db, files(first, "")).Up(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestSeveralMigrateAtOnce(t *testing.T) {
	t.Parallel()
	for name, url := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t, url(t))
			var group sync.WaitGroup
			done := make(chan int, 4)
			for range cap(done) {
				m, err := database.NewMigrations(db, migrations.Files)
				if err != nil {
					t.Fatal(err)
				}
				group.Go(func() {
					applied, err := m.Up(t.Context())
					if err != nil {
						t.Error(err)
					}
					done <- len(applied)
				})
			}
			group.Wait()
			close(done)
			sum := 0
			for n := range done {
				sum += n
			}
			all, err := fs.Glob(migrations.Files, "*.up.sql")
			if err != nil || sum != len(all) {
				t.Errorf("%d migrations were applied, want %d, %v", sum, len(all), err)
			}
		})
	}
}

func TestIdentityIsMadeOnce(t *testing.T) {
	t.Parallel()
	for name, url := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t, url(t))
			m, err := database.NewMigrations(db, migrations.Files)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := m.Up(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, ok, err := database.ReadIdentity(t.Context(), db); err != nil || ok {
				t.Fatalf("an identity before the first: %t, %v", ok, err)
			}
			var group sync.WaitGroup
			begun := make(chan database.Identity, 4)
			for i := range cap(begun) {
				group.Go(func() {
					mine := database.Identity{ID: strings.Repeat(string(rune('a'+i)), 32), Partitions: 16, Epoch: 1}
					mine.Key[31] = byte(i)
					got, err := database.BeginIdentity(t.Context(), db, mine)
					if err != nil {
						t.Error(err)
					}
					begun <- got
				})
			}
			group.Wait()
			one := <-begun
			for range cap(begun) - 1 {
				if other := <-begun; other != one {
					t.Errorf("two identities: %+v and %+v", one, other)
				}
			}
			if one.Complete || one.CreatedAt.IsZero() || one.Partitions != 16 || one.Key[31] != one.ID[0]-'a' {
				t.Errorf("begun: %+v", one)
			}
			if err := database.CompleteIdentity(t.Context(), db, "another"); err == nil {
				t.Error("another log was completed")
			}
			for range 2 {
				if err := database.CompleteIdentity(t.Context(), db, one.ID); err != nil {
					t.Fatal(err)
				}
			}
			one.Complete = true
			if got, ok, err := database.ReadIdentity(t.Context(), db); err != nil || !ok || got != one {
				t.Errorf("read %+v, want %+v, %v", got, one, err)
			}
		})
	}
}
