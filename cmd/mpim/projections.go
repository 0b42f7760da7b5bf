package main

import (
	"context"
	"fmt"
	"slices"

	"mpim/projections"
	"mpim/projections/activity"
	"mpim/projections/contacts"
	"mpim/projections/history"
	"mpim/projections/inbox"
	"mpim/projections/members"
	"mpim/projections/notices"
	"mpim/projections/presence"
	"mpim/projections/receipts"
	"mpim/projections/recent"
	"mpim/projections/search"
	"mpim/projections/tables"
)

// inSQL are the projections whose state is tables, in the order in which lists show them.
var inSQL = []tables.Definition{
	history.Definition,
	contacts.Definition,
	search.Definition,
	receipts.Definition,
	notices.Definition,
	activity.Definition,
}

// keptInSQL says whether the state of a projection is tables.
func keptInSQL(name string) bool {
	return slices.ContainsFunc(inSQL, func(d tables.Definition) bool { return d.Name == name })
}

// projections returns every projection that this binary has, in the order in which lists show them.
func (s *stores) projections() []projections.Projection {
	all := []projections.Projection{
		presence.New(presence.Config{Client: s.redis, Partitions: s.identity.Partitions, Publisher: s.bus, Logger: s.logger}),
		members.New(members.Config{Client: s.redis, Partitions: s.identity.Partitions}),
		inbox.New(inbox.Config{Client: s.redis, Partitions: s.identity.Partitions}),
		recent.New(recent.Config{Client: s.redis, Partitions: s.identity.Partitions}),
	}
	for _, definition := range inSQL {
		all = append(all, agreed{tables.New(s.db, definition), s})
	}
	return all
}

// statuses returns how far each projection has come. One that cannot be asked is left out, and the error says why.
func (s *stores) statuses(ctx context.Context) ([]projections.Status, error) {
	var all []projections.Status
	var failed error
	for _, p := range s.projections() {
		status, err := p.Status(ctx)
		if err != nil {
			failed = fmt.Errorf("projection %s: %w", p.Name(), err)
			continue
		}
		all = append(all, status)
	}
	return all, failed
}
