package tables

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"mpim/projections"
	"mpim/projections/builds"
	"mpim/projections/checkpoint"
	"mpim/projections/database"
)

// Code makes, opens and drops the builds of a definition in a database.
type Code struct {
	DB         *database.DB
	Definition Definition
}

var _ builds.Code = Code{}

// Name implements builds.Code.
func (c Code) Name() string { return c.Definition.Name }

// Version implements builds.Code.
func (c Code) Version() int { return c.Definition.Version }

// Store implements builds.Code.
func (Code) Store() string { return projections.SQLStore }

// Open implements builds.Code.
func (c Code) Open(b builds.Build) projections.Projection {
	p := New(c.DB, c.Definition)
	p.build = b
	return p
}

// Define implements builds.Code.
func (c Code) Define(ctx context.Context, build int) error {
	var statements []string
	for _, t := range c.Definition.Tables {
		name := builds.Table(c.Definition.Name, build, t.Name)
		statements = append(statements, fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s (%s\n) {table}", name, t.columns(c.DB, name, c.Definition.comments(t.Name))))
		if c.DB.IndexesApart() {
			for i, columns := range t.Indexes {
				statements = append(statements, fmt.Sprintf("CREATE INDEX IF NOT EXISTS %s ON %s (%s)", indexName(name, i), name, columns))
			}
		}
	}
	return c.DB.Define(ctx, statements...)
}

// columns are those of the table, with its indexes and comments where the dialect defines them there.
func (t Table) columns(db *database.DB, name string, comments map[string]string) string {
	if db.IndexesApart() {
		return t.Columns
	}
	var b strings.Builder
	b.WriteString(commented(t.Columns, comments))
	for i, columns := range t.Indexes {
		fmt.Fprintf(&b, ",\n  INDEX %s (%s)", indexName(name, i), columns)
	}
	return b.String()
}

func indexName(table string, n int) string { return fmt.Sprintf("%s_i%d", table, n+1) }

// Fence implements builds.Code.
func (c Code) Fence(ctx context.Context, b builds.Build) error {
	return checkpoint.SQL{DB: c.DB, Build: b}.Fence(ctx)
}

// lockWait is how long a statement that defines something waits for those who read it. Whoever comes meanwhile waits
// behind it, so it is short.
const lockWait = time.Second

// Drop implements builds.Code. The tables are found by their names, since those of another version may be others.
func (c Code) Drop(ctx context.Context, b builds.Build) error {
	found, err := c.DB.Tables(ctx, builds.Table(b.Name, b.Number, ""))
	if err != nil {
		return err
	}
	if len(found) > 0 {
		if err := c.viewsAreElsewhere(ctx, b); err != nil {
			return err
		}
		statements := make([]string, len(found))
		for i, table := range found {
			statements[i] = "DROP TABLE IF EXISTS " + table
		}
		if err := c.DB.DefineWithin(ctx, lockWait, statements...); err != nil {
			return fmt.Errorf("%s is still read by somebody: drop it again later: %w", b, err)
		}
	}
	if err := (checkpoint.SQL{DB: c.DB, Build: b}).Forget(ctx); err != nil {
		return fmt.Errorf("drop %s: %w", b, err)
	}
	return nil
}

// viewsAreElsewhere fails while a view still shows the build.
func (c Code) viewsAreElsewhere(ctx context.Context, b builds.Build) error {
	shown, err := c.shown(ctx)
	for view, build := range shown {
		if build == b.Number {
			return fmt.Errorf("view %s still shows %s: it follows the live build when nobody reads it", view, b)
		}
	}
	return err
}

// viewRow says which build a view shows.
type viewRow struct {
	bun.BaseModel `bun:"table:projection_views"`

	Name    string    `bun:"name,pk"`
	View    string    `bun:"view_name,pk"`
	Build   int       `bun:"build"`
	ShownAt time.Time `bun:"shown_at"`
}

// Show implements builds.Code: it makes each view anew that shows another build, and takes away those that the definition
// has no more.
func (c Code) Show(ctx context.Context, b builds.Build) error {
	shown, err := c.shown(ctx)
	if err != nil {
		return err
	}
	for _, v := range c.Definition.Views {
		build, known := shown[v.Name]
		delete(shown, v.Name)
		if known && build == b.Number {
			continue
		}
		query := viewWord.ReplaceAllStringFunc(v.Select, func(word string) string { return b.Table(word[1 : len(word)-1]) })
		if err := c.DB.DefineWithin(ctx, lockWait, c.DB.ReplaceView(v.Name, query)...); err != nil {
			return pending(v.Name, b, err)
		}
		if err := c.note(ctx, viewRow{Name: b.Name, View: v.Name, Build: b.Number, ShownAt: time.Now().UTC().Truncate(time.Microsecond)}); err != nil {
			return err
		}
	}
	for view := range shown {
		if err := c.DB.DefineWithin(ctx, lockWait, "DROP VIEW IF EXISTS "+view); err != nil {
			return pending(view, b, err)
		}
		if err := c.note(ctx, viewRow{Name: b.Name, View: view}); err != nil {
			return err
		}
	}
	return nil
}

func pending(view string, b builds.Build, err error) error {
	return projections.Outside(fmt.Errorf("view %s does not show %s yet, since somebody reads it: it is tried again: %w", view, b, err))
}

// note keeps which build a view shows; none for a view that is gone.
func (c Code) note(ctx context.Context, row viewRow) error {
	return c.DB.Write(ctx, func(ctx context.Context, tx bun.Tx) (err error) {
		if row.Build == 0 {
			_, err = tx.NewDelete().Model(&row).WherePK().Exec(ctx)
		} else {
			q := tx.NewInsert().Model(&row)
			_, err = c.DB.Upsert(q, []string{"name", "view_name"}, []string{"build", "shown_at"}).Exec(ctx)
		}
		return err
	})
}

// shown returns which build each view shows.
func (c Code) shown(ctx context.Context) (map[string]int, error) {
	var rows []viewRow
	err := c.DB.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		rows = nil
		return tx.NewSelect().Model(&rows).Where("name = ?", c.Definition.Name).Scan(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("look up the views of %s: %w", c.Definition.Name, err)
	}
	found := make(map[string]int, len(rows))
	for _, r := range rows {
		found[r.View] = r.Build
	}
	return found, nil
}

// Pending returns the views that show another build than the given one.
func (c Code) Pending(ctx context.Context, b builds.Build) (views []string, err error) {
	shown, err := c.shown(ctx)
	if err != nil {
		return nil, err
	}
	for _, v := range c.Definition.Views {
		if shown[v.Name] != b.Number {
			views = append(views, v.Name)
		}
	}
	return views, nil
}
