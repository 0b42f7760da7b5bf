package analysts

import (
	"fmt"
	"slices"
	"strings"

	"mpim/projections/activity"
	"mpim/projections/contacts"
	"mpim/projections/history"
	"mpim/projections/receipts"
	"mpim/projections/tables"
)

// Definitions returns the projections that analysts read.
func Definitions() []tables.Definition {
	return []tables.Definition{contacts.Definition, history.Definition, receipts.Definition, activity.Definition}
}

// status describes the view that no projection makes, but the schema.
var status = tables.View{Name: "projection_status", Select: `SELECT
  b.name AS projection, -- the name of the projection
  b.build AS build, -- the number of the build
  b.version AS version, -- the version of its code
  b.state AS state, -- live for the one that the views show
  0 AS events_applied, -- how many events it has seen
  0 AS events_behind, -- how many it has yet to see, as far as the log was at head_at
  0 AS lag_seconds, -- how old the last event it saw is where there are newer ones; else 0
  0 AS updated_at, -- when it moved last; where no worker runs, nothing moves
  0 AS head_at, -- when some gateway or worker looked at the log last; every five seconds at least one does
  0 AS head_age_seconds -- how long ago that was: where it is more than a minute, nobody writes here any more
`}

// views returns all views in the order of the dictionary.
func views() []tables.View {
	var all []tables.View
	for _, d := range Definitions() {
		all = append(all, d.Views...)
	}
	return append(all, status)
}

// Views returns the names of all views, in order.
func Views() []string {
	var names []string
	for _, v := range views() {
		names = append(names, v.Name)
	}
	slices.Sort(names)
	return names
}

// Dictionary returns the description of all views as Markdown. Types says of what type a column of a view is.
func Dictionary(types func(view, column string) string) string {
	var b strings.Builder
	for _, v := range views() {
		fmt.Fprintf(&b, "### `%s`\n\n| column | type | meaning |\n|---|---|---|\n", v.Name)
		for _, c := range v.Columns() {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", c.Name, types(v.Name, c.Name), c.Comment)
		}
		b.WriteString("\n")
	}
	return b.String()
}
