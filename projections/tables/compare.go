package tables

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"mpim/projections/builds"
)

var _ builds.Comparer = Code{}

// Compare implements builds.Comparer.
func (c Code) Compare(
	ctx context.Context, live, fresh builds.Build,
	follow func(ctx context.Context, positions map[int]int64) error, report func(builds.Difference) error,
) error {
	return c.DB.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		var rows []struct {
			Partition int   `bun:"log_partition"`
			Seq       int64 `bun:"seq"`
		}
		err := tx.NewSelect().Table("checkpoints").Column("log_partition", "seq").
			Where("projection = ? AND build = ?", live.Name, live.Number).Scan(ctx, &rows)
		if err != nil {
			return err
		}
		positions := make(map[int]int64, len(rows))
		for _, r := range rows {
			positions[r.Partition] = r.Seq
		}
		if err := follow(ctx, positions); err != nil {
			return err
		}
		return c.DB.Read(ctx, func(ctx context.Context, beside bun.Tx) error {
			for _, t := range c.Definition.Tables {
				if err := t.compare(ctx, tx, beside, live, fresh, report); err != nil {
					return fmt.Errorf("compare %s: %w", t.Name, err)
				}
			}
			return nil
		})
	})
}

var primaryKey = regexp.MustCompile(`PRIMARY KEY \(([^)]*)\)`)

// key returns the columns of the primary key.
func (t Table) key() []string {
	found := primaryKey.FindStringSubmatch(t.Columns)
	if found == nil {
		return nil
	}
	var columns []string
	for column := range strings.SplitSeq(found[1], ",") {
		columns = append(columns, strings.TrimSpace(column))
	}
	return columns
}

// compare goes over both tables in the order of their key.
func (t Table) compare(
	ctx context.Context, tx, beside bun.Tx, live, fresh builds.Build, report func(builds.Difference) error,
) (err error) {
	a, err := t.open(ctx, tx, live)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.rows.Close()) }()
	b, err := t.open(ctx, beside, fresh)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.rows.Close()) }()
	for a.next(); a.err == nil; {
		if b.row == nil && !b.ended {
			b.next()
		}
		if b.err != nil {
			return b.err
		}
		order, over := orderOf(a, b)
		if over {
			break
		}
		if d, differs := t.difference(a, b, order); differs {
			if err := report(d); err != nil {
				return err
			}
		}
		if order <= 0 {
			a.next()
		}
		if order >= 0 {
			b.next()
		}
	}
	return errors.Join(a.err, b.err)
}

// orderOf says which of two rows comes first; over, that both tables are at their ends.
func orderOf(a, b *cursor) (order int, over bool) {
	switch {
	case a.ended && b.ended:
		return 0, true
	case a.ended:
		return 1, false
	case b.ended:
		return -1, false
	}
	for _, i := range a.keys {
		if order := compareValues(a.row[i], b.row[i]); order != 0 {
			return order, false
		}
	}
	return 0, false
}

// difference says what differs between two rows, of which one may be missing.
func (t Table) difference(a, b *cursor, order int) (builds.Difference, bool) {
	switch {
	case order < 0:
		return builds.Difference{Where: t.Name + " " + a.key(), Live: a.text()}, true
	case order > 0:
		return builds.Difference{Where: t.Name + " " + b.key(), Fresh: b.text()}, true
	}
	var live, fresh []string
	for i, column := range a.columns {
		if compareValues(a.row[i], b.row[i]) != 0 {
			live = append(live, column+"="+textOf(a.row[i]))
			fresh = append(fresh, column+"="+textOf(b.row[i]))
		}
	}
	return builds.Difference{
		Where: t.Name + " " + a.key(), Live: strings.Join(live, " "), Fresh: strings.Join(fresh, " "),
	}, len(live) > 0
}

// cursor goes over the rows of a table.
type cursor struct {
	rows    *sql.Rows
	columns []string
	numbers []bool // by column
	keys    []int
	row     []any // nil before the first and behind the last
	ended   bool
	err     error
}

func (t Table) open(ctx context.Context, tx bun.Tx, b builds.Build) (*cursor, error) {
	query := "SELECT * FROM " + b.Table(t.Name) + " ORDER BY " + strings.Join(t.key(), ", ")
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	c := &cursor{rows: rows}
	types, err := rows.ColumnTypes()
	if err != nil {
		_ = rows.Close() //nolint:sqlclosecheck // who gets the cursor closes it
		return nil, err
	}
	for i, column := range types {
		c.columns = append(c.columns, column.Name())
		c.numbers = append(c.numbers, strings.Contains(strings.ToUpper(column.DatabaseTypeName()), "INT"))
		for _, key := range t.key() {
			if key == column.Name() {
				c.keys = append(c.keys, i)
			}
		}
	}
	return c, rows.Err()
}

// next reads the next row.
func (c *cursor) next() {
	if c.row = nil; c.ended || !c.rows.Next() {
		c.ended, c.err = true, errors.Join(c.err, c.rows.Err())
		return
	}
	row, pointers := make([]any, len(c.columns)), make([]any, len(c.columns))
	for i := range row {
		pointers[i] = &row[i]
	}
	if c.err = c.rows.Scan(pointers...); c.err != nil {
		c.ended = true
		return
	}
	for i, value := range row {
		text, isText := value.([]byte)
		if s, ok := value.(string); ok {
			text, isText = []byte(s), true
		}
		if isText {
			row[i] = text
			if n, err := strconv.ParseInt(string(text), 10, 64); err == nil && c.numbers[i] {
				row[i] = n // the protocol of MySQL writes numbers as text
			}
		}
	}
	c.row = row
}

func (c *cursor) key() string {
	parts := make([]string, len(c.keys))
	for i, k := range c.keys {
		parts[i] = c.columns[k] + "=" + textOf(c.row[k])
	}
	return strings.Join(parts, " ")
}

func (c *cursor) text() string {
	parts := make([]string, len(c.columns))
	for i, column := range c.columns {
		parts[i] = column + "=" + textOf(c.row[i])
	}
	return strings.Join(parts, " ")
}

func compareValues(a, b any) int {
	switch x := a.(type) {
	case []byte:
		if y, ok := b.([]byte); ok {
			return bytes.Compare(x, y)
		}
	case int64:
		if y, ok := b.(int64); ok {
			return cmp.Compare(x, y)
		}
	case time.Time:
		if y, ok := b.(time.Time); ok {
			return x.Compare(y)
		}
	}
	return strings.Compare(textOf(a), textOf(b))
}

func textOf(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case []byte:
		return fmt.Sprintf("%q", v)
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	default:
		return fmt.Sprint(v)
	}
}
