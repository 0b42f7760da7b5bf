package streamstest_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/streams/streamstest"
)

func TestRedisKeepsSyncedDataOverKill(t *testing.T) {
	t.Parallel()
	server := streamstest.StartRedis(t, streamstest.With("appendfsync", "always"))
	client := server.Client()
	if err := client.Set(t.Context(), "key", "value", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := ping(t, server); err == nil {
		t.Fatal("a killed server answered")
	}
	address := server.Addr()
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	if server.Addr() != address {
		t.Fatalf("the server moved from %s to %s", address, server.Addr())
	}
	if got, err := client.Get(t.Context(), "key").Result(); err != nil || got != "value" {
		t.Fatalf("after the restart: %q, %v", got, err)
	}
}

func TestRedisIsConfiguredAsTheLogNeedsIt(t *testing.T) {
	t.Parallel()
	server := streamstest.StartRedis(t, streamstest.With("maxmemory", "64mb"))
	want := map[string]string{
		"appendonly": "yes", "appendfsync": "everysec", "save": "", "maxmemory-policy": "noeviction",
		"maxmemory": "67108864", "bind": "127.0.0.1",
	}
	client := server.Client()
	for directive, value := range want {
		got, err := client.ConfigGet(t.Context(), directive).Result()
		if err != nil || got[directive] != value {
			t.Errorf("%s = %q, %v, want %q", directive, got[directive], err, value)
		}
	}
}

func TestRedisPausedAnswersNothingUntilContinued(t *testing.T) {
	t.Parallel()
	server := streamstest.StartRedis(t)
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := ping(t, server); err == nil {
		t.Fatal("a paused server answered")
	}
	if err := server.Continue(); err != nil {
		t.Fatal(err)
	}
	if err := server.Client().Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
}

// ping asks once and waits a tenth of a second, where a usual client would try again for seconds.
func ping(t *testing.T, server *streamstest.RedisServer) error {
	t.Helper()
	client := redis.NewClient(&redis.Options{
		Addr: server.Addr(), MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true,
	})
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	return client.Ping(ctx).Err()
}

func TestRedisCloseLeavesNothing(t *testing.T) {
	t.Parallel()
	server, err := streamstest.NewRedis()
	if err != nil {
		t.Fatal(err)
	}
	client := server.Client()
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-server.Done():
	default:
		t.Error("the server still runs")
	}
	if _, err := os.Stat(server.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its directory is still there: %v", err)
	}
	if err := client.Ping(t.Context()).Err(); err == nil {
		t.Error("its client still works")
	}
}

func TestRedisSaysWhyItDoesNotStart(t *testing.T) {
	t.Parallel()
	server, err := streamstest.NewRedis(streamstest.With("no-such-directive", "yes"))
	if err == nil {
		_ = server.Close()
		t.Fatal("it started")
	}
	if text := err.Error(); !strings.Contains(text, "no-such-directive") {
		t.Fatalf("the error does not show what the server printed: %s", text)
	}
}
