package streams_test

import (
	"encoding/binary"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"mpim/schema"
	"mpim/streams"
	"mpim/streams/streamstest"
)

// BenchmarkMemory measures what an append costs in memory: of the stream, against the bytes of the three fields, and of the
// request, in sub-hashes that hold 64 each. It fails where that is more than it may be.
func BenchmarkMemory(b *testing.B) {
	const subhashes, each = 64, 64
	server := streamstest.StartRedis(b)
	client := server.Client()
	for b.Loop() {
		if err := client.FlushAll(b.Context()).Err(); err != nil {
			b.Fatal(err)
		}
		log, _ := benchLog(b, client, streams.Config{})
		aggregates := neighbours(log.Identity(), 100)
		var next atomic.Int64
		var wait sync.WaitGroup
		for range 256 {
			wait.Go(func() {
				for n := int(next.Add(1)) - 1; n < subhashes*each; n = int(next.Add(1)) - 1 {
					c := benchCommit(aggregates[n%len(aggregates)], n)
					binary.BigEndian.PutUint32(c.Request.Key[:], uint32(n%subhashes))
					if _, err := log.Append(b.Context(), c); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wait.Wait()
	}
	stream := memoryUsage(b, client, schema.PartitionKey(1, "log"))
	requests := int64(0)
	for n := range subhashes {
		requests += memoryUsage(b, client, schema.PartitionKey(1, "idem:"+strconv.Itoa(n)))
	}
	ratio := float64(stream) / float64(fieldBytes(b, client))
	perID := float64(requests) / (subhashes * each)
	b.ReportMetric(ratio, "stream-bytes/field-byte")
	b.ReportMetric(perID, "bytes/id")
	if ratio > 1.3 || perID > 40 {
		b.Errorf("the stream takes %.2f times its fields and a request %.1f bytes; they may take 1.3 and 40", ratio, perID)
	}
}

func memoryUsage(b *testing.B, client *redis.Client, key string) int64 {
	b.Helper()
	used, err := client.MemoryUsage(b.Context(), key, 0).Result()
	if err != nil {
		b.Fatal(err)
	}
	return used
}

// fieldBytes counts the values of a stream's fields.
func fieldBytes(b *testing.B, client *redis.Client) (bytes int) {
	b.Helper()
	entries, err := client.XRange(b.Context(), schema.PartitionKey(1, "log"), "-", "+").Result()
	if err != nil {
		b.Fatal(err)
	}
	for _, entry := range entries {
		for _, value := range entry.Values {
			text, _ := value.(string)
			bytes += len(text)
		}
	}
	return bytes
}
