package streams_test

import (
	"context"
	"net"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/schema"
	"mpim/streams"
	"mpim/streams/streamstest"
)

// remembered is what the log keeps of a request: time, content, sequence.
func remembered(at time.Time) string {
	ms := at.UnixMilli()
	b := make([]byte, 0, 15)
	for shift := 40; shift >= 0; shift -= 8 {
		b = append(b, byte(ms>>shift))
	}
	return string(b) + "contents1"
}

func droppedFor(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := make(map[string]float64)
	for _, family := range families {
		if family.GetName() != "mpim_log_requests_dropped_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			counts[metric.GetLabel()[0].GetValue()] = metric.GetCounter().GetValue()
		}
	}
	return counts
}

func TestSweepTellsAgeFromBound(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	now := time.Now()
	server.SetTime(now)
	for i := range 120 {
		server.HSet(schema.PartitionKey(1, "idem:7"), "young"+strconv.Itoa(i), remembered(now.Add(-time.Duration(i)*time.Minute)))
	}
	for i := range 5 {
		server.HSet(schema.PartitionKey(1, "idem:7"), "old"+strconv.Itoa(i), remembered(now.Add(-25*time.Hour)))
	}
	registry := prometheus.NewRegistry()
	sweeper := streams.NewSweeper(streams.SweeperConfig{Client: client, Partitions: 4, Registerer: registry})
	if counts := droppedFor(t, registry); len(counts) != 2 {
		t.Errorf("before the first sweep there is %v", counts)
	}
	swept, err := sweeper.Sweep(t.Context(), 1, 0, 64)
	if err != nil || swept != (streams.Swept{Age: 5, Bound: 18}) {
		t.Errorf("swept %+v, %v", swept, err)
	}
	if counts := droppedFor(t, registry); counts["age"] != 5 || counts["bound"] != 18 {
		t.Errorf("the metrics say %v", counts)
	}
	if left := client.HGet(t.Context(), schema.PartitionKey(1, "idem:7"), "young101").Val(); left == "" {
		t.Error("one for which there is room was dropped")
	}
	early := func(want int64) {
		t.Helper()
		if n, err := streams.DroppedEarly(t.Context(), client, 4); err != nil || n != want {
			t.Errorf("%d were dropped early, %v; want %d", n, err, want)
		}
	}
	early(18)
	server.FastForward(23 * time.Hour)
	early(18)
	server.FastForward(2 * time.Hour)
	early(0)
}

// What is old says the server, whose clock all processes share.
func TestSweepGoesByTheServersClock(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	there := time.Now().Add(-100 * time.Hour)
	server.SetTime(there)
	server.HSet(schema.PartitionKey(1, "idem:0"), "young", remembered(there.Add(-23*time.Hour)))
	server.HSet(schema.PartitionKey(1, "idem:0"), "old", remembered(there.Add(-25*time.Hour)))
	swept, err := streams.NewSweeper(streams.SweeperConfig{Client: client, Partitions: 4}).Sweep(t.Context(), 1, 0, 1)
	if err != nil || swept != (streams.Swept{Age: 1}) {
		t.Errorf("swept %+v, %v", swept, err)
	}
}

// Leases that are too short for a pass still reach everything in the end.
func TestSweepBeginsAnywhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dial := streamstest.StartEmbedded(t)
		client := redis.NewClient(&redis.Options{
			MaxRetries: -1, PoolSize: 1,
			Dialer: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		})
		defer client.Close()
		const partitions = domain.MaxPartitions
		all := streams.Subhashes(partitions)
		old := remembered(time.Now().Add(-25 * time.Hour))
		if _, err := client.Pipelined(t.Context(), func(p redis.Pipeliner) error {
			for n := range all {
				p.HSet(t.Context(), schema.PartitionKey(1, "idem:"+strconv.Itoa(n)), "old", old)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		sweeper := streams.NewSweeper(streams.SweeperConfig{Client: client, Partitions: partitions})
		for range 40 {
			lease, cancel := context.WithTimeout(t.Context(), 6*time.Second) // one look
			if err := sweeper.Run(lease, 1); err != nil {
				t.Error(err)
			}
			cancel()
		}
		// Each look is at some of the sub-hashes; 40 places drawn from so many hardly ever coincide.
		looked := max(1, all/720)
		left := client.DBSize(t.Context()).Val()
		if swept := int64(all) - left; swept < 20*int64(looked) {
			t.Errorf("40 leases swept %d of %d sub-hashes, %d at a time", swept, all, looked)
		}
	})
}
