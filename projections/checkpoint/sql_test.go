package checkpoint_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/builds"
	"mpim/projections/checkpoint"
	"mpim/projections/projectionstest"
	"mpim/schema"
)

// sqlCheckpoints returns the checkpoints of a new build in an empty database.
func sqlCheckpoints(t *testing.T, url string) checkpoint.SQL {
	t.Helper()
	db := projectionstest.Open(t, url)
	build, err := builds.Ensure(t.Context(), db, "test", 1, func(context.Context, int) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return checkpoint.SQL{DB: db, Build: build}
}

func advance(t *testing.T, c checkpoint.SQL, step projections.Step) (moved bool, err error) {
	t.Helper()
	err = c.DB.Write(t.Context(), func(ctx context.Context, tx bun.Tx) error {
		moved, err = c.Advance(ctx, tx, step)
		return err
	})
	return moved, err
}

func step(token, from, to int64) projections.Step {
	return projections.Step{
		Batch: schema.Batch{Partition: 5, Token: token, From: from, To: to, StreamID: "9-9"}, At: time.UnixMilli(1000 + to),
	}
}

func TestSQLCheckpointFences(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func(*testing.T) string{
		"mariadb": func(t *testing.T) string {
			t.Helper()
			server := projectionstest.StartMariaDB(t)
			return server.URL(server.CreateDatabase(t))
		},
		"sqlite": func(*testing.T) string { return "sqlite::memory:" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := sqlCheckpoints(t, url(t))
			if moved, err := advance(t, c, step(1, 1, 3)); moved || !errors.Is(err, projections.ErrDeposed) {
				t.Errorf("a step before the partition was taken: %t, %v", moved, err)
			}
			take := func(token int64, seq int64, want error) {
				t.Helper()
				if at, err := c.Take(t.Context(), 5, token); !errors.Is(err, want) || at.Seq != seq {
					t.Errorf("take with token %d: %+v, %v", token, at, err)
				}
			}
			move := func(token, from, to int64, moved bool, want error) {
				t.Helper()
				if got, err := advance(t, c, step(token, from, to)); got != moved || !errors.Is(err, want) {
					t.Errorf("step of %d to %d under %d: %t, %v", from, to, token, got, err)
				}
			}
			take(7, 0, nil)
			move(7, 1, 3, true, nil)
			move(7, 1, 3, false, nil)                    // its answer was lost
			move(7, 1, 2, false, nil)                    // the first half of the same
			move(7, 3, 4, false, projections.ErrDeposed) // overlaps
			move(7, 5, 6, false, projections.ErrDeposed) // leaves a gap
			move(6, 4, 4, false, projections.ErrDeposed) // an older lease
			move(8, 4, 4, false, projections.ErrDeposed) // a lease that has not taken yet
			take(6, 0, projections.ErrDeposed)           // too late
			take(7, 3, nil)                              // the same again
			take(9, 3, nil)                              // a take-over
			move(7, 4, 4, false, projections.ErrDeposed) // deposed
			move(7, 1, 3, false, projections.ErrDeposed) // deposed, though it was done: it must not go on
			move(9, 4, 10, true, nil)

			positions, err := checkpoint.SQLSource{DB: c.DB}.Positions(t.Context(), "test", []int{0, 5, 6})
			if err != nil || !slices.Equal(positions, []int64{0, 10, 0}) {
				t.Errorf("positions are %v, %v", positions, err)
			}
			status, err := c.Status(t.Context())
			if err != nil || len(status.Partitions) != 1 || status.Partitions[0].Checkpoint != (schema.Checkpoint{Seq: 10, StreamID: "9-9"}) ||
				!status.Partitions[0].At.Equal(time.UnixMilli(1010)) || status.State != projections.Live || status.Store != projections.SQLStore {
				t.Errorf("status is %+v, %v", status, err)
			}
		})
	}
}

func TestSQLParks(t *testing.T) {
	t.Parallel()
	c := sqlCheckpoints(t, "sqlite::memory:")
	if _, err := c.Take(t.Context(), 5, 1); err != nil {
		t.Fatal(err)
	}
	s := step(1, 1, 2)
	group := domain.Aggregate{Kind: domain.Group, ID: "g"}
	s.Parked = []projections.Parked{
		{Record: &schema.Record{Position: domain.Position{Partition: 5, Seq: 1}, Aggregate: group}, Key: "group:g", Reason: strings.Repeat("é", 2000) + "\xff"},
		{Record: &schema.Record{Position: domain.Position{Partition: 5, Seq: 2}, Payload: []byte{0, 0xff}}, Reason: "unreadable"},
	}
	if moved, err := advance(t, c, s); !moved || err != nil {
		t.Fatal(moved, err)
	}
	if moved, err := advance(t, c, s); moved || err != nil {
		t.Fatalf("the same again: %t, %v", moved, err)
	}
	keys, err := c.Parked(t.Context(), 5)
	if err != nil || !slices.Equal(keys, []projections.Key{"", "group:g"}) {
		t.Errorf("keys are %q, %v", keys, err)
	}
	if keys, err := c.Parked(t.Context(), 4); err != nil || len(keys) != 0 {
		t.Errorf("keys of another partition are %q, %v", keys, err)
	}
	if status, err := c.Status(t.Context()); err != nil || status.Parked != 2 {
		t.Errorf("status is %+v, %v", status, err)
	}
	// The writer of the second is erased: why it failed may quote it.
	if err := checkpoint.Forget(t.Context(), c.DB, func(p domain.Position) bool { return p.Seq == 2 }); err != nil {
		t.Fatal(err)
	}
	parked, err := c.ParkedEvents(t.Context())
	if err != nil || len(parked) != 2 || !strings.HasPrefix(parked[0].Reason, "é") || parked[1].Reason == "" || strings.Contains(parked[1].Reason, "unreadable") {
		t.Errorf("parked are %+v, %v", parked, err)
	}
	// Somebody retries between the reading of the keys and this: nothing is parked behind what is not there any more.
	behind := step(1, 3, 3)
	behind.Parked = []projections.Parked{{Record: &schema.Record{Position: domain.Position{Partition: 5, Seq: 3}}, Key: "group:other"}}
	if _, err := advance(t, c, behind); !projections.IsOutside(err) {
		t.Errorf("parked behind nothing: %v", err)
	}
}

// Two workers of two versions that start at once agree on one build, and the other waits.
func TestBuildsKnowTheirVersion(t *testing.T) {
	t.Parallel()
	c := sqlCheckpoints(t, "sqlite::memory:")
	defined := 0
	define := func(_ context.Context, build int) error {
		defined = build
		return nil
	}
	same, err := builds.Ensure(t.Context(), c.DB, "test", 1, define)
	if err != nil || same.Number != 1 || defined != 1 || same.Table("rows") != "test_1_rows" {
		t.Errorf("the same version: %+v, %v", same, err)
	}
	if _, err := builds.Ensure(t.Context(), c.DB, "test", 2, define); !projections.IsOutside(err) {
		t.Errorf("another version: %v", err)
	}
	err = c.DB.Read(t.Context(), func(ctx context.Context, tx bun.Tx) error {
		_, err := builds.Live(ctx, tx, "other")
		return err
	})
	if !projections.IsOutside(err) {
		t.Errorf("a projection without builds: %v", err)
	}
}
