package cache

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Keys of the list of entries on a shared server. They have one tag, so that one script reaches them.
const (
	expiryKey = "cache:{entries}:expiry"
	sizesKey  = "cache:{entries}:sizes"
	sumKey    = "cache:{entries}:bytes"
)

const (
	// entryOverhead is about what an entry takes beside its key, three times, and its value: Redis's own for the key and for its
	// two places in the list.
	entryOverhead = 320
	// cleanEvery is how often the bound is looked at, and sampled how many entries are compared to find the coldest.
	cleanEvery = time.Second
	sampled    = 64
	// evictRounds bounds the work of one look.
	evictRounds = 200
	// logShare is the part of maxmemory above which the cache gives way.
	logShare = 0.8
)

func sizeOf(key string, value []byte) int64 { return int64(3*len(key) + len(value) + entryOverhead) }

// note keeps the list of entries: those with a value were stored, the others have gone. What is not noted is bounded by its
// time to live alone.
func (c *Cache) note(ctx context.Context, kind Kind, ids []string, values map[string][]byte) {
	if c.config.Bound == nil || len(ids) == 0 {
		return
	}
	args := make([]any, 0, 3*len(ids))
	expiry := time.Now().Add(kind.TTL()).UnixMilli()
	for _, id := range ids {
		key, size := kind.Key(id), int64(0)
		if value, ok := values[id]; ok {
			size = sizeOf(key, value)
		}
		args = append(args, key, size, expiry)
	}
	c.noteAll(ctx, args)
}

func (c *Cache) noteAll(ctx context.Context, args []any) {
	sum, err := c.config.Client.Eval(ctx, noteLua, []string{expiryKey, sizesKey, sumKey}, args...).Int64()
	if err != nil {
		c.config.Logger.DebugContext(ctx, "cache entries cannot be noted", slog.Any("error", err))
		return
	}
	c.metrics.bytes.Set(float64(sum))
}

// Run keeps the cache within its bound, and tells what is asked for most, until ctx ends.
func (c *Cache) Run(ctx context.Context) error {
	ticker := time.NewTicker(cleanEvery)
	defer ticker.Stop()
	for told := time.Now(); ; {
		if time.Since(told) > tellEvery {
			told = time.Now()
			_ = c.tellHot(ctx) // what is lost of it is counted again
		}
		if c.config.Bound != nil {
			if err := c.Clean(ctx); err != nil && ctx.Err() == nil {
				c.config.Logger.DebugContext(ctx, "cache cannot be cleaned", slog.Any("error", err))
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Clean forgets what has expired, and then the coldest entries until the cache is within its bound. Several may clean at
// once.
func (c *Cache) Clean(ctx context.Context) error {
	if err := c.forgetExpired(ctx); err != nil {
		return err
	}
	sum, err := c.sum(ctx)
	if err != nil {
		return err
	}
	bound := c.bound(ctx, sum)
	c.full.Store(bound == 0)
	for range evictRounds {
		if sum <= bound {
			break
		}
		n, err := c.evict(ctx, sum-bound)
		if err != nil || n == 0 {
			return err
		}
		if sum, err = c.sum(ctx); err != nil {
			return err
		}
	}
	c.metrics.bytes.Set(float64(sum))
	return nil
}

func (c *Cache) sum(ctx context.Context) (int64, error) {
	text, err := c.config.Client.Get(ctx, sumKey).Result()
	if err == redis.Nil { //nolint:errorlint // it is never wrapped
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(text, 10, 64)
}

// bound is what the cache may take now: what was set, and no more than the log leaves of four fifths of maxmemory.
func (c *Cache) bound(ctx context.Context, sum int64) int64 {
	bound := max(0, c.config.Bound())
	if c.config.Memory == nil {
		return bound
	}
	used, limit, err := c.config.Memory(ctx)
	if err != nil || limit == 0 {
		return bound
	}
	return max(0, min(bound, int64(logShare*float64(limit))-(used-sum)))
}

func (c *Cache) forgetExpired(ctx context.Context) error {
	for {
		keys, err := c.config.Client.ZRangeByScore(ctx, expiryKey, &redis.ZRangeBy{
			Min: "-inf", Max: strconv.FormatInt(time.Now().UnixMilli(), 10), Count: 1000,
		}).Result()
		if err != nil || len(keys) == 0 {
			return err
		}
		c.noteGone(ctx, keys)
		if len(keys) < 1000 {
			return nil
		}
	}
}

func (c *Cache) noteGone(ctx context.Context, keys []string) {
	args := make([]any, 0, 3*len(keys))
	for _, key := range keys {
		args = append(args, key, 0, 0)
	}
	c.noteAll(ctx, args)
}

// evict removes the colder half of a sample, or as many as give back so many bytes, and returns how many.
func (c *Cache) evict(ctx context.Context, bytes int64) (int, error) {
	keys, err := c.config.Client.ZRandMember(ctx, expiryKey, sampled).Result()
	if err != nil || len(keys) == 0 {
		return 0, err
	}
	idle, sizes := make([]*redis.DurationCmd, len(keys)), make([]*redis.StringCmd, len(keys))
	_, _ = c.config.Client.Pipelined(ctx, func(p redis.Pipeliner) error { // each command has its error
		for i, key := range keys {
			idle[i], sizes[i] = p.ObjectIdleTime(ctx, key), p.HGet(ctx, sizesKey, key)
		}
		return nil
	})
	order := make([]int, len(keys))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(idleOf(idle[b]), idleOf(idle[a])) })
	var coldest []string
	for _, i := range order[:(len(order)+1)/2] {
		if bytes <= 0 {
			break
		}
		size, _ := sizes[i].Int64()
		bytes -= size
		coldest = append(coldest, keys[i])
	}
	_, err = c.config.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, key := range coldest {
			p.Unlink(ctx, key)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	c.noteGone(ctx, coldest)
	c.metrics.evicted.Add(float64(len(coldest)))
	return len(coldest), nil
}

// idleOf returns for how long nobody read a key; one that has gone counts as coldest.
func idleOf(command *redis.DurationCmd) time.Duration {
	if command.Err() != nil {
		return 1 << 62
	}
	return command.Val()
}
