package tables

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"
	bunschema "github.com/uptrace/bun/schema"

	"mpim/projections"
	"mpim/projections/builds"
	"mpim/projections/database"
)

// Tx is a transaction on the tables of one build. Its bun.Tx is there for statements of one's own.
type Tx struct {
	bun.Tx
	// DB knows the words of the dialect.
	DB    *database.DB
	build builds.Build
}

// Table returns the name of a table of the build, as an argument of bun: tx.NewRaw("DELETE FROM ?", tx.Table("terms")).
func (t *Tx) Table(name string) bun.Ident { return bun.Ident(t.build.Table(name)) }

// Select begins a query for rows of a table into a pointer to a slice of structs with bun's tags.
func (t *Tx) Select(rows any, table string) *bun.SelectQuery {
	q := t.NewSelect().Model(rows)
	if m, ok := q.GetModel().(bun.TableModel); ok {
		q.ModelTableExpr("? AS ?", t.Table(table), bun.Ident(m.Table().Alias))
	}
	return q
}

// Read reads the live build of a projection: fn sees one moment of the database and one build. Errors are marked by
// projections.Outside where the database is out of reach or nothing is live yet.
func Read(ctx context.Context, db *database.DB, projection string, fn func(ctx context.Context, tx *Tx) error) error {
	return db.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		live, err := builds.Live(ctx, tx, projection)
		if err != nil {
			return err
		}
		return fn(ctx, &Tx{Tx: tx, DB: db, build: builds.Build{Name: projection, Number: live, State: projections.Live}})
	})
}

// maxRows is how many rows one statement writes at most.
const maxRows = 500

// Insert adds rows. One that is there already is an error. R is a struct with bun's tags, or a pointer to one.
func Insert[R any](ctx context.Context, tx *Tx, table string, rows []R) error {
	return write(ctx, tx, table, rows, func(*bun.InsertQuery, []string, []string) {})
}

// Put adds rows, and overwrites those whose primary key is there already.
func Put[R any](ctx context.Context, tx *Tx, table string, rows []R) error {
	return write(ctx, tx, table, rows, func(q *bun.InsertQuery, keys, others []string) { tx.DB.Upsert(q, keys, others) })
}

// Add adds rows, and where the primary key is there already adds each other column to the number that stands there. Rows
// that events of several partitions change are counted by it.
func Add[R any](ctx context.Context, tx *Tx, table string, rows []R) error {
	return write(ctx, tx, table, rows, func(q *bun.InsertQuery, keys, others []string) {
		q.On(tx.DB.AddClause(tx.build.Table(table), keys, others))
	})
}

// Keep adds rows, and leaves alone those whose primary key is there already.
func Keep[R any](ctx context.Context, tx *Tx, table string, rows []R) error {
	return write(ctx, tx, table, rows, func(q *bun.InsertQuery, keys, _ []string) {
		tx.DB.Upsert(q, keys, keys[:1]) // to what it is; IGNORE would hide errors
	})
}

// write writes rows, sorted by key so that two who write the same rows do not wait for each other crosswise.
func write[R any](
	ctx context.Context, tx *Tx, name string, rows []R, resolve func(q *bun.InsertQuery, keys, others []string),
) error {
	if len(rows) == 0 {
		return nil
	}
	model := reflect.TypeFor[R]()
	if model.Kind() == reflect.Pointer {
		model = model.Elem()
	}
	definition := tx.Dialect().Tables().Get(model)
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b R) int { return compareKeys(definition.PKs, reflect.ValueOf(a), reflect.ValueOf(b)) })
	for chunk := range slices.Chunk(rows, maxRows) {
		q := tx.NewInsert().Model(&chunk).ModelTableExpr("?", tx.Table(name))
		resolve(q, columns(definition.PKs), columns(definition.DataFields))
		if _, err := q.Exec(ctx); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}

func columns(fields []*bunschema.Field) []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	return names
}

func compareKeys(keys []*bunschema.Field, a, b reflect.Value) int {
	for _, key := range keys {
		x, y := reflect.Indirect(a).FieldByIndex(key.Index), reflect.Indirect(b).FieldByIndex(key.Index)
		if c := compare(x, y); c != 0 {
			return c
		}
	}
	return 0
}

func compare(a, b reflect.Value) int {
	switch {
	case a.Kind() == reflect.String:
		return strings.Compare(a.String(), b.String())
	case a.CanInt():
		return cmp.Compare(a.Int(), b.Int())
	case a.CanUint():
		return cmp.Compare(a.Uint(), b.Uint())
	}
	switch x := a.Interface().(type) {
	case []byte:
		return bytes.Compare(x, b.Bytes())
	case time.Time:
		return x.Compare(b.Interface().(time.Time)) //nolint:forcetypeassert // both are the same field
	default:
		return 0
	}
}
