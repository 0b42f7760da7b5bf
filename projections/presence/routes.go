package presence

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
)

// Routes keeps where users are connected, for as long as gateways say so.
type Routes struct{ store store }

// NewRoutes returns the routes.
func NewRoutes(client redis.UniversalClient) *Routes { return &Routes{store{client: client}} }

// Connections returns the open sockets of a user whose gateways are alive, oldest first. An error is of kind Unavailable.
func (r *Routes) Connections(ctx context.Context, id domain.UserID) ([]Connection, error) {
	fields, err := r.store.client.HGetAll(ctx, r.store.routeKey(id)).Result()
	if err != nil {
		return nil, unavailable(err)
	}
	var all []Connection
	for field, value := range fields {
		c, err := parseConnection(field, value)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Connection) int {
		if n := a.At.Compare(b.At); n != 0 {
			return n
		}
		return strings.Compare(string(a.ID), string(b.ID))
	})
	return all, nil
}

// Extend renews the routes and statuses of open sockets. Gateways call it for all of theirs every 20 seconds. A route that
// was gone is restored. An error is of kind Unavailable.
func (r *Routes) Extend(ctx context.Context, connections []Connection) error {
	routes := make([]*redis.BoolCmd, len(connections))
	_, err := r.store.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, c := range connections {
			routes[i] = p.PExpire(ctx, r.store.routeKey(c.User), RouteTTL)
			p.PExpire(ctx, r.store.statusKey(c.User), StatusTTL)
		}
		return nil
	})
	if err != nil {
		return unavailable(err)
	}
	var gone []Connection
	for i, route := range routes {
		if !route.Val() {
			gone = append(gone, connections[i])
		}
	}
	return r.restore(ctx, gone)
}

// restore writes routes that ran out while their sockets were open, because nobody renewed them for too long.
func (r *Routes) restore(ctx context.Context, connections []Connection) error {
	if len(connections) == 0 {
		return nil
	}
	_, err := r.store.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, c := range connections {
			if c.At.IsZero() {
				c.At = time.Now()
			}
			text, err := c.encode()
			if err != nil {
				return err
			}
			p.HSet(ctx, r.store.routeKey(c.User), string(c.ID), text)
			p.PExpire(ctx, r.store.routeKey(c.User), RouteTTL)
		}
		return nil
	})
	if err != nil {
		return unavailable(err)
	}
	return nil
}
