package presence

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"mpim/projections/checkpoint"
)

// Dump returns what is kept of a partition in one form whatever way it came about. What is leased (routes, statuses) and
// what is not in the log (choices) is left out, and who went offline by now, since it is chance whether a sweep has been.
func (p *Projection) Dump(ctx context.Context, partition int) (map[string]string, error) {
	dump := make(map[string]string)
	for name, key := range map[string]string{
		"connection ": p.Key(partition, connectionsName), "user ": p.Key(partition, usersName),
	} {
		fields, err := p.Client().HGetAll(ctx, key).Result()
		if err != nil {
			return nil, checkpoint.Outside(fmt.Errorf("read %s: %w", key, err))
		}
		for field, value := range fields {
			dump[name+field] = value
		}
	}
	offline, err := p.Client().ZRangeWithScores(ctx, p.Key(partition, offlineName), 0, -1).Result()
	if err != nil {
		return nil, checkpoint.Outside(fmt.Errorf("read who goes offline: %w", err))
	}
	now := float64(time.Now().UnixMilli())
	for _, z := range offline {
		if z.Score > now {
			dump[fmt.Sprintf("offline %v", z.Member)] = strconv.FormatFloat(z.Score, 'f', 0, 64)
		}
	}
	return dump, nil
}
