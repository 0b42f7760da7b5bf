package checkpoint

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Keys returns all keys that begin with prefix, in order. It looks at every key of every server, a few thousand at a time,
// and is for verifying, not for answering.
func (c *Redis) Keys(ctx context.Context, prefix string) ([]string, error) {
	var mu sync.Mutex
	var keys []string
	err := c.scan(ctx, globEscaper.Replace(prefix)+"*", 2000, func(_ context.Context, _ redis.UniversalClient, some []string) error {
		mu.Lock()
		defer mu.Unlock()
		keys = append(keys, some...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// scan calls do with the keys that match a pattern, some maybe twice, and the server that has them; in a Cluster with those
// of several servers at a time.
func (c *Redis) scan(
	ctx context.Context, pattern string, page int64, do func(ctx context.Context, client redis.UniversalClient, keys []string) error,
) error {
	one := func(ctx context.Context, client redis.UniversalClient) error {
		for cursor := uint64(0); ; {
			keys, next, err := client.Scan(ctx, cursor, pattern, page).Result()
			if err != nil {
				return Outside(fmt.Errorf("list keys like %s: %w", pattern, err))
			}
			if err := do(ctx, client, keys); err != nil {
				return err
			}
			if cursor = next; cursor == 0 {
				return nil
			}
		}
	}
	if cluster, ok := c.config.Client.(*redis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return one(ctx, node) })
	}
	return one(ctx, c.config.Client)
}

var globEscaper = strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`)
