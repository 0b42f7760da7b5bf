package checkpointtest

import (
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"mpim/projections/projectionstest"
)

// BatchSize is how many events a benchmark applies at once.
const BatchSize = 256

// Apply measures how fast a projection applies a log in batches. When the log is used up, it begins again in another space.
// It reports events a second, and the time of the server's processor that an event took, which says more where other
// programs run.
func Apply(b *testing.B, client redis.UniversalClient, open Open, log *projectionstest.Log) {
	b.Helper()
	end := int64(len(log.Records))
	var p Projection
	next, events := end+1, int64(0)
	b.ReportAllocs()
	before := ServerTime(b, client)
	for b.Loop() {
		if next+BatchSize-1 > end {
			b.StopTimer()
			p, next = open(client, newSpace()), 1
			if _, err := p.Take(b.Context(), log.Partition, 1); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
		if err := p.Apply(b.Context(), step(log, 1, next, next+BatchSize-1)); err != nil {
			b.Fatal(err)
		}
		next += BatchSize
		events += BatchSize
	}
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric((ServerTime(b, client)-before)*1e6/float64(events), "server-µs/event")
	b.ReportMetric(0, "ns/op")
}

// ServerTime returns how much processor time the server has used, in seconds.
func ServerTime(b *testing.B, client redis.UniversalClient) float64 {
	b.Helper()
	info, err := client.Info(b.Context(), "cpu").Result()
	if err != nil {
		b.Fatal(err)
	}
	var sum float64
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "used_cpu_user" || name == "used_cpu_sys" {
			seconds, err := strconv.ParseFloat(value, 64)
			if err != nil {
				b.Fatal(err)
			}
			sum += seconds
		}
	}
	return sum
}
