package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/projections"
	"mpim/projections/builds"
	"mpim/schema"
)

// RedisConfig is what the checkpoints of a projection in Redis need.
type RedisConfig struct {
	Client redis.UniversalClient
	// Name and Version are those of the projection.
	Name    string
	Version int
	// Partitions is how many the log has.
	Partitions int
	// Build is the build whose state this is. Default: the first one, live.
	Build builds.Build
	// Space stands in front of the projection's names of keys. Default: that of the build.
	Space string
}

// Redis keeps the checkpoints of a projection whose state is in Redis, and applies its writes together with them. It
// implements projections.Checkpoints, for embedding.
type Redis struct{ config RedisConfig }

// NewRedis returns the checkpoints of a projection.
func NewRedis(config RedisConfig) *Redis {
	if config.Build.Number == 0 {
		config.Build = builds.Build{Name: config.Name, Number: 1, Version: config.Version, State: projections.Live}
	}
	if config.Space == "" {
		config.Space = schema.BuildSpace(config.Name, config.Build.Number)
	}
	return &Redis{config: config}
}

// Name returns the projection's name.
func (c *Redis) Name() string { return c.config.Name }

// Version returns the projection's version.
func (c *Redis) Version() int { return c.config.Version }

// Build returns the build whose state this is.
func (c *Redis) Build() builds.Build { return c.config.Build }

// Client returns the client that the projection was given.
func (c *Redis) Client() redis.UniversalClient { return c.config.Client }

// Key returns the key of a thing that lives in a partition, and so together with the checkpoint.
func (c *Redis) Key(partition int, name string) string {
	return schema.PartitionKey(partition, c.config.Space+name)
}

// OutsideKey returns the key of a thing that lives by itself: the name, and its id in braces.
func (c *Redis) OutsideKey(name, id string) string { return outsideKey(c.config.Space, name, id) }

func outsideKey(space, name, id string) string { return space + name + ":{" + id + "}" }

func (c *Redis) checkpointKey(partition int) string {
	return c.Key(partition, checkpointName(c.config.Name))
}

func checkpointName(projection string) string { return "checkpoint:" + projection }

// Take implements projections.Checkpoints.
func (c *Redis) Take(ctx context.Context, partition int, token int64) (schema.Checkpoint, error) {
	reply, err := takeScript.Run(ctx, c.config.Client, []string{c.checkpointKey(partition)}, token).StringSlice()
	switch {
	case errors.Is(err, redis.Nil):
		return schema.Checkpoint{}, projections.ErrDeposed
	case err != nil:
		return schema.Checkpoint{}, Outside(fmt.Errorf("take partition %d: %w", partition, err))
	case len(reply) != 2:
		return schema.Checkpoint{}, fmt.Errorf("take partition %d: the answer has %d values", partition, len(reply))
	}
	seq, err := strconv.ParseInt(reply[0], 10, 64)
	if err != nil {
		return schema.Checkpoint{}, fmt.Errorf("take partition %d: the checkpoint is damaged: %w", partition, err)
	}
	return schema.Checkpoint{Seq: seq, StreamID: reply[1]}, nil
}

// Status implements projections.Checkpoints.
func (c *Redis) Status(ctx context.Context) (projections.Status, error) {
	status := projections.Status{
		Name: c.config.Name, Version: c.config.Build.Version, Build: c.config.Build.Number,
		Store: projections.RedisStore, State: c.config.Build.State,
	}
	checkpoints := make([]*redis.SliceCmd, c.config.Partitions)
	parked := make([]*redis.IntCmd, c.config.Partitions)
	_, err := c.config.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range checkpoints {
			checkpoints[i] = p.HMGet(ctx, c.checkpointKey(i), "seq", "id", "at", "updated")
			parked[i] = p.HLen(ctx, c.parkedKey(i))
		}
		return nil
	})
	if err != nil {
		return status, Outside(fmt.Errorf("read the checkpoints of %s: %w", c.config.Name, err))
	}
	for i, command := range checkpoints {
		values := command.Val()
		if values[0] == nil {
			continue
		}
		id, _ := values[1].(string)
		status.Partitions = append(status.Partitions, projections.PartitionStatus{
			Partition: i, Checkpoint: schema.Checkpoint{Seq: number(values[0]), StreamID: id},
			At: milliseconds(number(values[2])), UpdatedAt: milliseconds(number(values[3])),
		})
		status.Parked += parked[i].Val()
	}
	return status, nil
}

// number reads a value of an HMGET as a number; 0 where it is absent or none.
func number(value any) int64 {
	text, _ := value.(string)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// milliseconds returns the time of a Unix time in milliseconds; zero for 0.
func milliseconds(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
