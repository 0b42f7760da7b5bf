package database_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"mpim/projections"
	"mpim/projections/database"
	"mpim/projections/projectionstest"
)

func TestOpenSaysWhatIsWrongWithASetting(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"":                                    "MPIM_DATABASE_URL",
		"postgres://localhost/mpim":           `begins with "postgres"`,
		"mysql://localhost":                   "lacks host or database",
		"mysql://u:secr%zet@localhost/x":      "cannot be parsed",
		"mysql://localhost/mpim?parseTime=17": "invalid bool value",
		"sqlite://file/x":                     "write sqlite:///file/x",
		"sqlite:":                             "names no file",
		"sqlite:///no/such/directory/x":       "does its directory exist",
	} {
		db, err := database.Open(t.Context(), url)
		if err == nil {
			_ = db.Close()
			t.Errorf("%q was opened", url)
			continue
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secr") {
			t.Errorf("%q: %v does not say %q", url, err, want)
		}
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		server.URL("no_such_database"):                                        "CREATE DATABASE",
		strings.Replace(server.URL("x"), "mpim:mpim", "mpim:wrong", 1):        "check user and password",
		strings.Replace(server.URL("x"), server.Addr(), "127.0.0.1:1", 1):     "is the server running",
		strings.Replace(server.URL("x"), server.Addr(), "nowhere.invalid", 1): "is the server running",
	} {
		db := open(t, url)
		err := db.Ping(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "wrong") {
			t.Errorf("%s: %v does not say %q", db, err, want)
		}
		err = db.Write(t.Context(), func(context.Context, bun.Tx) error { return nil })
		if !projections.IsOutside(err) {
			t.Errorf("%s: %v counts as the data's fault", db, err)
		}
	}
}

// define makes a table with a row for tests.
func define(t *testing.T, db *database.DB) {
	t.Helper()
	err := db.Define(t.Context(), `CREATE TABLE IF NOT EXISTS things (
		id {id} NOT NULL, label {short} NOT NULL, data {bytes}, at {time}, n BIGINT NOT NULL, PRIMARY KEY (id)) {table}`)
	if err != nil {
		t.Fatal(err)
	}
}

type thing struct {
	bun.BaseModel `bun:"table:things"`

	ID    string    `bun:"id,pk"`
	Label string    `bun:"label"`
	Data  []byte    `bun:"data"`
	At    time.Time `bun:"at,nullzero"`
	N     int64     `bun:"n"`
}

func insert(ctx context.Context, tx bun.Tx, things ...*thing) error {
	_, err := tx.NewInsert().Model(&things).Exec(ctx)
	return err
}

func TestValuesComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	for name, url := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t, url(t))
			define(t, db)
			every := make([]byte, 256)
			for i := range every {
				every[i] = byte(i)
			}
			want := thing{
				ID: "a", Label: `it's "quoted" \ 👋 %_`, Data: every, N: -1 << 63,
				At: time.Date(2026, 7, 1, 23, 59, 59, 123_456_000, time.FixedZone("", 9*3600)),
			}
			err := db.Write(t.Context(), func(ctx context.Context, tx bun.Tx) error { return insert(ctx, tx, &want) })
			if err != nil {
				t.Fatal(err)
			}
			var got thing
			err = db.Read(t.Context(), func(ctx context.Context, tx bun.Tx) error {
				return tx.NewSelect().Model(&got).Where("label = ?", want.Label).Scan(ctx)
			})
			if err != nil {
				t.Fatal(err)
			}
			if got.Label != want.Label || string(got.Data) != string(want.Data) || got.N != want.N || !got.At.Equal(want.At) {
				t.Errorf("wrote %+v, read %+v", want, got)
			}
		})
	}
}

