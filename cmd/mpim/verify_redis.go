package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/projections"
	"mpim/projections/builds"
	"mpim/schema"
)

// verifySpace stands in front of the keys of a fold that is only compared.
const verifySpace = "verify:"

// dumper is a projection in Redis whose state can be compared.
type dumper interface {
	projections.Projection
	Dump(ctx context.Context, partition int) (map[string]string, error)
	Keys(ctx context.Context, prefix string) ([]string, error)
}

// How often live state is compared, a moment apart, before it counts as different: what is due by time is done by a sweep
// and not by an event.
const (
	compareTries = 30
	comparePause = 100 * time.Millisecond
)

// verifyInRedis folds the log into a space of its own and compares, partition by partition.
func (s *stores) verifyInRedis(ctx context.Context, live, fresh dumper, seen func(int64), report func(builds.Difference) error) (err error) {
	if err := s.dropSpace(ctx, fresh); err != nil { // what one that was killed has left
		return err
	}
	defer func() { err = errors.Join(err, s.dropSpace(context.WithoutCancel(ctx), fresh)) }()
	runner, err := projections.NewRunner(fresh, projections.Config{Logger: s.logger})
	if err != nil {
		return err
	}
	fold := &builds.Folding{Runner: runner, Source: s.reader(), Token: time.Now().UnixMilli(), Seen: seen}
	for partition := range s.identity.Partitions {
		if err := s.verifyPartition(ctx, live, fresh, fold, partition, report); err != nil {
			return err
		}
	}
	return nil
}

func (s *stores) verifyPartition(
	ctx context.Context, live, fresh dumper, fold *builds.Folding, partition int, report func(builds.Difference) error,
) error {
	var got, want map[string]string
	for range compareTries {
		before, err := positionOf(ctx, live, partition)
		if err != nil {
			return err
		}
		if err := fold.To(ctx, map[int]int64{partition: before}); err != nil {
			return err
		}
		if got, err = live.Dump(ctx, partition); err != nil {
			return err
		}
		after, err := positionOf(ctx, live, partition)
		if err != nil {
			return err
		}
		if want, err = fresh.Dump(ctx, partition); err != nil {
			return err
		}
		if before == after && maps.Equal(got, want) {
			return nil
		}
		if err := wait(ctx, comparePause); err != nil {
			return err
		}
	}
	keys := slices.Collect(maps.Keys(got))
	for key := range want {
		if _, both := got[key]; !both {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		if got[key] == want[key] {
			continue
		}
		d := builds.Difference{Where: fmt.Sprintf("partition %d, %s", partition, key), Live: got[key], Fresh: want[key]}
		if err := report(d); err != nil {
			return err
		}
	}
	return nil
}

// positionOf returns how far a projection is in a partition.
func positionOf(ctx context.Context, p projections.Projection, partition int) (int64, error) {
	status, err := p.Status(ctx)
	if err != nil {
		return 0, err
	}
	for _, one := range status.Partitions {
		if one.Partition == partition {
			return one.Checkpoint.Seq, nil
		}
	}
	return 0, nil
}

// dropSpace removes the keys of a fold that was only compared.
func (s *stores) dropSpace(ctx context.Context, fresh dumper) error {
	prefixes := []string{verifySpace}
	for partition := range s.identity.Partitions {
		prefixes = append(prefixes, schema.PartitionKey(partition, verifySpace))
	}
	for _, prefix := range prefixes {
		keys, err := fresh.Keys(ctx, prefix)
		if err != nil {
			return err
		}
		for some := range slices.Chunk(keys, 500) {
			_, err := s.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
				for _, key := range some { // each by itself: in a Cluster they live on different servers
					p.Unlink(ctx, key)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
