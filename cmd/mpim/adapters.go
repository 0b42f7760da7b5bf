package main

import (
	"context"

	"mpim/domain/account"
	"mpim/handlers/gateway"
	"mpim/handlers/push"
	"mpim/projections/members"
	"mpim/projections/presence"
	"mpim/schema"
	"mpim/streams/bus"
	"mpim/streams/lease"
)

// What follows fits one package's types to the interface that another declares, where they do not fit by themselves.

// pushHolders knows who pushes.
type pushHolders struct{ stores *stores }

// PushHolders returns the holders of the push leases.
func (p pushHolders) PushHolders(ctx context.Context) ([]gateway.Holder, error) {
	held, err := lease.Holders(ctx, p.stores.redis, p.stores.identity.Partitions, push.Consumer)
	if err != nil {
		return nil, err
	}
	holders := make([]gateway.Holder, len(held))
	for n, h := range held {
		holders[n] = gateway.Holder{Partition: h.Partition, Token: h.Token}
	}
	return holders, nil
}

// standing is what hello says of the log.
type standing struct {
	stores *stores
	*members.Queries
}

// Epoch changes where acknowledged data was lost.
func (s standing) Epoch() string { return s.stores.epoch() }

// expirer appends the ends of connections that nobody else ended.
type expirer struct{ gateway.Accounts }

// Expire appends session.disconnected with the reason "expired".
func (e expirer) Expire(ctx context.Context, c presence.Connection) error {
	return e.Disconnect(ctx, schema.Connected{
		User: c.User, Session: c.Session, Connection: c.ID, Gateway: c.Gateway,
	}, account.Expired)
}

// gateways are the leases of gateways in the presence streams.
type gateways struct{ *bus.Bus }

// Silent returns the gateways whose lease has run out.
func (g gateways) Silent(ctx context.Context, partition int) ([]presence.Silent, error) {
	found, err := g.Bus.Silent(ctx, partition)
	silent := make([]presence.Silent, len(found))
	for n, one := range found {
		silent[n] = presence.Silent(one)
	}
	return silent, err
}

// Expire ends such a lease.
func (g gateways) Expire(ctx context.Context, partition int, silent presence.Silent) (bool, error) {
	return g.Bus.Expire(ctx, partition, bus.SilentGateway(silent))
}

// Withdraw ends a lease whatever its age.
func (g gateways) Withdraw(ctx context.Context, partition int, gateway string) error {
	return g.Bus.Withdraw(ctx, gateway, []int{partition})
}
