package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/redis/go-redis/v9"
)

// RedisSource reads the checkpoints of the live build of every projection in Redis. It implements Source.
type RedisSource struct {
	client redis.UniversalClient

	mu   sync.Mutex
	live map[string]*Live
}

// NewRedisSource returns a source.
func NewRedisSource(client redis.UniversalClient) *RedisSource {
	return &RedisSource{client: client, live: make(map[string]*Live)}
}

func (s *RedisSource) of(projection string) *Live {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live[projection] == nil {
		s.live[projection] = NewLive(s.client, projection)
	}
	return s.live[projection]
}

// Positions implements Source.
func (s *RedisSource) Positions(ctx context.Context, projection string, partitions []int) (positions []int64, err error) {
	err = s.of(projection).Read(ctx, func(ctx context.Context, r *Reading) (err error) {
		positions, err = r.Positions(ctx, partitions)
		return err
	})
	return positions, err
}

// Positions returns how far the build has come in each of the partitions, in their order.
func (r *Reading) Positions(ctx context.Context, partitions []int) ([]int64, error) {
	commands := make([]*redis.StringCmd, len(partitions))
	err := r.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, partition := range partitions {
			commands[i] = p.HGet(ctx, r.Checkpoint(partition), "seq")
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("read the checkpoints of %s: %w", r.live.name, err)
	}
	positions := make([]int64, len(partitions))
	for i, command := range commands {
		seq, err := command.Int64()
		if err != nil && !errors.Is(err, redis.Nil) {
			return nil, fmt.Errorf("read the checkpoints of %s: %w", r.live.name, err)
		}
		positions[i] = seq
	}
	return positions, nil
}