func TestWhatDoesNotFitIsTheDatasFault(t *testing.T) {
	t.Parallel()
	db := open(t, kinds["mariadb"](t))
	define(t, db)
	for what, row := range map[string]*thing{
		"too long": {ID: "a", Label: strings.Repeat("x", 300)}, "no ASCII": {ID: "é"},
	} {
		err := db.Write(t.Context(), func(ctx context.Context, tx bun.Tx) error { return insert(ctx, tx, row) })
		if err == nil || projections.IsOutside(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for name, url := range kinds {
		db := open(t, url(t))
		define(t, db)
		err := db.Write(t.Context(), func(ctx context.Context, tx bun.Tx) error {
			return errors.Join(insert(ctx, tx, &thing{ID: "a"}), insert(ctx, tx, &thing{ID: "a"}))
		})
		if err == nil || projections.IsOutside(err) {
			t.Errorf("%s: a duplicate: %v", name, err)
		}
		err = db.Read(t.Context(), func(ctx context.Context, tx bun.Tx) error {
			return tx.NewSelect().Table("no_such_table").Column("x").Scan(ctx, new(string))
		})
		if !projections.IsOutside(err) {
			t.Errorf("%s: a missing table counts as the data's fault: %v", name, err)
		}
	}
}

// Many write at once, in orders that deadlock, and all come through; an aborted one leaves nothing.
func TestWritersMeet(t *testing.T) {
	t.Parallel()
	for name, url := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t, url(t))
			define(t, db)
			const rows, writers, rounds = 4, 8, 10
			err := db.Write(t.Context(), func(ctx context.Context, tx bun.Tx) error {
				for i := range rows {
					if err := insert(ctx, tx, &thing{ID: strconv.Itoa(i)}); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			var group sync.WaitGroup
			for w := range writers {
				group.Go(func() {
					for range rounds {
						if err := addAll(t.Context(), db, rows, w); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			group.Wait()
			for _, line := range projectionstest.Rows(t.Context(), t, db, "SELECT n FROM things") {
				if want := fmt.Sprintf("n=%d", writers*rounds); line != want {
					t.Errorf("%s, want %s", line, want)
				}
			}
			failed := errors.New("changed my mind")
			err = db.Write(t.Context(), func(ctx context.Context, tx bun.Tx) error {
				return errors.Join(insert(ctx, tx, &thing{ID: "x"}), failed)
			})
			if !errors.Is(err, failed) || projections.IsOutside(err) {
				t.Errorf("an aborted transaction: %v", err)
			}
			if left := projectionstest.Rows(t.Context(), t, db, "SELECT id FROM things WHERE id = ?", "x"); len(left) > 0 {
				t.Errorf("an aborted transaction left %q", left)
			}
		})
	}
}

// addAll adds one to every row, in an order of the writer's own, while others read.
func addAll(ctx context.Context, db *database.DB, rows, writer int) error {
	err := db.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		for i := range rows {
			id := (i + writer) % rows
			if writer%2 == 1 {
				id = rows - 1 - id
			}
			if _, err := tx.ExecContext(ctx, "UPDATE things SET n = n + 1 WHERE id = ?", strconv.Itoa(id)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return db.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		var different []int64
		if err := tx.NewSelect().Table("things").ColumnExpr("DISTINCT n").Scan(ctx, &different); err != nil {
			return err
		}
		if len(different) != 1 {
			return fmt.Errorf("a reader saw half of a transaction: %v", different)
		}
		return nil
	})
}

func TestACancelledTransactionLeavesTheDatabaseUsable(t *testing.T) {
	t.Parallel()
	for name, url := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t, url(t))
			define(t, db)
			ctx, cancel := context.WithCancel(t.Context())
			err := db.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
				defer cancel()
				return insert(ctx, tx, &thing{ID: "a"})
			})
			if !errors.Is(err, context.Canceled) && err == nil {
				t.Fatalf("a cancelled transaction: %v", err)
			}
			err = db.Write(t.Context(), func(ctx context.Context, tx bun.Tx) error { return insert(ctx, tx, &thing{ID: "b"}) })
			if err != nil {
				t.Fatal(err)
			}
			if got := projectionstest.Rows(t.Context(), t, db, "SELECT id FROM things"); len(got) != 1 || got[0] != `id="b"` {
				t.Errorf("rows are %q", got)
			}
		})
	}
}
