package streams

import (
	"context"
	_ "embed" // for the script
	"fmt"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/schema"
	"mpim/streams/fold"
)

var (
	//go:embed lua/restate.lua
	restateLua    string
	restateScript = redis.NewScript(restateLua)
)

// Restate writes a change of what stands beside the log. It is false, and nothing is written, where an event of the aggregate
// was appended behind the change's head. A server that holds another log, another epoch, or less than was folded is an error.
func (s States) Restate(ctx context.Context, partition int, c fold.Change) (written bool, err error) {
	aggregate := ""
	if c.Aggregate != (domain.Aggregate{}) {
		aggregate = c.Aggregate.String()
	}
	args := []any{s.Identity.ID, s.Identity.Epoch, c.Head, aggregate, len(c.Set), len(c.Delete), len(c.Timers), len(c.Cancels)}
	for _, f := range c.Set {
		args = append(args, f.Name, f.Value)
	}
	for _, name := range c.Delete {
		args = append(args, name)
	}
	for _, t := range c.Timers {
		args = append(args, t.Name, t.At.UnixMilli())
	}
	for _, name := range c.Cancels {
		args = append(args, name)
	}
	n, err := restateScript.Run(ctx, s.Client, []string{
		aggregateKey(partition, c.Aggregate), schema.PartitionKey(partition, metaName),
		schema.PartitionKey(partition, logName), schema.PartitionKey(partition, dueName),
	}, args...).Int()
	if err != nil {
		return false, fmt.Errorf("restate %s of partition %d: %w", c.Aggregate, partition, err)
	}
	return n == 1, nil
}
