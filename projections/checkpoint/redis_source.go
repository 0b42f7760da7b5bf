package checkpoint

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"mpim/schema"
)

// RedisSource reads the checkpoints of every projection in Redis. It implements Source.
type RedisSource struct{ client redis.UniversalClient }

// NewRedisSource returns a source.
func NewRedisSource(client redis.UniversalClient) *RedisSource { return &RedisSource{client: client} }

// Positions implements Source.
func (s *RedisSource) Positions(ctx context.Context, projection string, partitions []int) ([]int64, error) {
	commands := make([]*redis.StringCmd, len(partitions))
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, partition := range partitions {
			commands[i] = p.HGet(ctx, schema.PartitionKey(partition, checkpointName(projection)), "seq")
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("read the checkpoints of %s: %w", projection, err)
	}
	positions := make([]int64, len(partitions))
	for i, command := range commands {
		seq, err := command.Int64()
		if err != nil && !errors.Is(err, redis.Nil) {
			return nil, fmt.Errorf("read the checkpoints of %s: %w", projection, err)
		}
		positions[i] = seq
	}
	return positions, nil
}
