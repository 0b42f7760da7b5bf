package streamstest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"mpim/streams/streamstest/processtest"
)

// RedisServer is a private redis-server on 127.0.0.1 with a data directory of its own. The embedded process kills it,
// stops it, pauses it and starts it again on the same port with the same data.
type RedisServer struct {
	*processtest.Process

	address string

	mu      sync.Mutex
	clients []*redis.Client
}

// Option changes how a server is started.
type Option func(*settings)

type settings struct{ directives []string }

// With sets a directive of redis.conf, such as With("appendfsync", "always"). The value is written as it is, so one with
// several words stays several words; an empty one is written as "". A directive given here wins over the default.
func With(directive, value string) Option {
	if value == "" {
		value = `""`
	}
	return func(s *settings) { s.directives = append(s.directives, directive+" "+value) }
}

// StartRedis starts a server for one test and removes it, its data and its clients when the test ends. It fails the test,
// and never skips it, when there is no redis-server to start. What the server printed is shown when the test failed.
func StartRedis(tb testing.TB, options ...Option) *RedisServer {
	tb.Helper()
	server, err := NewRedis(options...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("redis-server %s printed at the end:\n%s", server.Addr(), server.Tail())
		}
		if err := server.Close(); err != nil {
			tb.Error(err)
		}
	})
	return server
}

// NewRedis starts a server that several tests share, for TestMain. The caller closes it.
//
// Unless options say otherwise it runs as mpim wants its server: an append-only file synced every second, no snapshots,
// and no eviction.
func NewRedis(options ...Option) (*RedisServer, error) {
	path, err := processtest.Find("redis-server")
	if err != nil {
		return nil, err
	}
	// Not a test's TempDir: its name can be too long for a socket, and a shared server has no test.
	directory, err := os.MkdirTemp("", "mpim-redis-")
	if err != nil {
		return nil, err
	}
	server := &RedisServer{}
	err = processtest.OnFreePort(func(port int) error {
		server.address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if err := writeConfiguration(directory, port, options); err != nil {
			return err
		}
		server.Process, err = processtest.Start(processtest.Spec{
			Name:  "redis-server",
			Path:  path,
			Args:  []string{filepath.Join(directory, "redis.conf")},
			Dir:   directory,
			Ready: func(ctx context.Context) error { return answers(ctx, server.address, directory) },
		})
		return err
	})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(directory))
	}
	return server, nil
}

func writeConfiguration(directory string, port int, options []Option) error {
	s := settings{directives: []string{
		"bind 127.0.0.1",
		"port " + strconv.Itoa(port),
		"dir " + strconv.Quote(directory),
		"appendonly yes",
		"appendfsync everysec",
		`save ""`,
		"maxmemory-policy noeviction",
	}}
	for _, option := range options {
		option(&s)
	}
	return os.WriteFile(filepath.Join(directory, "redis.conf"), []byte(strings.Join(s.directives, "\n")+"\n"), 0o600)
}

// answers reports nil once the server at the address has loaded its data, and is the one that lives in the directory.
func answers(ctx context.Context, address, directory string) error {
	client := redis.NewClient(&redis.Options{
		Addr: address, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true, DisableIdentity: true,
	})
	defer client.Close()
	if err := client.Ping(ctx).Err(); err != nil { // fails while the data is loading
		return err
	}
	config, err := client.ConfigGet(ctx, "dir").Result()
	if err != nil {
		return err
	}
	// The server reports its directory with symbolic links resolved, as macOS has them in its temporary paths.
	want, err := filepath.EvalSymlinks(directory)
	if err != nil {
		return err
	}
	if config["dir"] != want {
		return fmt.Errorf("address already in use: the server at %s lives in %s, not in %s", address, config["dir"], want)
	}
	return nil
}

// Addr returns host and port.
func (s *RedisServer) Addr() string { return s.address }

// URL returns the server as a setting of mpim, redis://host:port/0.
func (s *RedisServer) URL() string { return "redis://" + s.address + "/0" }

// Client returns a new client with its own connections, which Close closes.
func (s *RedisServer) Client() *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: s.address})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients = append(s.clients, client)
	return client
}

// Close closes the clients, kills the server and removes its data.
func (s *RedisServer) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, client := range s.clients {
		_ = client.Close() // a test may have closed it already
	}
	s.clients = nil
	return errors.Join(s.Kill(), os.RemoveAll(s.Dir()))
}
