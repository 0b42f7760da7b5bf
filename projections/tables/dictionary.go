package tables

import (
	"regexp"
	"strings"
)

// ViewColumn is one column of a view, as its query and the comment behind it say.
type ViewColumn struct {
	Name string
	// Of is the column of the table that it shows as it is; empty where it is computed.
	Of string
	// Comment says what it means, and in which unit.
	Comment string
}

// A line of a view's query: what is shown, its name, and what it means; and the table behind it.
var (
	viewLine  = regexp.MustCompile(`^\s*(?:SELECT\s+)?(.+) AS (\w+),? -- (.+)$`)
	viewTable = regexp.MustCompile(`FROM \{(\w+)\} AS r\b`)
	plainName = regexp.MustCompile(`^r\.(\w+)$`)
)

// Columns returns the columns of the view, one for each line of its query that has the form "… AS name, -- comment".
func (v View) Columns() []ViewColumn {
	var all []ViewColumn
	for line := range strings.Lines(v.Select) {
		parts := viewLine.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if parts == nil {
			continue
		}
		c := ViewColumn{Name: parts[2], Comment: parts[3]}
		if plain := plainName.FindStringSubmatch(parts[1]); plain != nil {
			c.Of = plain[1]
		}
		all = append(all, c)
	}
	return all
}

// comments returns what the views say about the columns of a table.
func (d *Definition) comments(table string) map[string]string {
	comments := make(map[string]string)
	for _, v := range d.Views {
		from := viewTable.FindStringSubmatch(v.Select)
		if from == nil || from[1] != table {
			continue
		}
		for _, c := range v.Columns() {
			if c.Of != "" {
				comments[c.Of] = c.Comment
			}
		}
	}
	return comments
}

// commented puts the comments behind the columns that they are about, as MySQL keeps them in the database itself. Its
// servers show them for columns of views too.
func commented(columns string, comments map[string]string) string {
	var b strings.Builder
	for line := range strings.Lines(columns) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		rest, isColumn := strings.CutSuffix(strings.TrimRight(line, "\n"), ",")
		if comment, known := comments[name]; known && isColumn {
			line = rest + " COMMENT '" + strings.ReplaceAll(comment, "'", "''") + "',\n"
		}
		b.WriteString(line)
	}
	return b.String()
}
