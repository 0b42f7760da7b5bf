package main_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"mpim/projections/database"
	"mpim/projections/projectionstest"
)

// Without a worker, who knows SQL alone sees that history falls behind, since gateways note how far the log is.
func TestLagShowsInSQLWithoutWorkers(t *testing.T) {
	d := deploy(t, layout{gateways: 1, workers: 1})
	db, err := database.Open(t.Context(), databaseOf(d))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	status := func(condition string) func() error {
		return func() error {
			rows := projectionstest.Rows(t.Context(), t, db, "SELECT events_applied, events_behind, lag_seconds, head_age_seconds FROM projection_status WHERE projection = 'history'")
			yes := projectionstest.Rows(t.Context(), t, db, "SELECT COUNT(*) AS n FROM projection_status WHERE projection = 'history' AND "+condition)
			if !slices.Equal(yes, []string{"n=1"}) {
				return fmt.Errorf("%s is not so: %s", condition, rows)
			}
			return nil
		}
	}
	if _, err := register(t.Context(), d.gateways[0].url, "ann"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, 20*time.Second, "history is at the head", status("events_applied > 0 AND events_behind = 0 AND head_age_seconds < 10"))
	if err := d.workers[0].Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := register(t.Context(), d.gateways[0].url, "ben"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, 20*time.Second, "history is seen to be behind", status("events_behind > 0 AND lag_seconds > 1 AND head_age_seconds < 10"))
}
