package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"mpim/projections/database"
	"mpim/schema/migrations"
)

type migrateCommand struct {
	Up      migrateUpCommand      `cmd:"" help:"Bring the schema up to this binary, and create the log where there is none."`
	Down    migrateDownCommand    `cmd:"" help:"Take the newest migration back, with all data in what it added."`
	Status  migrateStatusCommand  `cmd:"" help:"List the migrations."`
	Analyst migrateAnalystCommand `cmd:"" help:"Print, or with --yes execute, the grants of a read-only account."`
}

type migrateUpCommand struct {
	AllowUnsafeRedis bool `help:"Work with a Redis that may lose or evict the log: for a laptop."`
	Yes              bool `help:"Accepted for scripts; nothing is asked." hidden:""`
}

// Run migrates and creates the log.
func (c *migrateUpCommand) Run(i *invocation) error {
	stores, err := openStores(i.ctx, i.settings, i.logger)
	if err != nil {
		return err
	}
	defer func() { _ = stores.Close() }()
	if err := stores.checkSafety(i.ctx, i.settings.Durability, c.AllowUnsafeRedis); err != nil {
		return err
	}
	applied, created, err := stores.migrate(i.ctx, i.settings.Partitions)
	for _, m := range applied {
		fmt.Fprintf(i.stdout, "applied %04d %s\n", m.Number, m.Name)
	}
	if err != nil {
		return err
	}
	if created {
		fmt.Fprintf(i.stdout, "created log %s with %d partitions\n", stores.identity.ID, stores.identity.Partitions)
	}
	if len(applied) == 0 && !created {
		fmt.Fprintln(i.stdout, "nothing to do: schema and log are up to date")
	}
	return nil
}

// migrate brings the schema up and makes the log.
func (s *stores) migrate(ctx context.Context, partitions int) (applied []database.Migration, created bool, err error) {
	if err := s.db.Ping(ctx); err != nil {
		return nil, false, err
	}
	list, err := database.NewMigrations(s.db, migrations.Files)
	if err != nil {
		return nil, false, err
	}
	if applied, err = list.Up(ctx); err != nil {
		return applied, false, err
	}
	created, err = s.createLog(ctx, partitions)
	return applied, created, err
}

type migrateDownCommand struct {
	Yes bool `help:"Do not ask."`
}

// Run takes one migration back.
func (c *migrateDownCommand) Run(i *invocation) error {
	if err := i.confirm(c.Yes, "Take the newest migration back? Every table that it added goes, with its rows."); err != nil {
		return err
	}
	list, done, err := i.migrations()
	if err != nil {
		return err
	}
	defer done()
	undone, ok, err := list.Down(i.ctx)
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("there is no migration to take back")
	}
	fmt.Fprintf(i.stdout, "took back %04d %s\n", undone.Number, undone.Name)
	return nil
}

type migrateStatusCommand struct {
	JSON bool `help:"Print one JSON document."`
}

// migrationLine is one migration as `migrate status --json` prints it.
type migrationLine struct {
	Number    int        `json:"number"`
	Name      string     `json:"name"`
	AppliedAt *time.Time `json:"applied_at"`
}

// Run lists the migrations.
func (c *migrateStatusCommand) Run(i *invocation) error {
	list, done, err := i.migrations()
	if err != nil {
		return err
	}
	defer done()
	all, err := list.List(i.ctx)
	if err != nil {
		return err
	}
	lines := make([]migrationLine, len(all))
	for n, m := range all {
		lines[n] = migrationLine{Number: m.Number, Name: m.Name}
		if !m.AppliedAt.IsZero() {
			lines[n].AppliedAt = &m.AppliedAt
		}
	}
	if c.JSON {
		return json.NewEncoder(i.stdout).Encode(lines)
	}
	table := tabwriter.NewWriter(i.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NUMBER\tNAME\tAPPLIED")
	for _, line := range lines {
		at := "no: run `mpim migrate up`"
		if line.AppliedAt != nil {
			at = line.AppliedAt.Format(time.DateTime)
		}
		fmt.Fprintf(table, "%04d\t%s\t%s\n", line.Number, line.Name, at)
	}
	return table.Flush()
}

// migrations opens the database alone. The caller calls done.
func (i *invocation) migrations() (list *database.Migrations, done func(), err error) {
	s := &stores{logger: i.logger}
	if err := s.openDatabase(i.ctx, i.settings); err != nil {
		return nil, nil, err
	}
	done = func() { _ = s.db.Close() }
	if err = s.db.Ping(i.ctx); err == nil {
		list, err = database.NewMigrations(s.db, migrations.Files)
	}
	if err != nil {
		done()
	}
	return list, done, err
}
