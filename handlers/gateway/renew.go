package gateway

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"mpim/projections/presence"
	"mpim/schema"
)

// renew extends the leases of the connections until the context ends: at times, and at once when pushes are heard again.
// After an outage that was longer than a lease, whoever sweeps would else take all of them for dead before the next time.
func (g *Gateway) renew(ctx context.Context) error {
	var reviving sync.WaitGroup
	defer reviving.Wait()
	ticker := time.NewTicker(g.config.Renew)
	defer ticker.Stop()
	for {
		var told func()
		select {
		case <-ctx.Done():
			return nil
		case <-g.back:
			told = g.resync.begin
		case <-ticker.C:
			told = func() {}
		}
		g.renewAll(ctx, &reviving, told)
	}
}

// renewNow has all leases renewed, and then every connection told to resync.
func (g *Gateway) renewNow() {
	select {
	case g.back <- struct{}{}:
	default:
	}
}

const (
	// extendBatch is how many connections are extended at once, so that no single request to Redis grows with their number.
	extendBatch = 500
	// renewTimeout bounds the renewal of the leases: others wait to hear which of them are gone.
	renewTimeout = 3 * time.Second
)

// renewAll renews all leases, and calls known when it is known whose connections have to be revived. That goes on behind
// its back.
func (g *Gateway) renewAll(ctx context.Context, reviving *sync.WaitGroup, known func()) {
	byPartition := g.hub.byPartition()
	gone, err := g.renewLeases(ctx, slices.Collect(maps.Keys(byPartition)))
	dead := g.claim(gone, nil)
	known()
	reviving.Go(func() {
		limit, cancel := context.WithTimeout(ctx, g.config.Renew)
		defer cancel()
		g.reviveAll(limit, dead)
	})
	if err != nil {
		g.logger.Warn("leases not renewed", slog.Any("error", err))
		return
	}
	limit, cancel := context.WithTimeout(ctx, g.config.Renew)
	defer cancel()
	for _, conns := range byPartition {
		for part := range slices.Chunk(routesOf(conns), extendBatch) {
			if err := g.config.Routes.Extend(limit, part); err != nil {
				g.logger.Warn("routes not extended", slog.Any("error", err))
				return
			}
		}
	}
}

func (g *Gateway) renewLeases(ctx context.Context, partitions []int) (gone []int, err error) {
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	return g.config.Bus.Renew(ctx, g.config.ID, partitions)
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

// revivals are the connections that are being made known again.
type revivals struct {
	mu    sync.Mutex
	conns map[*conn]struct{}
}

func newRevivals() *revivals { return &revivals{conns: make(map[*conn]struct{})} }

func (r *revivals) has(c *conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.conns[c]
	return ok
}

// claim is false for a connection that is in it.
func (r *revivals) claim(c *conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := len(r.conns)
	r.conns[c] = struct{}{}
	return len(r.conns) > before
}

func (r *revivals) release(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
}

// revive makes the connections of a partition known again, except for one, after they were taken for dead, and has them
// sync: nothing was pushed to them meanwhile.
func (g *Gateway) revive(ctx context.Context, partition int, except *conn) {
	g.reviveAll(ctx, g.claim([]int{partition}, except))
}

// claim returns the connections of partitions, except for one, that nobody else revives. Until they are revived no other
// loss is told to them.
func (g *Gateway) claim(partitions []int, except *conn) (claimed []*conn) {
	if len(partitions) == 0 {
		return nil
	}
	byPartition := g.hub.byPartition()
	for _, partition := range partitions {
		for _, c := range byPartition[partition] {
			if c != except && g.revivals.claim(c) {
				claimed = append(claimed, c)
			}
		}
	}
	return claimed
}

func (g *Gateway) reviveAll(ctx context.Context, conns []*conn) {
	if len(conns) == 0 {
		return
	}
	g.logger.Warn("connections had been taken for dead", slog.Int("connections", len(conns)))
	var workers errgroup.Group
	workers.SetLimit(departureWorkers)
	for _, c := range conns {
		workers.Go(func() error {
			g.reviveOne(ctx, c)
			return nil
		})
	}
	_ = workers.Wait()
}

func (g *Gateway) reviveOne(ctx context.Context, c *conn) {
	defer g.revivals.release(c)
	entry := c.known()
	partition, ok := entry.Connection.Partition()
	if !ok {
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
	c.do(func(s *Session, now time.Time) Step {
		g.revivals.release(c)
		c.losses = g.resync.losses.Load()
		return s.Resync(now)
	})
	// The end of a membership may be what was missed.
	c.doubt(ending{})
}

// makeKnown says that a connection is open, and waits as hello does until it is pushed to: a sync that came before would
// leave a hole behind it.
func (g *Gateway) makeKnown(ctx context.Context, partition int, c *conn, entry schema.Connected) error {
	limit, cancel := context.WithTimeout(ctx, g.config.HelloTimeout)
	defer cancel()
	g.leases.note(partition)
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
