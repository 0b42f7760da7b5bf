package history_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"mpim/projections/database"
	"mpim/projections/history"
	"mpim/projections/projectionstest"
)

func TestMain(m *testing.M) { os.Exit(projectionstest.Main(m)) }

// tables are those of the first build.
var tables = []string{
	"history_1_conversations", "history_1_members", "history_1_messages", "history_1_revisions", "history_1_reactions",
}

// dump returns every row of the first build as text, in the order of the keys.
func dump(ctx context.Context, tb testing.TB, db *database.DB) string {
	tb.Helper()
	var b strings.Builder
	for _, table := range tables {
		fmt.Fprintf(&b, "%s\n", table)
		for _, line := range projectionstest.Rows(ctx, tb, db, "SELECT * FROM "+table+" ORDER BY 1, 2, 3") {
			fmt.Fprintf(&b, "  %s\n", line)
		}
	}
	return b.String()
}

// take makes the projection and takes a partition of it.
func take(tb testing.TB, db *database.DB, partition int, token int64) *history.Projection {
	tb.Helper()
	p := history.New(db)
	if _, err := p.Take(tb.Context(), partition, token); err != nil {
		tb.Fatal(err)
	}
	return p
}

func at(second int) time.Time {
	return time.Date(2026, 1, 2, 3, 4, 5+second, 678_000_000, time.UTC)
}
