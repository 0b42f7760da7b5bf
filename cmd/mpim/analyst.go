package main

import (
	"fmt"

	"mpim/projections/analysts"
	"mpim/projections/database"
)

type migrateAnalystCommand struct {
	User string `required:"" placeholder:"NAME" help:"The account, as name or name@host. It must exist."`
	Yes  bool   `help:"Execute the statements instead of printing them."`
}

// Run prints the grants of a read-only account, or executes them.
func (c *migrateAnalystCommand) Run(i *invocation) error {
	db, err := database.Open(i.ctx, i.settings.DatabaseURL)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	statements, err := db.ReadGrants(c.User, analysts.Views())
	if err != nil {
		return err
	}
	if !c.Yes {
		for _, statement := range statements {
			fmt.Fprintln(i.stdout, statement+";")
		}
		return nil
	}
	if err := db.Define(i.ctx, statements...); err != nil {
		return fmt.Errorf("grant: %w: does the account exist, and has a worker run, which makes the views?", err)
	}
	fmt.Fprintf(i.stdout, "%s may read %d views\n", c.User, len(statements))
	return nil
}
