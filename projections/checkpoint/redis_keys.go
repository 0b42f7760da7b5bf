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
// and is for verifying and dropping, not for answering.
func (c *Redis) Keys(ctx context.Context, prefix string) ([]string, error) {
	var mu sync.Mutex
	var keys []string
	scan := func(ctx context.Context, client redis.UniversalClient) error {
		iterator := client.Scan(ctx, 0, globEscaper.Replace(prefix)+"*", 2000).Iterator()
		for iterator.Next(ctx) {
			mu.Lock()
			keys = append(keys, iterator.Val())
			mu.Unlock()
		}
		return iterator.Err()
	}
	var err error
	if cluster, ok := c.config.Client.(*redis.ClusterClient); ok {
		err = cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return scan(ctx, node) })
	} else {
		err = scan(ctx, c.config.Client)
	}
	if err != nil {
		return nil, Outside(fmt.Errorf("list keys that begin with %s: %w", prefix, err))
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

var globEscaper = strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`)
