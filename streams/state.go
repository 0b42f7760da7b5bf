package streams

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/schema"
)

// States reads decision state as it stands at one moment.
type States struct {
	// Client reaches the server; it is not closed.
	Client redis.UniversalClient
}

// State returns all fields of an aggregate, and the partition's last sequence at that moment.
func (s States) State(ctx context.Context, a domain.Aggregate) (domain.Fields, int64, error) {
	partition, ok := a.Partition()
	if !ok {
		return nil, 0, fmt.Errorf("%s names no partition", a)
	}
	var fields *redis.MapStringStringCmd
	var head *redis.StringCmd
	_, err := s.Client.TxPipelined(ctx, func(p redis.Pipeliner) error {
		fields = p.HGetAll(ctx, aggregateKey(partition, a))
		head = p.HGet(ctx, schema.PartitionKey(partition, metaName), "seq")
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, 0, unreachable(err)
	}
	seq, err := head.Int64()
	if err != nil {
		return nil, 0, fmt.Errorf("counter of partition %d: %w", partition, err)
	}
	return fields.Val(), seq, nil
}
