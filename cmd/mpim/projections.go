package main

import (
	"slices"

	"mpim/projections/activity"
	"mpim/projections/checkpoint"
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
func (s *stores) inRedis() []checkpoint.RedisCode {
	partitions := s.identity.Partitions
	return []checkpoint.RedisCode{
		presence.Code(s.redis, partitions, s.bus, s.logger),
		members.Code(s.redis, partitions),
		inbox.Code(s.redis, partitions),
		recent.Code(s.redis, partitions),
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
