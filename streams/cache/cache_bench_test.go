package cache_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/redis/go-redis/v9"

	"mpim/streams/cache"
	"mpim/streams/streamstest"
)

const (
	// benchEntries are how many users there are, of whom a few are asked for most: Zipf's law with an exponent of 1.1.
	benchEntries = 100_000
	benchReaders = 32
	benchSkew    = 1.1
	// benchSQL is what a read from SQL takes.
	benchSQL = 2 * time.Millisecond
)

// users is the source of the benchmark: it takes as long as SQL does and returns what a user's entry is.
func users(_ context.Context, ids []string) (map[string][]byte, error) {
	timer := time.NewTimer(benchSQL)
	<-timer.C
	values := make(map[string][]byte, len(ids))
	for _, id := range ids {
		values[id] = []byte(`{"ID":"` + id + `","Username":"somebody","DisplayName":"Some Body","AvatarURL":"` + strings.Repeat("a", 100) + `","CreatedAt":"2026-01-02T03:04:05.678Z"}`)
	}
	return values, nil
}

// zipf asks with many readers at once, for a time, and returns how often it asked and how long each answer took.
func zipf(b *testing.B, lasts time.Duration, ids []string, ask func(ctx context.Context, id string)) (asked int64, took *hdrhistogram.Histogram) {
	b.Helper()
	took = hdrhistogram.New(1, int64(10*time.Second), 3)
	var mu sync.Mutex
	var readers sync.WaitGroup
	var n atomic.Int64
	until := time.Now().Add(lasts)
	for reader := range benchReaders {
		readers.Go(func() {
			own := hdrhistogram.New(1, int64(10*time.Second), 3)
			draw := rand.NewZipf(rand.New(rand.NewPCG(uint64(reader), 1)), benchSkew, 1, benchEntries-1)
			for count := int64(1); ; count++ {
				began := time.Now()
				if began.After(until) {
					n.Add(count - 1)
					break
				}
				ask(b.Context(), ids[draw.Uint64()])
				_ = own.RecordValue(int64(time.Since(began)))
			}
			mu.Lock()
			defer mu.Unlock()
			took.Merge(own)
		})
	}
	readers.Wait()
	return n.Load(), took
}

// BenchmarkZipf reads one entry at a time, from many goroutines, beside raw GETs in pipelines of 100 on the same server.
func BenchmarkZipf(b *testing.B) {
	server := streamstest.StartRedis(b, streamstest.With("appendonly", "no"), streamstest.With("maxmemory", "256mb"), streamstest.With("maxmemory-policy", "allkeys-lru"))
	log := streamstest.StartRedis(b)
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), PoolSize: 16})
	b.Cleanup(func() { _ = client.Close() })
	c := open(b, cache.Config{Client: client, Hot: log.Client()})
	var missed atomic.Int64
	load := func(ctx context.Context, ids []string) (map[string][]byte, error) {
		missed.Add(int64(len(ids)))
		return users(ctx, ids)
	}
	ask := func(ctx context.Context, id string) {
		if _, ok, err := c.Get(ctx, cache.UserInfo, id, load); !ok || err != nil {
			b.Error(ok, err)
		}
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	go func() { _ = c.Run(ctx) }()
	ids := numbered("u0123456789abcdefghij", benchEntries)
	for b.Loop() {
		// Misses count from the first read of an empty cache, times once it has settled.
		before, _ := zipf(b, 6*time.Second, ids, ask)
		asked, took := zipf(b, 3*time.Second, ids, ask)
		b.ReportMetric(float64(asked)/3, "gets/s")
		b.ReportMetric(100*(1-float64(missed.Load())/float64(before+asked)), "%hits")
		b.ReportMetric(float64(took.ValueAtQuantile(50))/1e6, "p50-ms")
		b.ReportMetric(float64(took.ValueAtQuantile(99))/1e6, "p99-ms")
		b.ReportMetric(many(b, c, ids, load), "many/s")
		b.ReportMetric(raw(b, client, ids), "raw-gets/s")

		// After a restart the cache is empty; it is warmed while the same load goes on.
		if err := client.FlushAll(ctx).Err(); err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		go func() { _ = c.KeepWarm(ctx, map[cache.Kind]cache.Load{cache.UserInfo: users}) }()
		for {
			missed.Store(0)
			asked, _ := zipf(b, 100*time.Millisecond, ids, ask)
			if float64(missed.Load()) <= 0.1*float64(asked) {
				break
			}
		}
		b.ReportMetric(time.Since(began).Seconds(), "s-to-90%")
	}
}

// many reads 50 entries at a time and returns how many a second that makes.
func many(b *testing.B, c *cache.Cache, ids []string, load cache.Load) float64 {
	b.Helper()
	draw := rand.NewZipf(rand.New(rand.NewPCG(1, 1)), benchSkew, 1, benchEntries-1)
	began, n := time.Now(), 0
	for time.Since(began) < 2*time.Second {
		some := make([]string, 50)
		for i := range some {
			some[i] = ids[draw.Uint64()]
		}
		if _, err := c.GetMany(b.Context(), cache.UserInfo, some, load); err != nil {
			b.Fatal(err)
		}
		n += len(some)
	}
	return float64(n) / time.Since(began).Seconds()
}

// raw returns how many GETs a second one goroutine for each core does in pipelines of 100.
func raw(b *testing.B, client *redis.Client, ids []string) float64 {
	b.Helper()
	var n atomic.Int64
	var readers sync.WaitGroup
	began := time.Now()
	for reader := range 2 {
		readers.Go(func() {
			draw := rand.NewZipf(rand.New(rand.NewPCG(uint64(reader), 1)), benchSkew, 1, benchEntries-1)
			for time.Since(began) < 2*time.Second {
				_, err := client.Pipelined(b.Context(), func(p redis.Pipeliner) error {
					for range 100 {
						p.Get(b.Context(), cache.UserInfo.Key(ids[draw.Uint64()]))
					}
					return nil
				})
				if err != nil && err != redis.Nil { //nolint:errorlint // it is never wrapped
					b.Error(err)
				}
				n.Add(100)
			}
		})
	}
	readers.Wait()
	return float64(n.Load()) / time.Since(began).Seconds()
}
