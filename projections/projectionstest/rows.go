package projectionstest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"mpim/projections/database"
)

// Rows returns what a query gives as text, a line a row, the same for the same values in every dialect.
func Rows(ctx context.Context, tb testing.TB, db *database.DB, query string, args ...any) (lines []string) {
	tb.Helper()
	err := db.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		lines = nil
		rows, err := tx.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		columns, err := rows.Columns()
		if err != nil {
			return err
		}
		values := make([]any, len(columns))
		pointers := make([]any, len(columns))
		for i := range values {
			pointers[i] = &values[i]
		}
		for rows.Next() {
			if err := rows.Scan(pointers...); err != nil {
				return err
			}
			line := make([]string, len(columns))
			for i, column := range columns {
				line[i] = column + "=" + text(values[i])
			}
			lines = append(lines, strings.Join(line, " "))
		}
		return rows.Err()
	})
	if err != nil {
		tb.Fatalf("%s: %v", query, err)
	}
	return lines
}

func text(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case []byte:
		return fmt.Sprintf("%q", v)
	case string:
		return fmt.Sprintf("%q", v)
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	default:
		return fmt.Sprint(v)
	}
}
