package cache

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// hotKey is the sorted set, on the log's server, of what is asked for most, so that it outlives the cache.
	hotKey = "cache:hot"
	// hotKept is how many it holds, and hotSample one of how many reads is counted.
	hotKept   = 10_000
	hotSample = 32
	// tellEvery is how often what was counted is told, and hotCounted how much is counted in between at most.
	tellEvery  = 5 * time.Second
	hotCounted = 4096
	// warmBatch is how many entries are loaded at once.
	warmBatch = 100
	// warmedKey says that the cache was warmed; it goes with the cache.
	warmedKey = "cache:warmed"
)

// asked counts some of the reads.
func (c *Cache) asked(key string) {
	if c.config.Hot == nil || rand.IntN(hotSample) != 0 { //nolint:gosec // sampling needs no secrets
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.counts) < hotCounted || c.counts[key] > 0 {
		c.counts[key]++
	}
}

// tellHot adds what was counted to what all processes have counted.
func (c *Cache) tellHot(ctx context.Context) error {
	c.mu.Lock()
	counts := c.counts
	c.counts = make(map[string]float64)
	c.mu.Unlock()
	if len(counts) == 0 {
		return nil
	}
	_, err := c.config.Hot.Pipelined(ctx, func(p redis.Pipeliner) error {
		for key, n := range counts {
			p.ZIncrBy(ctx, hotKey, n, key)
		}
		p.ZRemRangeByRank(ctx, hotKey, 0, -hotKept-1)
		return nil
	})
	return err
}

// Warm loads what was asked for most and is missing, the hottest first, in batches, and returns how many entries it
// stored. What was hot long ago counts half as much each time.
func (c *Cache) Warm(ctx context.Context, loads map[Kind]Load) (stored int, err error) {
	if c.config.Hot == nil {
		return 0, nil
	}
	keys, err := c.config.Hot.ZRevRange(ctx, hotKey, 0, hotKept-1).Result()
	if err != nil {
		return 0, fmt.Errorf("read what is hot: %w", err)
	}
	waiting := make(map[Kind][]string)
	send := func(kind Kind, least int) error {
		ids := waiting[kind]
		if len(ids) < least || len(ids) == 0 {
			return nil
		}
		waiting[kind] = nil
		n, err := c.warm(ctx, kind, ids, loads[kind])
		stored += n
		return err
	}
	for _, key := range keys {
		kind, id, ok := parseKey(key)
		if !ok || loads[kind] == nil {
			continue
		}
		waiting[kind] = append(waiting[kind], id)
		if err := send(kind, warmBatch); err != nil {
			return stored, err
		}
	}
	for _, kind := range Kinds {
		if err := send(kind, 1); err != nil {
			return stored, err
		}
	}
	return stored, c.config.Hot.ZUnionStore(ctx, hotKey, &redis.ZStore{Keys: []string{hotKey}, Weights: []float64{0.5}}).Err()
}

func (c *Cache) warm(ctx context.Context, kind Kind, ids []string, load Load) (int, error) {
	claim := c.claim()
	stands, err := c.claimAll(ctx, kind, ids, claim)
	if err != nil {
		return 0, fmt.Errorf("warm %s: %w", kind, err)
	}
	var mine []string
	for i, id := range ids {
		if stands[i] == "" {
			mine = append(mine, id)
		}
	}
	if len(mine) == 0 {
		return 0, nil
	}
	values, err := load(ctx, mine)
	c.put(ctx, kind, mine, values, claim)
	return len(values), err
}

func parseKey(key string) (kind Kind, id string, ok bool) {
	left, right, found := strings.Cut(key, ":{")
	id, closed := strings.CutSuffix(right, "}")
	return Kind(left), id, found && closed
}

// KeepWarm warms the cache now and whenever it was lost, until ctx ends: one process does it for all.
func (c *Cache) KeepWarm(ctx context.Context, loads map[Kind]Load) error {
	ticker := time.NewTicker(tellEvery)
	defer ticker.Stop()
	for {
		first, err := c.config.Client.SetNX(ctx, warmedKey, c.life, time.Hour).Result()
		if err == nil && first {
			n, err := c.Warm(ctx, loads)
			if err != nil && ctx.Err() == nil {
				c.config.Logger.WarnContext(ctx, "cache cannot be warmed", slog.Any("error", err))
				_ = c.config.Client.Del(ctx, warmedKey).Err() // then it is tried again in an hour at the latest
			} else {
				c.config.Logger.InfoContext(ctx, "cache warmed", slog.Int("entries", n))
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
