package streams

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/schema"
)

// Due returns the entries of a partition's due list up to a time, the earliest first, at most limit of them. Commits put
// them there and take them off; see [domain.Commit].
func (l *Log) Due(ctx context.Context, partition int, until time.Time, limit int) ([]domain.Timer, error) {
	entries, err := l.config.Client.ZRangeByScoreWithScores(ctx, schema.PartitionKey(partition, dueName), &redis.ZRangeBy{
		Min: "-inf", Max: strconv.FormatInt(until.UnixMilli(), 10), Count: int64(limit),
	}).Result()
	if err != nil {
		return nil, unreachable(err)
	}
	due := make([]domain.Timer, len(entries))
	for i, entry := range entries {
		name, _ := entry.Member.(string)
		due[i] = domain.Timer{Name: name, At: time.UnixMilli(int64(entry.Score)).UTC()}
	}
	return due, nil
}
