package checkpoint

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/projections/builds"
	"mpim/schema"
)

const (
	// scanPage is how many keys of the server one call looks at, and so how many it takes away at once at most.
	scanPage = 500
	// fenceKept is for how long a dropped build stays fenced. Whoever fed it knows by then that it is gone.
	fenceKept = 24 * time.Hour
)

// Drop implements builds.Code. It fences the build, so that nobody feeds it any more, and takes its keys away a few hundred
// at a time. Redis frees what was in them in the background, and answers others in between. It needs no memory, so it can be
// done on a server that is full.
//
// A worker that slept since before the build was dropped may write some keys once more when it wakes up. They are in nobody's
// way, since numbers are not used again; dropping the build again takes them too.
func (c RedisCode) Drop(ctx context.Context, b builds.Build) error {
	p := c.checkpoints(b)
	if b.Number != builds.Aside { // whose number is used again
		if err := p.fence(ctx, fenceKept); err != nil {
			return fmt.Errorf("drop %s: %w", b, err)
		}
	}
	for again := true; again; {
		n, err := c.sweep(ctx, p)
		if err != nil {
			return fmt.Errorf("drop %s: %w", b, err)
		}
		again = n > 0 // what a step wrote that was on its way
	}
	return nil
}

// sweep takes away the keys of a build, and returns how many there were.
func (c RedisCode) sweep(ctx context.Context, p *Redis) (removed int64, err error) {
	owned := c.owned(p)
	var total atomic.Int64
	for _, pattern := range owned.patterns {
		err := p.scan(ctx, pattern, scanPage, func(ctx context.Context, client redis.UniversalClient, keys []string) error {
			n, err := unlink(ctx, client, owned.only(keys))
			total.Add(n)
			return err
		})
		if err != nil {
			return total.Load(), err
		}
	}
	n, err := unlink(ctx, c.Client, owned.names)
	return total.Load() + n, err
}

// unlink takes keys away, each by itself: in a Cluster they live on different servers.
func unlink(ctx context.Context, client redis.UniversalClient, keys []string) (removed int64, err error) {
	if len(keys) == 0 {
		return 0, nil
	}
	commands, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, key := range keys {
			p.Unlink(ctx, key)
		}
		return nil
	})
	if err != nil {
		return 0, Outside(fmt.Errorf("take away %d keys: %w", len(keys), err))
	}
	for _, command := range commands {
		if n, ok := command.(*redis.IntCmd); ok {
			removed += n.Val()
		}
	}
	return removed, nil
}

// owned are the keys of a build.
type owned struct {
	// patterns find them, and maybe others, in a scan.
	patterns []string
	prefixes []string
	// names are keys by themselves.
	names []string
	// kept are those that stay: the fences.
	kept map[string]bool
}

// only returns the keys that are the build's.
func (o owned) only(keys []string) []string {
	var mine []string
	for _, key := range keys {
		for _, prefix := range o.prefixes {
			if strings.HasPrefix(key, prefix) && !o.kept[key] {
				mine = append(mine, key)
				break
			}
		}
	}
	return mine
}

// owned returns the keys of a build.
func (c RedisCode) owned(p *Redis) owned {
	o := owned{kept: make(map[string]bool)}
	for partition := range c.Partitions {
		o.kept[p.checkpointKey(partition)] = p.config.Build.Number != builds.Aside
	}
	if space := p.config.Space; space != "" {
		o.patterns = []string{"*" + globEscaper.Replace(space) + "*"}
		o.prefixes = []string{space}
		for partition := range c.Partitions {
			o.prefixes = append(o.prefixes, schema.PartitionKey(partition, space))
		}
		return o
	}
	for _, name := range c.Outside {
		o.prefixes = append(o.prefixes, name+":{")
		o.patterns = append(o.patterns, globEscaper.Replace(name)+":{*")
	}
	for _, name := range c.Within {
		o.patterns = append(o.patterns, "{*}:"+globEscaper.Replace(name)+"*")
	}
	for partition := range c.Partitions {
		for _, name := range c.Within {
			o.prefixes = append(o.prefixes, schema.PartitionKey(partition, name))
		}
		for _, name := range c.Single {
			o.names = append(o.names, schema.PartitionKey(partition, name))
		}
		o.names = append(o.names, p.parkedKey(partition), p.parkedKeysKey(partition), p.discardedKey(partition))
	}
	return o
}
