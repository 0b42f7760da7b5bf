package rows

import (
	"slices"
	"strings"

	"mpim/projections/database"
)

// Bounds of one statement: rows, keys looked up, and bytes, which must stay well below the smallest max_allowed_packet in use.
const (
	maxRows  = 1000
	maxKeys  = 200
	maxBytes = 2 << 20
)

// Table says how the rows R of a table are found by their keys K. R is a struct with bun's tags.
type Table[K comparable, R any] struct {
	// Name is that of the table in its build, such as "users".
	Name string
	// Key and Columns are the names of the columns of the primary key and of the others, each in the order in which Args and
	// Write give them.
	Key, Columns []string
	// Of returns the key of a row.
	Of func(*R) K
	// Args returns the values of a key.
	Args func(K) []any
	// Compare puts keys in the order of their values.
	Compare func(a, b K) int
	// Write writes a row: the columns of the key, then the others.
	Write func(*R, *database.Values)
	// Bytes is about what a row takes in a statement; 200 where it is not given.
	Bytes int
}

// where is the condition of one key.
func (t Table[K, R]) where() string { return strings.Join(t.Key, " = ? AND ") + " = ?" }

func (t Table[K, R]) insert(db *database.DB) string {
	statement := "INSERT INTO ? (" + strings.Join(append(slices.Clip(t.Key), t.Columns...), ", ") + ") VALUES ? ON "
	if len(t.Columns) == 0 {
		return statement + db.UpsertClause(t.Key, t.Key[:1]) // to the same value
	}
	return statement + db.UpsertClause(t.Key, t.Columns)
}
