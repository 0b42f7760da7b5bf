package rowstest

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql" // the driver of the raw connections

	"mpim/projections"
	"mpim/projections/projectionstest"
)

// Bench measures a projection against its limit in the same run: the same rows by multi-row REPLACE into equal tables, a
// statement a table and one commit a batch, their texts made beforehand, so nothing but the server's time. Batches
// alternate between the two, so both meet the same machine, and the middle of each one's times counts. More appends the
// events of one batch. Tables whose rows the events change are named in changing: they count as work of the projection, and
// not as rows.
func Bench(b *testing.B, open New, more func(log *projectionstest.Log), changing ...string) {
	b.Helper()
	name, other := projectionstest.Server.CreateDatabase(b), projectionstest.Server.CreateDatabase(b)
	db, scratch := projectionstest.Open(b, projectionstest.Server.URL(name)), projectionstest.Open(b, projectionstest.Server.URL(other))
	p, twin := open(db), open(scratch)
	for _, p := range []projections.Projection{p, twin} {
		if _, err := p.Take(b.Context(), 0, 1); err != nil {
			b.Fatal(err)
		}
	}
	raw, source := connect(b, name), connect(b, other)
	all := slices.DeleteFunc(tables(b, scratch, p.Name()), func(table string) bool {
		return slices.ContainsFunc(changing, func(name string) bool { return strings.HasSuffix(table, "_1_"+name) })
	})
	for _, table := range all {
		must(b, raw, "CREATE TABLE raw_"+table+" LIKE "+table)
	}
	log := projectionstest.NewLog(0)
	var raws, applies []time.Duration
	var events, rows int
	for b.Loop() {
		b.StopTimer()
		from := int64(len(log.Records)) + 1
		more(log)
		step := step(log, 1, from, int64(len(log.Records)))
		events += len(step.Records)
		if err := twin.Apply(b.Context(), step); err != nil {
			b.Fatal(err)
		}
		statements := []string{"BEGIN"}
		for _, table := range all {
			statement, n := insert(b, source, table)
			if rows += n; n > 0 {
				statements = append(statements, statement)
			}
			must(b, source, "DELETE FROM "+table)
		}
		b.StartTimer()

		begin := time.Now()
		must(b, raw, append(statements, "COMMIT")...)
		middle := time.Now()
		if err := p.Apply(context.Background(), step); err != nil {
			b.Fatal(err)
		}
		raws, applies = append(raws, middle.Sub(begin)), append(applies, time.Since(middle))
	}
	slices.Sort(raws)
	slices.Sort(applies)
	limit, got := raws[len(raws)/2].Seconds(), applies[len(applies)/2].Seconds()
	each := float64(rows) / float64(len(raws))
	b.ReportMetric(each/limit, "raw-rows/s")
	b.ReportMetric(each/got, "rows/s")
	b.ReportMetric(float64(events)/float64(len(raws))/got, "events/s")
	b.ReportMetric(100*limit/got, "%-of-raw")
	b.ReportMetric(0, "ns/op")
}

func connect(b *testing.B, name string) *sql.DB {
	b.Helper()
	db, err := sql.Open("mysql", projectionstest.Server.DSN(name))
	if err != nil {
		b.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	b.Cleanup(func() { _ = db.Close() })
	return db
}

func must(b *testing.B, db *sql.DB, statements ...string) {
	b.Helper()
	for _, statement := range statements {
		if _, err := db.Exec(statement); err != nil {
			b.Fatal(err)
		}
	}
}

// insert returns the statement that writes all rows of a table, over those that are there, and their number.
func insert(b *testing.B, db *sql.DB, table string) (statement string, n int) {
	b.Helper()
	rows, err := db.Query("SELECT * FROM " + table) // in the order of its key
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		b.Fatal(err)
	}
	values, pointers := make([]sql.RawBytes, len(types)), make([]any, len(types))
	for i := range values {
		pointers[i] = &values[i]
	}
	var text strings.Builder
	text.WriteString("REPLACE INTO raw_" + table + " VALUES ")
	for ; rows.Next(); n++ {
		if err := rows.Scan(pointers...); err != nil {
			b.Fatal(err)
		}
		if n > 0 {
			text.WriteString(",")
		}
		for i, v := range values {
			text.WriteString(map[bool]string{true: "(", false: ","}[i == 0])
			text.WriteString(literal(v, types[i].DatabaseTypeName()))
		}
		text.WriteString(")")
	}
	if err := rows.Err(); err != nil {
		b.Fatal(err)
	}
	return text.String(), n
}

var escaper = strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\x00", `\0`)

// literal writes a value as a statement would.
func literal(v sql.RawBytes, kind string) string {
	switch {
	case v == nil:
		return "NULL"
	case strings.HasSuffix(kind, "INT"):
		return string(v)
	case strings.HasSuffix(kind, "BLOB"), strings.HasSuffix(kind, "BINARY"):
		return "_binary'" + escaper.Replace(string(v)) + "'"
	case kind == "DATETIME":
		return "'" + strings.NewReplacer("T", " ", "Z", "").Replace(string(v)) + "'"
	default:
		return "'" + escaper.Replace(string(v)) + "'"
	}
}
