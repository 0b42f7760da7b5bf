package tables

import (
	"context"
	"fmt"
	"regexp"

	"mpim/domain"
	"mpim/schema"
)

// Definition is all that one SQL projection has of its own.
type Definition struct {
	// Name is the name of the projection, the beginning of its tables' names: small letters, digits and _. It never changes.
	Name string
	// Version counts the changes of the definition that make other rows from the same events, from 1.
	Version int
	// Types are the events that matter. Fold is given no others.
	Types []domain.EventType
	// Tables are those of one build.
	Tables []Table
	// Views are what analysts read. They show the live build.
	Views []View
	// Fold writes what the records do to the rows. The records are in the order of their partition, and at least one.
	Fold func(ctx context.Context, tx *Tx, records []*schema.Record) error
	// Decode may stand in the place of Fold where decoding takes long: it is called while the server begins the
	// transaction, and what it returns is called within.
	Decode func(records []*schema.Record) (Write, error)
}

// Write writes rows in a transaction.
type Write func(ctx context.Context, tx *Tx) error

// Table is one table of a build.
type Table struct {
	// Name is what Fold and queries call it: small letters, digits and _.
	Name string
	// Columns are what stands between the parentheses of CREATE TABLE, with the words of database.DB.DDL. A primary key
	// is among them; further keys are written UNIQUE (…).
	Columns string
	// Indexes are further indexes, each a list of columns such as "sender, at".
	Indexes []string
}

// View is a name under which analysts read a build, the same whichever build is live.
type View struct {
	// Name is the view's name in the database.
	Name string
	// Select is the query behind it. A table of the build is written {table}. Each column stands on a line of its own, ends
	// with its name and says in a comment what it means: "r.at AS sent_at, -- when it was sent"; the dictionary is
	// made of these, and where r is a table, and the database keeps comments, so are those of its columns.
	Select string
}

var (
	nameForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)
	viewWord = regexp.MustCompile(`\{(\w+)\}`)
)

// check returns what is wrong with a definition. It is a mistake in code.
func (d *Definition) check() error {
	switch {
	case !nameForm.MatchString(d.Name):
		return fmt.Errorf("the name %q is not made of small letters, digits and _", d.Name)
	case d.Version < 1:
		return fmt.Errorf("projection %s: Version is %d, must be at least 1", d.Name, d.Version)
	case (d.Fold == nil) == (d.Decode == nil):
		return fmt.Errorf("projection %s: one of Fold and Decode must be set", d.Name)
	case len(d.Types) == 0 || len(d.Tables) == 0:
		return fmt.Errorf("projection %s: Types and Tables must not be empty", d.Name)
	}
	known := make(map[string]bool)
	for _, t := range d.Tables {
		if !nameForm.MatchString(t.Name) || known[t.Name] {
			return fmt.Errorf("projection %s: the table name %q is no name, or there twice", d.Name, t.Name)
		}
		known[t.Name] = true
	}
	for _, v := range d.Views {
		for _, word := range viewWord.FindAllStringSubmatch(v.Select, -1) {
			if !known[word[1]] {
				return fmt.Errorf("projection %s: view %s reads {%s}, which is no table of it", d.Name, v.Name, word[1])
			}
		}
	}
	return nil
}
