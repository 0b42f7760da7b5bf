package database_test

import (
	"strings"
	"testing"
	"time"

	"mpim/projections/database"
	"mpim/schema/migrations"
)

// One repairs at a time, under an epoch that rises once, and what is planned is kept whole.
func TestRepairsAreKept(t *testing.T) {
	t.Parallel()
	for name, url := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, db := t.Context(), open(t, url(t))
			m, err := database.NewMigrations(db, migrations.Files)
			if err == nil {
				_, err = m.Up(ctx)
			}
			if err != nil {
				t.Fatal(err)
			}
			id := strings.Repeat("a", 32)
			if _, err := database.BeginIdentity(ctx, db, database.Identity{ID: id, Partitions: 2, Epoch: 1}); err != nil {
				t.Fatal(err)
			}
			if err := database.BeginRepair(ctx, db, id, 1); err == nil {
				t.Error("a log that was not created to its end is repaired")
			}
			if err := database.CompleteIdentity(ctx, db, id); err != nil {
				t.Fatal(err)
			}
			if err := database.BeginRepair(ctx, db, id, 1); err != nil {
				t.Fatal(err)
			}
			if err := database.BeginRepair(ctx, db, id, 1); err == nil {
				t.Error("the epoch rises twice")
			}
			known, _, err := database.ReadIdentity(ctx, db)
			if err != nil || known.Complete || !known.Repairing || known.Epoch != 2 {
				t.Errorf("while it is repaired: %+v, %v", known, err)
			}

			plan := []database.Repair{
				{Epoch: 2, Partition: 0, From: 5, To: 9, Lost: 2, Head: 4, Archived: 7, Common: 7, End: 7},
				{Epoch: 2, Partition: 1, From: 1, To: 3, Archived: 3, Common: 3, End: 3, Anew: true},
			}
			if err := database.PlanRepair(ctx, db, plan); err != nil {
				t.Fatal(err)
			}
			if err := database.PlanRepair(ctx, db, plan[1:]); err == nil {
				t.Error("another plan for the same epoch was kept")
			}
			if err := database.CompleteRepair(ctx, db, id, 2); err != nil {
				t.Fatal(err)
			}
			kept, err := database.Repairs(ctx, db, 2)
			if err != nil || len(kept) != 2 || kept[0].Lost != 2 || kept[0].End != 7 || !kept[1].Anew || kept[1].FinishedAt.IsZero() {
				t.Errorf("kept: %+v, %v", kept, err)
			}
			if known, _, err := database.ReadIdentity(ctx, db); err != nil || !known.Complete || known.Epoch != 2 {
				t.Errorf("afterwards: %+v, %v", known, err)
			}
		})
	}
}

func TestRepairLease(t *testing.T) {
	t.Parallel()
	for name, url := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, db := t.Context(), open(t, url(t))
			m, err := database.NewMigrations(db, migrations.Files)
			if err == nil {
				_, err = m.Up(ctx)
			}
			if err != nil {
				t.Fatal(err)
			}
			first, _, taken, err := database.TakeRepairLease(ctx, db, "first", time.Hour)
			if err != nil || !taken {
				t.Fatalf("taken %t, %v", taken, err)
			}
			if _, holder, taken, err := database.TakeRepairLease(ctx, db, "second", time.Hour); err != nil || taken || holder != "first" {
				t.Errorf("taken twice: %t, holder %q, %v", taken, holder, err)
			}
			if held, err := database.RenewRepairLease(ctx, db, first, 0); err != nil || !held {
				t.Errorf("given back: %t, %v", held, err)
			}
			second, _, taken, err := database.TakeRepairLease(ctx, db, "second", time.Hour)
			if err != nil || !taken || second <= first {
				t.Errorf("taken again: %t, token %d behind %d, %v", taken, second, first, err)
			}
			if held, err := database.RenewRepairLease(ctx, db, first, time.Hour); err != nil || held {
				t.Errorf("renewed by who lost it: %t, %v", held, err)
			}
		})
	}
}
