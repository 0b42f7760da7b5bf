package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/schema"
)

// maxEntries bounds the entries of one script call.
const maxEntries = 100

// Connected says in a partition's presence stream that connections of one gateway are open; users of all of them live in
// that partition. It returns the id of the last entry: who has folded the stream up to there knows them all.
//
// Absent says that the gateway had no lease in the partition, and that it has one now. Where it had connections there
// before, those were swept, or will be: say again that they are connected, and let their clients resynchronise.
func (b *Bus) Connected(ctx context.Context, partition int, entries ...schema.Connected) (id schema.StreamID, absent bool, err error) {
	keys := []string{schema.PartitionKey(partition, presenceName), schema.PartitionKey(partition, gatewaysName)}
	for len(entries) > 0 {
		part := entries[:min(len(entries), maxEntries)]
		entries = entries[len(part):]
		var fields []string
		for _, e := range part {
			fields = append(fields, e.Fields()...)
		}
		args := strings2args(fields, part[0].Gateway, GatewayLease.Milliseconds(), PresenceKept.Milliseconds(), len(fields)/len(part))
		reply, err := connectedScript.Run(ctx, b.client, keys, args...).Slice()
		if err != nil {
			return id, absent, unreachable(err)
		}
		if len(reply) != 2 {
			return id, absent, fmt.Errorf("connected script answered %v", reply)
		}
		text, _ := reply[1].(string)
		if id, err = parseID(text); err != nil {
			return id, absent, err
		}
		absent = absent || reply[0] == int64(1)
	}
	return id, absent, nil
}

// Disconnected says in a partition's presence stream that a connection has ended.
func (b *Bus) Disconnected(ctx context.Context, partition int, e schema.Disconnected) error {
	return b.Append(ctx, partition, e)
}

// Typing says in the presence stream of a conversation's partition that a user began or ended typing.
func (b *Bus) Typing(ctx context.Context, partition int, e schema.Typing) error {
	return b.Append(ctx, partition, e)
}

// Append appends an entry to a partition's presence stream. Connected has a method of its own.
func (b *Bus) Append(ctx context.Context, partition int, e schema.PresenceEntry) error {
	keys := []string{schema.PartitionKey(partition, presenceName)}
	if err := appendScript.Run(ctx, b.client, keys, strings2args(e.Fields(), PresenceKept.Milliseconds())...).Err(); err != nil {
		return unreachable(err)
	}
	return nil
}

// Renew renews a gateway's leases in the given partitions in one round trip, and returns those where the lease is gone:
// the gateway was silent for too long, and its connections there are swept, or will be. See Connected for what to do.
func (b *Bus) Renew(ctx context.Context, gateway string, partitions []int) (gone []int, err error) {
	if len(partitions) == 0 {
		return nil, nil
	}
	calls := make([]call, len(partitions))
	for i, partition := range partitions {
		calls[i] = call{
			keys: []string{schema.PartitionKey(partition, gatewaysName)},
			args: []any{gateway, GatewayLease.Milliseconds()},
		}
	}
	results, err := b.evalAll(ctx, renewScript, calls)
	if err != nil {
		return nil, err
	}
	for i, result := range results {
		renewed, err := result.Int()
		if err != nil {
			return nil, unreachable(err)
		}
		if renewed == 0 {
			gone = append(gone, partitions[i])
		}
	}
	return gone, nil
}

// SilentGateway is a gateway whose lease in a partition has run out.
type SilentGateway struct {
	Gateway string
	// Renewed is its last renewal, in Unix milliseconds of the server's clock.
	Renewed int64
}

// Silent returns the gateways whose lease in a partition has run out.
func (b *Bus) Silent(ctx context.Context, partition int) ([]SilentGateway, error) {
	var leases *redis.MapStringStringCmd
	var clock *redis.TimeCmd
	_, err := b.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		leases = p.HGetAll(ctx, schema.PartitionKey(partition, gatewaysName))
		clock = p.Time(ctx)
		return nil
	})
	if err != nil {
		return nil, unreachable(err)
	}
	var silent []SilentGateway
	for gateway, text := range leases.Val() {
		renewed, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("lease of gateway %s in partition %d is %q", gateway, partition, text)
		}
		if clock.Val().Sub(time.UnixMilli(renewed)) > GatewayLease {
			silent = append(silent, SilentGateway{Gateway: gateway, Renewed: renewed})
		}
	}
	return silent, nil
}

// Expire ends the lease of a silent gateway and, in the same step, says in the presence stream that all its connections
// in the partition have ended. It is false, and nothing happens, where the gateway was heard again since. A gateway that
// comes back later finds its lease gone.
func (b *Bus) Expire(ctx context.Context, partition int, g SilentGateway) (bool, error) {
	keys := []string{schema.PartitionKey(partition, presenceName), schema.PartitionKey(partition, gatewaysName)}
	args := strings2args(schema.GatewayExpired{Gateway: g.Gateway}.Fields(),
		g.Gateway, strconv.FormatInt(g.Renewed, 10), GatewayLease.Milliseconds(), PresenceKept.Milliseconds())
	expired, err := expireScript.Run(ctx, b.client, keys, args...).Int()
	if err != nil && !errors.Is(err, redis.Nil) {
		return false, unreachable(err)
	}
	return expired == 1, nil
}

// Withdraw gives back a gateway's leases when it stops cleanly, after all its connections were said to be disconnected.
func (b *Bus) Withdraw(ctx context.Context, gateway string, partitions []int) error {
	_, err := b.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, partition := range partitions {
			p.HDel(ctx, schema.PartitionKey(partition, gatewaysName), gateway)
		}
		return nil
	})
	if err != nil {
		return unreachable(err)
	}
	return nil
}
