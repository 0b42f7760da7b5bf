package main

import (
	"context"
	"fmt"

	"mpim/projections"
	"mpim/projections/history"
	"mpim/projections/inbox"
	"mpim/projections/members"
	"mpim/projections/presence"
	"mpim/projections/recent"
)

// projections returns every projection that this binary has, in the order in which lists show them.
func (s *stores) projections() []projections.Projection {
	return []projections.Projection{
		presence.New(presence.Config{Client: s.redis, Partitions: s.identity.Partitions, Publisher: s.bus, Logger: s.logger}),
		members.New(members.Config{Client: s.redis, Partitions: s.identity.Partitions}),
		inbox.New(inbox.Config{Client: s.redis, Partitions: s.identity.Partitions}),
		recent.New(recent.Config{Client: s.redis, Partitions: s.identity.Partitions}),
		agreedHistory{history.New(s.db), s},
	}
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
