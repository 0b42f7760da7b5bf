// Package rowstest checks that a projection in SQL comes to the same rows whatever happens on the way, on every kind of
// database: any batching, any redelivery, workers that were deposed.
package rowstest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/uptrace/bun"
	"pgregory.net/rapid"

	"mpim/projections"
	"mpim/projections/database"
	"mpim/projections/projectionstest"
)

// New makes the projection on a database.
type New func(*database.DB) projections.Projection

// Draw appends events to a log, sound ones and ones that name what is not there.
type Draw func(tb testing.TB, r *rapid.T, log *projectionstest.Log)

// AnyBatching draws logs and folds each twice: event by event, as a rebuild would, and in any batches with redeliveries and
// take-overs, as live. Both must come to the same rows. Then it calls also, which may look at the rows; it may be nil.
func AnyBatching(t *testing.T, open New, how Draw, also func(r *rapid.T, db *database.DB, log *projectionstest.Log)) {
	t.Helper()
	for name, empty := range projectionstest.Databases {
		if name == "sqlite" {
			continue // the one in memory runs the same statements
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reference, db := projectionstest.Databases["sqlite memory"](t), empty(t)
			rapid.Check(t, func(r *rapid.T) {
				log := projectionstest.NewLog(0)
				how(t, r, log)
				if len(log.Records) == 0 {
					r.Skip("no events")
				}
				clean(t, open, reference)
				clean(t, open, db)
				fold(t, r, open(reference), log)
				applyLive(t, r, open, db, log)
				want, got := Dump(t, reference, open(db).Name()), Dump(t, db, open(db).Name())
				if !slices.Equal(want, got) {
					r.Fatalf("rows differ after\n%s\n%s", describe(log), difference(want, got))
				}
				if also != nil {
					also(r, reference, log) // whose rows are the same
				}
			})
		})
	}
}

// Apply applies what a projection has not seen of a log, in one batch.
func Apply(tb testing.TB, p projections.Projection, log *projectionstest.Log) {
	tb.Helper()
	at, err := p.Take(tb.Context(), log.Partition, 1)
	if err != nil {
		tb.Fatal(err)
	}
	end := int64(len(log.Records))
	if at.Seq == end {
		return
	}
	if err := p.Apply(tb.Context(), step(log, 1, at.Seq+1, end)); err != nil {
		tb.Fatal(err)
	}
}

// Dump returns every row of the first build of a projection as text, in an order that does not tell how it came about.
func Dump(tb testing.TB, db *database.DB, projection string) (lines []string) {
	tb.Helper()
	for _, table := range tables(tb, db, projection) {
		rows := projectionstest.Rows(tb.Context(), tb, db, "SELECT * FROM "+table)
		slices.Sort(rows)
		for _, row := range rows {
			lines = append(lines, table+" "+row)
		}
	}
	return lines
}

// tables returns the names of the tables of the first build of a projection.
func tables(tb testing.TB, db *database.DB, projection string) (names []string) {
	tb.Helper()
	query := "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE ? ORDER BY 1"
	if strings.HasPrefix(db.String(), "mysql:") {
		query = "SELECT table_name AS name FROM information_schema.tables " +
			"WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' AND table_name LIKE ? ORDER BY 1"
	}
	for _, line := range projectionstest.Rows(tb.Context(), tb, db, query, projection+"_1_%") {
		names = append(names, strings.Trim(strings.TrimPrefix(line, "name="), `"`))
	}
	return names
}

// clean empties the tables of the first build and forgets how far it came.
func clean(t *testing.T, open New, db *database.DB) {
	t.Helper()
	p := open(db)
	// This makes the tables; a later token may stand in the way of the rest.
	if _, err := p.Take(t.Context(), 0, 1); err != nil && !errors.Is(err, projections.ErrDeposed) {
		t.Fatal(err)
	}
	emptied := append([]string{"checkpoints"}, tables(t, db, p.Name())...)
	err := db.Write(t.Context(), func(ctx context.Context, tx bun.Tx) error {
		for _, table := range emptied {
			if _, err := tx.ExecContext(ctx, "DELETE FROM "+table); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func take(t *testing.T, p projections.Projection, token int64) {
	t.Helper()
	if _, err := p.Take(t.Context(), 0, token); err != nil {
		t.Fatal(err)
	}
}

func step(log *projectionstest.Log, token, from, to int64) projections.Step {
	return projections.Step{Batch: *log.Batch(token, from, to), At: log.Records[to-1].At}
}

// fold applies a log event by event.
func fold(t *testing.T, r *rapid.T, p projections.Projection, log *projectionstest.Log) {
	t.Helper()
	take(t, p, 1)
	for n := int64(1); n <= int64(len(log.Records)); n++ {
		if err := p.Apply(t.Context(), step(log, 1, n, n)); err != nil {
			r.Fatalf("event %d: %v", n, err)
		}
	}
}

// applyLive applies the log as a flawed world would: in batches of any size, some of them delivered again, some by a worker
// that was deposed meanwhile.
func applyLive(t *testing.T, r *rapid.T, open New, db *database.DB, log *projectionstest.Log) {
	t.Helper()
	token := int64(1)
	p := open(db)
	take(t, p, token)
	end := int64(len(log.Records))
	for from := int64(1); from <= end; {
		to := rapid.Int64Range(from, end).Draw(r, "to")
		next := step(log, token, from, to)
		if err := p.Apply(t.Context(), next); err != nil {
			r.Fatalf("events %d to %d: %v\n%s", from, to, err, describe(log))
		}
		switch rapid.IntRange(0, 3).Draw(r, "what happens") {
		case 0: // the answer was lost
			if err := p.Apply(t.Context(), next); err != nil {
				r.Fatalf("a redelivered step: %v", err)
			}
		case 1: // another worker takes over
			token++
			old := p
			p = open(db)
			take(t, p, token)
			if err := old.Apply(t.Context(), next); !errors.Is(err, projections.ErrDeposed) {
				r.Fatalf("a deposed worker's step got %v", err)
			}
		}
		from = to + 1
	}
}

func describe(log *projectionstest.Log) string {
	var b strings.Builder
	for _, r := range log.Records {
		fmt.Fprintf(&b, "%d %s %d %s %s %s %s\n", r.Seq, r.Aggregate, r.ConversationSeq, r.At.Format("15:04:05"), r.Type, r.Actor, r.Data)
	}
	return b.String()
}

// difference shows the first line in which two dumps differ.
func difference(want, got []string) string {
	for i := range max(len(want), len(got)) {
		a, b := "(nothing)", "(nothing)"
		if i < len(want) {
			a = want[i]
		}
		if i < len(got) {
			b = got[i]
		}
		if a != b {
			return fmt.Sprintf("want %s\ngot  %s", a, b)
		}
	}
	return "no difference"
}
