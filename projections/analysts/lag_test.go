package analysts_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"mpim/projections/database"
	"mpim/projections/projectionstest"
)

// What was appended while no worker ran shows as a lag, and that nobody looks at the log any more shows as well.
func TestLagShowsWithoutWorkers(t *testing.T) {
	t.Parallel()
	projectionstest.Each(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		seed(t, db)
		ask := func(question string) string {
			t.Helper()
			return strings.Join(projectionstest.Rows(t.Context(), t, db, "SELECT "+question+" AS answer FROM projection_status WHERE projection = 'history'"), " ")
		}
		note := func(head int64, every time.Duration) {
			t.Helper()
			if err := database.NoteHeads(t.Context(), db, []int64{head, 7}, every); err != nil {
				t.Fatal(err)
			}
		}
		behind := func(n string) string { return "CASE WHEN events_behind = " + n + " THEN 1 ELSE 0 END" }
		if got := ask(behind("0")) + ask("CASE WHEN lag_seconds = 0 THEN 1 ELSE 0 END"); got != "answer=1answer=1" {
			t.Errorf("at the head it is not behind by 0: %s", got)
		}
		note(1000, time.Hour) // it was noted a moment ago
		if got := ask(behind("0")); got != "answer=1" {
			t.Errorf("noted too often: %s", got)
		}
		note(1000, 0)
		if got := ask(behind("1007 - events_applied")); got != "answer=1" {
			t.Errorf("not behind by what was appended: %s", got)
		}
		if got := ask("CASE WHEN lag_seconds > 1000 AND head_age_seconds < 60 THEN 1 ELSE 0 END"); got != "answer=1" {
			t.Errorf("its last event is old, and the head is not: %s", got)
		}
		age(t, db, -time.Hour)
		if got := ask("CASE WHEN head_age_seconds BETWEEN 3500 AND 3700 THEN 1 ELSE 0 END"); got != "answer=1" {
			t.Errorf("nobody looked for an hour: %s", got)
		}
		age(t, db, time.Hour) // of a clock that is ahead
		note(1001, time.Second)
		if got := ask(behind("1008 - events_applied")); got != "answer=1" {
			t.Errorf("a clock that is ahead keeps others from noting: %s", got)
		}
	})
}

// age makes what is noted of the heads be from another time.
func age(t *testing.T, db *database.DB, by time.Duration) {
	t.Helper()
	err := db.Write(t.Context(), func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewUpdate().Table("log_heads").Set("noted_at = ?", time.Now().UTC().Add(by).Truncate(time.Microsecond)).Where("1 = 1").Exec(ctx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
