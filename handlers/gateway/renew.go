package gateway

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"mpim/projections/presence"
	"mpim/schema"
)

// renew extends the leases of the connections until the context ends.
func (g *Gateway) renew(ctx context.Context) error {
	ticker := time.NewTicker(g.config.Renew)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			g.renewAll(ctx)
		}
	}
}

// extendBatch is how many connections are extended at once, so that no single request to Redis grows with their number.
const extendBatch = 500

func (g *Gateway) renewAll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, g.config.Renew)
	defer cancel()
	byPartition := g.hub.byPartition()
	partitions := slices.Collect(maps.Keys(byPartition))
	gone, err := g.config.Bus.Renew(ctx, g.config.ID, partitions)
	if err != nil {
		g.logger.Warn("leases not renewed", slog.Any("error", err))
		return
	}
	for _, partition := range gone {
		g.revive(ctx, partition, nil)
	}
	for _, conns := range byPartition {
		for part := range slices.Chunk(routesOf(conns), extendBatch) {
			if err := g.config.Routes.Extend(ctx, part); err != nil {
				g.logger.Warn("routes not extended", slog.Any("error", err))
				return
			}
		}
	}
}

func routesOf(conns []*conn) []presence.Connection {
	routes := make([]presence.Connection, 0, len(conns))
	for _, c := range conns {
		e := c.known()
		if e.Connection == "" {
			continue
		}
		routes = append(routes, presence.Connection{
			ID: e.Connection, User: e.User, Session: e.Session, Gateway: e.Gateway, Client: e.Client, At: time.Now(),
		})
	}
	return routes
}

// known returns what was told of the connection when it opened.
func (c *conn) known() schema.Connected {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.entry
}

// revive makes the connections of a partition known again, except for one, after they were taken for dead, and has them
// sync: nothing was pushed to them meanwhile.
func (g *Gateway) revive(ctx context.Context, partition int, except *conn) {
	conns := g.hub.byPartition()[partition]
	if len(conns) == 0 || len(conns) == 1 && conns[0] == except {
		return
	}
	g.logger.Warn("connections had been taken for dead", slog.Int("partition", partition), slog.Int("connections", len(conns)))
	var workers errgroup.Group
	workers.SetLimit(departureWorkers)
	for _, c := range conns {
		if c == except {
			continue
		}
		workers.Go(func() error {
			g.reviveOne(ctx, partition, c)
			return nil
		})
	}
	_ = workers.Wait()
}

func (g *Gateway) reviveOne(ctx context.Context, partition int, c *conn) {
	entry := c.known()
	if entry.Connection == "" {
		return
	}
	err := g.config.Ledger.Connect(ctx, entry)
	if err == nil {
		err = g.makeKnown(ctx, partition, c, entry)
	}
	if err != nil {
		// Without being known it would be silent for ever; a new connection starts from a clean state.
		g.logger.Warn("connection not made known again", slog.String("connection", string(entry.Connection)), slog.Any("error", err))
		c.do(func(s *Session, now time.Time) Step { return s.End(now, CloseResync) })
		return
	}
	if c.isGone() {
		// Its end may have been recorded before it was made known again.
		g.departures.add(departure{entry: entry, reason: reasonLost})
	}
	c.do((*Session).Resync)
}

// makeKnown says that a connection is open, and waits as hello does until it is pushed to: a sync that came before would
// leave a hole behind it.
func (g *Gateway) makeKnown(ctx context.Context, partition int, c *conn, entry schema.Connected) error {
	limit, cancel := context.WithTimeout(ctx, g.config.HelloTimeout)
	defer cancel()
	at, _, err := g.config.Bus.Connected(limit, partition, entry)
	if err != nil {
		return err
	}
	holders, err := g.holders.read(limit)
	if err != nil {
		return err
	}
	return g.tracker.wait(limit, c, partition, at, holders)
}
