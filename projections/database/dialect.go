package database

import (
	"regexp"
	"strings"

	"github.com/uptrace/bun"
)

// words are the names of column types in DDL, for MySQL and SQLite.
var words = map[string][2]string{
	"id":    {"VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin", "TEXT"},
	"name":  {"VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin", "TEXT"},
	"short": {"VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "TEXT"},
	"text":  {"MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "TEXT"},
	"key":   {"VARBINARY(255)", "BLOB"},
	"bytes": {"MEDIUMBLOB", "BLOB"},
	"time":  {"DATETIME(6)", "TIMESTAMP"},
	"flag":  {"TINYINT", "INTEGER"},
	"table": {"ENGINE=InnoDB", "WITHOUT ROWID"},
	// These two stand around a time.
	"since":  {"TIMESTAMPDIFF(MICROSECOND, ", "(julianday('now') - julianday("},
	"to_now": {", UTC_TIMESTAMP(6)) / 1000000", ")) * 86400"},
}

var word = regexp.MustCompile(`\{(\w+)\}`)

// DDL puts the words of the database's dialect into a statement that defines a table:
//
//	{id}     an identifier, at most 40 ASCII characters     {time}   UTC, microseconds
//	{name}   a name given in code, at most 64               {flag}   0 or 1
//	{short}  text of people, at most 255 characters         {bytes}  exact bytes, up to 16 MiB
//	{text}   text of people, up to 16 MiB                   {key}    exact bytes that are part of a key, at most 255
//	{table}  stands after the closing parenthesis
//	{since}…{to_now}, in a view: the seconds that passed since a time
//
// Each table has a primary key, and its rows lie in the order of it.
func (d *DB) DDL(statement string) string {
	column := 1
	if d.mysql() {
		column = 0
	}
	return word.ReplaceAllStringFunc(statement, func(w string) string {
		if types, known := words[w[1:len(w)-1]]; known {
			return types[column]
		}
		return w // the server refuses it and shows where
	})
}

// Upsert makes an insert overwrite the given columns where a row with the same key is there. Keys are the columns of the
// primary key.
func (d *DB) Upsert(q *bun.InsertQuery, keys, columns []string) *bun.InsertQuery {
	return q.On(d.UpsertClause(keys, columns))
}

// UpsertClause returns the clause that follows the rows of an INSERT, without its first word ON.
func (d *DB) UpsertClause(keys, columns []string) string {
	return d.onConflict(keys, columns, func(_, given string) string { return given })
}

// AddClause returns the clause of an INSERT into the table that adds the given columns to the numbers in the row that is
// there, without its first word ON.
func (d *DB) AddClause(table string, keys, columns []string) string {
	return d.onConflict(keys, columns, func(column, given string) string { return table + "." + column + " + " + given })
}

// onConflict sets each column to what value makes of its name and of the value that was to be inserted.
func (d *DB) onConflict(keys, columns []string, value func(column, given string) string) string {
	var b strings.Builder
	// VALUES() is what MySQL and MariaDB both take; MySQL's row alias is not known to MariaDB.
	left, right := "VALUES(", ")"
	if d.mysql() {
		b.WriteString("DUPLICATE KEY UPDATE ")
	} else {
		b.WriteString("CONFLICT (" + strings.Join(keys, ", ") + ") DO UPDATE SET ")
		left, right = "excluded.", ""
	}
	for i, column := range columns {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(column + " = " + value(column, left+column+right))
	}
	return b.String()
}

// LocksRows says that a transaction can lock rows for itself (SELECT … FOR UPDATE) while others go on writing elsewhere, as
// in MySQL. In SQLite one transaction writes at a time.
func (d *DB) LocksRows() bool { return d.mysql() }

// IndexesApart says that indexes are statements of their own (CREATE INDEX IF NOT EXISTS), as in SQLite, and not a part of
// CREATE TABLE, as in MySQL.
func (d *DB) IndexesApart() bool { return !d.mysql() }
