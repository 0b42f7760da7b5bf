package streams_test

import (
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"mpim/streams"
	"mpim/streams/streamstest"
)

func TestLogOnRedis(t *testing.T) {
	server := streamstest.StartRedis(t)
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
