package database

import (
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bun/schema"
)

// Values are rows of an INSERT, written value by value: the list that follows VALUES. It stands for bun's own way over the
// fields of a struct where very many rows are written, which takes three times as long, writes bytes in hexadecimal, which the
// server reads slower, and mends strings that it should leave as they are.
//
// It is an argument of a raw query: tx.NewRaw("INSERT INTO ? (…) VALUES ?", bun.Ident(table), values).
type Values struct {
	dialect schema.Dialect
	mysql   bool
	b       []byte
	inRow   bool
}

// NewValues returns an empty list for the database, with room for so many bytes.
func (d *DB) NewValues(room int) *Values {
	return &Values{dialect: d.write.Dialect(), mysql: d.mysql(), b: make([]byte, 0, room)}
}

// AppendQuery implements schema.QueryAppender.
func (v *Values) AppendQuery(_ schema.QueryGen, b []byte) ([]byte, error) {
	b = append(b, v.b...)
	if v.inRow {
		b = append(b, ')')
	}
	return b, nil
}

// Row begins a row. The values follow in the order of the columns.
func (v *Values) Row() {
	if v.inRow {
		v.b = append(v.b, "),"...)
	}
	v.b, v.inRow = append(v.b, '('), true
}

// Size returns how many bytes the rows take so far.
func (v *Values) Size() int { return len(v.b) }

// next puts a comma before every value of a row but the first.
func (v *Values) next() {
	if v.b[len(v.b)-1] != '(' {
		v.b = append(v.b, ',')
	}
}

// Null writes NULL.
func (v *Values) Null() {
	v.next()
	v.b = append(v.b, "NULL"...)
}

// Int writes a number.
func (v *Values) Int(n int64) {
	v.next()
	v.b = strconv.AppendInt(v.b, n, 10)
}

// IntOrNull writes a number, and NULL for 0.
func (v *Values) IntOrNull(n int64) {
	if n == 0 {
		v.Null()
		return
	}
	v.Int(n)
}

// Flag writes 1 or 0.
func (v *Values) Flag(set bool) {
	if set {
		v.Int(1)
	} else {
		v.Int(0)
	}
}

// String writes text. The server refuses what is not valid in the column's character set.
func (v *Values) String(s string) {
	v.next()
	if !v.mysql && strings.IndexByte(s, 0) >= 0 { // SQLite ends a statement there
		v.b = append(v.dialect.AppendBytes(append(v.b, "CAST("...), []byte(s)), " AS TEXT)"...)
		return
	}
	v.b = append(v.b, '\'')
	v.b = appendQuoted(v.b, s, v.mysql)
	v.b = append(v.b, '\'')
}

// Bytes writes exact bytes, and NULL for nil.
func (v *Values) Bytes(s []byte) {
	if s == nil {
		v.Null()
		return
	}
	v.next()
	if !v.mysql {
		v.b = v.dialect.AppendBytes(v.b, s)
		return
	}
	v.b = append(v.b, "_binary'"...)
	v.b = appendQuoted(v.b, s, true)
	v.b = append(v.b, '\'')
}

// Time writes a time in UTC with microseconds, and NULL for the zero time.
func (v *Values) Time(t time.Time) {
	if t.IsZero() {
		v.Null()
		return
	}
	v.next()
	v.b = v.dialect.AppendTime(v.b, t.UTC())
}

// appendQuoted writes the inside of a literal in quotes: as MySQL wants it when NO_BACKSLASH_ESCAPES is off, which the sessions
// see to, or as SQLite does, where only the quote itself is special.
func appendQuoted[S string | []byte](b []byte, s S, backslash bool) []byte {
	from := 0
	for i := range len(s) {
		c := s[i]
		if c != '\'' && (!backslash || c != '\\' && c != 0) {
			continue
		}
		b = append(b, s[from:i]...)
		switch {
		case c == 0:
			b = append(b, '\\', '0')
		case backslash:
			b = append(b, '\\', c)
		default:
			b = append(b, c, c)
		}
		from = i + 1
	}
	return append(b, s[from:]...)
}

var _ schema.QueryAppender = (*Values)(nil)
