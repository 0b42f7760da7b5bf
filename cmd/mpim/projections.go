package main

import (
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

// inSQL are the projections whose state is tables, in the order in which lists show them. Of one whose definition changed the
// version before may stay behind the new one for as long as this binary is to feed its builds too.
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

// inRedis returns the projections whose state is in Redis, in the order in which lists show them.
func (s *stores) inRedis() []projections.Projection {
	return []projections.Projection{
		presence.New(presence.Config{Client: s.redis, Partitions: s.identity.Partitions, Publisher: s.bus, Logger: s.logger}),
		members.New(members.Config{Client: s.redis, Partitions: s.identity.Partitions}),
		inbox.New(inbox.Config{Client: s.redis, Partitions: s.identity.Partitions}),
		recent.New(recent.Config{Client: s.redis, Partitions: s.identity.Partitions}),
	}
}

// aside returns the same with their keys in another space, for a fold beside the live ones that nobody hears of.
func (s *stores) aside(space string) []dumper {
	return []dumper{
		presence.New(presence.Config{Client: s.redis, Partitions: s.identity.Partitions, Space: space}),
		members.New(members.Config{Client: s.redis, Partitions: s.identity.Partitions, Space: space}),
		inbox.New(inbox.Config{Client: s.redis, Partitions: s.identity.Partitions, Space: space}),
		recent.New(recent.Config{Client: s.redis, Partitions: s.identity.Partitions, Space: space}),
	}
}

// projectionNames returns the names of all projections, in the order in which lists show them.
func (s *stores) projectionNames() []string {
	var names []string
	for _, p := range s.inRedis() {
		names = append(names, p.Name())
	}
	for _, d := range inSQL {
		if !slices.Contains(names, d.Name) {
			names = append(names, d.Name)
		}
	}
	return names
}
