package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/handlers/lookup"
	"mpim/projections"
	"mpim/projections/checkpoint"
	"mpim/projections/contacts"
	"mpim/projections/history"
	"mpim/schema"
	"mpim/streams"
	"mpim/streams/cache"
)

// cachePool is how many connections a process opens for the cache, apart from those for the log.
const cachePool = 16

// caching is the cache of a process, and what reads through it.
type caching struct {
	client redis.UniversalClient
	cache  *cache.Cache
	lookup *lookup.Lookup
}

// openCache connects to the cache, once a process. One that does not answer is passed by until it does.
func (s *stores) openCache(settings *Settings) (*caching, error) {
	if s.caching != nil {
		return s.caching, nil
	}
	url, own := settings.RedisCacheURL, true
	if url == "" || url == settings.RedisURL {
		url, own = settings.RedisURL, false
	}
	client, err := streams.Connect(url, cachePool)
	if err != nil {
		return nil, usagef("MPIM_REDIS_CACHE_URL: %w", err)
	}
	config := cache.Config{Client: client, Hot: s.redis, Logger: s.logger}
	if s.registry != nil {
		config.Registerer = s.registry
		s.registry.MustRegister(pools{"log": s.redis, "cache": client})
	}
	if !own {
		config.Bound, config.Memory = settings.cacheBytes.Load, s.server.Memory
	}
	c, err := cache.New(config)
	if err != nil {
		return nil, err
	}
	s.caching = &caching{client: client, cache: c, lookup: &lookup.Lookup{
		Cache: kinds{c}, Directory: agreedContacts{contacts.NewQueries(s.db), s}, Groups: agreedQueries{history.NewQueries(s.db), s},
	}}
	return s.caching, nil
}

// loads are how entries are read from SQL.
func (c *caching) loads() map[cache.Kind]cache.Load {
	loads := make(map[cache.Kind]cache.Load)
	for kind, load := range c.lookup.Loads() {
		loads[cache.Kind(kind)] = load
	}
	return loads
}

// keepWarm warms the cache, and does so again when it was lost.
func (c *caching) keepWarm(ctx context.Context) error { return c.cache.KeepWarm(ctx, c.loads()) }

// kinds fits the cache to lookup, which knows kinds by their names.
type kinds struct{ cache *cache.Cache }

// GetMany implements lookup.Cache.
func (k kinds) GetMany(ctx context.Context, kind string, ids []string, load lookup.Load) (map[string][]byte, error) {
	if len(ids) == 1 {
		value, ok, err := k.cache.Get(ctx, cache.Kind(kind), ids[0], load)
		if !ok || err != nil {
			return nil, err
		}
		return map[string][]byte{ids[0]: value}, nil
	}
	return k.cache.GetMany(ctx, cache.Kind(kind), ids, load)
}

// Refresh implements lookup.Cache.
func (k kinds) Refresh(ctx context.Context, kind string, ids []string, load lookup.Load) error {
	if err := k.cache.Refresh(ctx, cache.Kind(kind), ids, load); err != nil {
		return projections.Outside(err)
	}
	return nil
}

// cacheCheckpoints is how far the cache has followed the log.
func (s *stores) cacheCheckpoints() *checkpoint.Redis {
	return checkpoint.NewRedis(checkpoint.RedisConfig{Client: s.redis, Name: lookup.Consumer, Version: 1, Partitions: s.identity.Partitions})
}

// newFollower keeps the cache up to date with the log.
func (s *stores) newFollower(c *caching, waiter *checkpoint.Waiter) (*lookup.Follower, *checkpoint.Redis) {
	checkpoints := s.cacheCheckpoints()
	return &lookup.Follower{Lookup: c.lookup, Waiter: waiter, Advance: func(ctx context.Context, b *schema.Batch) error {
		step := projections.Step{Batch: *b}
		for _, r := range b.Records {
			if !r.At.IsZero() {
				step.At = r.At
			}
		}
		return checkpoints.Apply(ctx, step, func(context.Context, []*schema.Record, *checkpoint.Writes) error { return nil })
	}}, checkpoints
}

// Users returns the users with these ids.
func (q agreedContacts) Users(ctx context.Context, ids []domain.UserID) ([]contacts.User, error) {
	if err := q.agree(ctx); err != nil {
		return nil, err
	}
	return q.Queries.Users(ctx, ids)
}

// Groups returns the groups with these ids.
func (q agreedQueries) Groups(ctx context.Context, ids []domain.ConversationID) ([]history.Group, error) {
	if err := q.agree(ctx); err != nil {
		return nil, err
	}
	return q.Queries.Groups(ctx, ids)
}

// pools shows the connections of each pool.
type pools map[string]redis.UniversalClient

var (
	poolConnections = prometheus.NewDesc("mpim_redis_pool_connections", "Connections to Redis, by pool and state: idle, used.", []string{"pool", "state"}, nil)
	poolWaits       = prometheus.NewDesc("mpim_redis_pool_waits_total", "Times that a call had to wait for a connection.", []string{"pool"}, nil)
	poolTimeouts    = prometheus.NewDesc("mpim_redis_pool_timeouts_total", "Times that a call waited for a connection in vain.", []string{"pool"}, nil)
)

// Describe implements prometheus.Collector.
func (p pools) Describe(d chan<- *prometheus.Desc) {
	d <- poolConnections
	d <- poolWaits
	d <- poolTimeouts
}

// Collect implements prometheus.Collector.
func (p pools) Collect(m chan<- prometheus.Metric) {
	for name, client := range p {
		s := client.PoolStats()
		m <- prometheus.MustNewConstMetric(poolConnections, prometheus.GaugeValue, float64(s.IdleConns), name, "idle")
		m <- prometheus.MustNewConstMetric(poolConnections, prometheus.GaugeValue, float64(s.TotalConns-s.IdleConns), name, "used")
		m <- prometheus.MustNewConstMetric(poolWaits, prometheus.CounterValue, float64(s.WaitCount), name)
		m <- prometheus.MustNewConstMetric(poolTimeouts, prometheus.CounterValue, float64(s.Timeouts), name)
	}
}

// newCacheBytes returns the bound of a shared cache, which may change while the process runs.
func newCacheBytes(n int) *atomic.Int64 {
	bound := new(atomic.Int64)
	bound.Store(int64(n))
	return bound
}

// examineCache says whether the cache follows the log.
func (d *doctor) examineCache(s *stores, worked bool) {
	ctx, cancel := context.WithTimeout(d.ctx, checkTime)
	defer cancel()
	heads, err := s.reader().Heads(ctx)
	var status projections.Status
	if err == nil {
		status, err = s.cacheCheckpoints().Status(ctx)
	}
	if err != nil {
		d.add("cache", "", "start Redis again and look at its log", err)
		return
	}
	events, behind, err := s.lag(ctx, status, heads, time.Now())
	if err == nil && behind > lagBound {
		err = fmt.Errorf("it is %s behind the log: what it holds may be older than SQL", behind.Round(time.Second))
	}
	if err == nil && worked {
		err = s.held(ctx, lookup.Consumer)
	}
	d.add("cache", fmt.Sprintf("%d events behind", events), "start a worker that runs it, and look at the workers' logs", err)
}
