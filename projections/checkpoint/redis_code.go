package checkpoint

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/projections"
	"mpim/projections/builds"
)

// RedisProjection is a projection whose state is in Redis.
type RedisProjection interface {
	projections.Projection
	// Dump returns what is kept of a partition in one form whatever way it came about.
	Dump(ctx context.Context, partition int) (map[string]string, error)
}

// RedisCode makes, opens and drops the builds of a projection whose state is in Redis. It is a version of the projection's
// code.
type RedisCode struct {
	Client redis.UniversalClient
	// Projection is the projection's name, Number the version of its code.
	Projection string
	Number     int
	// Partitions is how many the log has.
	Partitions int
	// New returns what feeds a build.
	New func(b builds.Build) RedisProjection
	// Within begin the names of keys that live with the checkpoint, Single are such names in full, Outside the names of
	// those that live by themselves, in front of the id. They are those of the first build: keys of any other have its space
	// in front, by which they are found whatever code made them.
	Within, Single, Outside []string
}

var (
	_ builds.Code     = RedisCode{}
	_ builds.Comparer = RedisCode{}
)

// Name implements builds.Code.
func (c RedisCode) Name() string { return c.Projection }

// Version implements builds.Code.
func (c RedisCode) Version() int { return c.Number }

// Store implements builds.Code.
func (RedisCode) Store() string { return projections.RedisStore }

// Define implements builds.Code. Keys need no making.
func (RedisCode) Define(context.Context, int) error { return nil }

// Open implements builds.Code.
func (c RedisCode) Open(b builds.Build) projections.Projection { return c.New(b) }

// Show implements builds.Code. Analysts do not look into Redis.
func (RedisCode) Show(context.Context, builds.Build) error { return nil }

// Fence implements builds.Code.
func (c RedisCode) Fence(ctx context.Context, b builds.Build) error {
	return c.checkpoints(b).Fence(ctx)
}

func (c RedisCode) checkpoints(b builds.Build) *Redis {
	return NewRedis(RedisConfig{Client: c.Client, Name: c.Projection, Version: b.Version, Partitions: c.Partitions, Build: b})
}

// How often state is compared, a moment apart, before it counts as different: what is due by time is done by a sweep and not
// by an event.
const (
	compareTries = 30
	comparePause = 100 * time.Millisecond
)

// Compare implements builds.Comparer. Each partition is compared by itself, at a moment at which the first build does not
// move.
func (c RedisCode) Compare(
	ctx context.Context, live, fresh builds.Build,
	follow func(ctx context.Context, positions map[int]int64) error, report func(builds.Difference) error,
) error {
	one, other := c.New(live), c.New(fresh)
	for partition := range c.Partitions {
		got, want, err := c.dumps(ctx, one, other, partition, follow)
		if err != nil {
			return err
		}
		keys := slices.Collect(maps.Keys(got))
		keys = slices.AppendSeq(keys, maps.Keys(want))
		slices.Sort(keys)
		for _, key := range slices.Compact(keys) {
			if got[key] == want[key] {
				continue
			}
			d := builds.Difference{Where: fmt.Sprintf("partition %d, %s", partition, key), Live: got[key], Fresh: want[key]}
			if err := report(d); err != nil {
				return err
			}
		}
	}
	return nil
}

// dumps returns what both hold of a partition: the same, if that is so at any of some moments.
func (c RedisCode) dumps(
	ctx context.Context, live, fresh RedisProjection, partition int, follow func(context.Context, map[int]int64) error,
) (got, want map[string]string, err error) {
	for range compareTries {
		before, err := c.position(ctx, live, partition)
		if err != nil {
			return nil, nil, err
		}
		if err := follow(ctx, map[int]int64{partition: before}); err != nil {
			return nil, nil, err
		}
		if got, err = live.Dump(ctx, partition); err != nil {
			return nil, nil, err
		}
		after, err := c.position(ctx, live, partition)
		if err != nil {
			return nil, nil, err
		}
		if want, err = fresh.Dump(ctx, partition); err != nil {
			return nil, nil, err
		}
		if before == after && maps.Equal(got, want) {
			return got, want, nil
		}
		if err := rest(ctx, comparePause); err != nil {
			return nil, nil, err
		}
	}
	return got, want, nil
}

// position returns how far a projection is in a partition.
func (c RedisCode) position(ctx context.Context, p projections.Projection, partition int) (int64, error) {
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
