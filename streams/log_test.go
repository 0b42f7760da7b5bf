package streams_test

import (
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"mpim/streams"
	"mpim/streams/streamstest"
)

func TestLogOnRedis(t *testing.T) {
	testLogOn(t, streamstest.StartRedis(t))
}

// A node of a cluster refuses a script whose keys are not all in one slot.
func TestLogOnClusterNode(t *testing.T) {
	server := streamstest.StartRedis(t, streamstest.With("cluster-enabled", "yes"))
	client := server.Client()
	if err := client.ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !strings.Contains(client.ClusterInfo(t.Context()).Val(), "cluster_state:ok") {
		<-ticker.C
	}
	testLogOn(t, server)
}

func testLogOn(t *testing.T, server *streamstest.RedisServer) {
	t.Helper()
	streamstest.TestLog(t, func(t *testing.T) streamstest.Store {
		t.Helper()
		client := redis.NewClient(&redis.Options{Addr: server.Addr()})
		t.Cleanup(func() { _ = client.Close() })
		if err := client.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		return streamstest.Store{Client: client}
	})
}

func TestLogOnMiniredis(t *testing.T) {
	streamstest.TestLog(t, func(t *testing.T) streamstest.Store {
		t.Helper()
		client := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
		t.Cleanup(func() { _ = client.Close() })
		return streamstest.Store{Client: client, Server: streams.EmbeddedServer{Life: t.Name()}}
	})
}
