package rows

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/uptrace/bun"

	"mpim/projections/tables"
)

// Rows are those rows of a table that a fold reads and changes.
type Rows[K comparable, R any] struct {
	tx    *tables.Tx
	table Table[K, R]
	cells map[K]*cell[R]
}

// cell is what is known of a key: its row, nil for none, the one that is stored as far as it was loaded, whether one may be
// stored, and whether that differs.
type cell[R any] struct {
	row, was        *R
	stored, changed bool
}

// In returns the rows of the table in a transaction, none of them in memory yet.
func In[K comparable, R any](tx *tables.Tx, t Table[K, R]) *Rows[K, R] {
	return &Rows[K, R]{tx: tx, table: t, cells: make(map[K]*cell[R])}
}

// Load reads the rows of these keys that are not in memory. Keys may repeat.
func (r *Rows[K, R]) Load(ctx context.Context, keys []K) error {
	missing := make([]K, 0, len(keys))
	for _, key := range keys {
		if r.cells[key] == nil {
			r.cells[key] = &cell[R]{}
			missing = append(missing, key)
		}
	}
	slices.SortFunc(missing, r.table.Compare)
	where := r.table.where()
	for chunk := range slices.Chunk(missing, maxKeys) {
		var found []*R
		err := r.tx.NewSelect().Model(&found).ModelTableExpr("? AS r", r.tx.Table(r.table.Name)).
			WhereGroup("", func(q *bun.SelectQuery) *bun.SelectQuery {
				for _, key := range chunk {
					q.WhereOr(where, r.table.Args(key)...)
				}
				return q
			}).Scan(ctx)
		if err != nil {
			return fmt.Errorf("read %s: %w", r.table.Name, err)
		}
		for _, row := range found {
			was := *row
			*r.cells[r.table.Of(row)] = cell[R]{row: row, was: &was, stored: true}
		}
	}
	return nil
}

// Get returns the row of a key that was loaded or put; nil where there is none. Who changes it puts it again.
func (r *Rows[K, R]) Get(key K) *R {
	if c := r.cells[key]; c != nil {
		return c.row
	}
	return nil
}

// Put sets a row, whether its key was loaded or not.
func (r *Rows[K, R]) Put(row *R) { r.set(r.table.Of(row), row) }

// Delete removes the row of a key, whether it was loaded or not.
func (r *Rows[K, R]) Delete(key K) { r.set(key, nil) }

func (r *Rows[K, R]) set(key K, row *R) {
	c := r.cells[key]
	if c == nil {
		c = &cell[R]{stored: true} // for all that is known
		r.cells[key] = c
	}
	c.row, c.changed = row, true
}

// Changes calls fn with each row that changed, in the order of the keys, and with what it was when it was loaded: nil
// where there was none, or where it was not loaded. A row that was deleted is nil.
func (r *Rows[K, R]) Changes(fn func(was, now *R)) {
	for _, key := range slices.SortedFunc(maps.Keys(r.cells), r.table.Compare) {
		if c := r.cells[key]; c.changed {
			fn(c.was, c.row)
		}
	}
}

// Flush writes what changed. It is the end: what changes later is not written.
func (r *Rows[K, R]) Flush(ctx context.Context) error {
	var deleted []K
	var written []*R
	for _, key := range slices.SortedFunc(maps.Keys(r.cells), r.table.Compare) {
		c := r.cells[key]
		switch {
		case !c.changed:
		case c.row != nil:
			written = append(written, c.row)
		case c.stored:
			deleted = append(deleted, key)
		}
	}
	if err := r.delete(ctx, deleted); err != nil {
		return err
	}
	return Write(ctx, r.tx, r.table, written)
}

func (r *Rows[K, R]) delete(ctx context.Context, keys []K) error {
	where := r.table.where()
	for chunk := range slices.Chunk(keys, maxKeys) {
		_, err := r.tx.NewDelete().Model((*R)(nil)).ModelTableExpr("?", r.tx.Table(r.table.Name)).
			WhereGroup("", func(q *bun.DeleteQuery) *bun.DeleteQuery {
				for _, key := range chunk {
					q.WhereOr(where, r.table.Args(key)...)
				}
				return q
			}).Exec(ctx)
		if err != nil {
			return fmt.Errorf("delete from %s: %w", r.table.Name, err)
		}
	}
	return nil
}

// usualBytes is what a row takes in a statement where the table does not say.
const usualBytes = 200

// Write writes rows in the order given, in as few statements as fit. Rows that are stored are overwritten.
func Write[K comparable, R any](ctx context.Context, tx *tables.Tx, t Table[K, R], all []*R) error {
	if len(all) == 0 {
		return nil
	}
	statement, room := t.insert(tx.DB), t.Bytes
	if room == 0 {
		room = usualBytes
	}
	for len(all) > 0 {
		values := tx.DB.NewValues(room * min(len(all), maxRows))
		n := 0
		for n < len(all) && n < maxRows && values.Size() < maxBytes {
			values.Row()
			t.Write(all[n], values)
			n++
		}
		all = all[n:]
		if _, err := tx.NewRaw(statement, tx.Table(t.Name), values).Exec(ctx); err != nil {
			return fmt.Errorf("write %s: %w", t.Name, err)
		}
	}
	return nil
}
