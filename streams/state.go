package streams

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/schema"
	"mpim/streams/fold"
)

// States reads what stands beside the log, decision state and due lists, as it is at one moment, and writes it anew.
type States struct {
	// Client reaches the server; it is not closed.
	Client redis.UniversalClient
	// Identity is the log's. Only Restate needs it.
	Identity Identity
}

var (
	_ fold.States = States{}
	_ fold.Writer = States{}
)

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
	seq, err := counter(partition, head)
	return fields.Val(), seq, err
}

// DueList returns when each timer of a partition fires, by its name, and the partition's last sequence at that moment.
func (s States) DueList(ctx context.Context, partition int) (map[string]time.Time, int64, error) {
	var entries *redis.ZSliceCmd
	var head *redis.StringCmd
	_, err := s.Client.TxPipelined(ctx, func(p redis.Pipeliner) error {
		entries = p.ZRangeWithScores(ctx, schema.PartitionKey(partition, dueName), 0, -1)
		head = p.HGet(ctx, schema.PartitionKey(partition, metaName), "seq")
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, 0, unreachable(err)
	}
	due := make(map[string]time.Time, len(entries.Val()))
	for _, entry := range entries.Val() {
		name, _ := entry.Member.(string)
		due[name] = time.UnixMilli(int64(entry.Score)).UTC()
	}
	seq, err := counter(partition, head)
	return due, seq, err
}

// counter reads a partition's last sequence.
func counter(partition int, head *redis.StringCmd) (int64, error) {
	seq, err := head.Int64()
	if err != nil {
		return 0, fmt.Errorf("counter of partition %d: %w", partition, err)
	}
	return seq, nil
}
