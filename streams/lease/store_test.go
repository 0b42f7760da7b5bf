package lease_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/redis/go-redis/v9"

	"mpim/streams/streamstest"
)

// store is one of the servers that every test runs on.
type store struct {
	t    *testing.T
	dial func(context.Context) (net.Conn, error)
	// exact says that time passes only while all wait, so that what is due happens on the instant. On a real server a busy
	// machine can run anything late.
	exact bool
}

// onEachStore runs a test on miniredis in a synctest bubble, where waiting takes no time, and on a real server.
func onEachStore(t *testing.T, test func(s store)) {
	t.Helper()
	t.Run("miniredis", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			test(store{t: t, dial: streamstest.StartEmbedded(t), exact: true})
		})
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(tcp(t, streamstest.StartRedis(t)))
	})
}

func tcp(t *testing.T, server *streamstest.RedisServer) store {
	t.Helper()
	var dialer net.Dialer
	return store{t: t, dial: func(ctx context.Context) (net.Conn, error) {
		return dialer.DialContext(ctx, "tcp", server.Addr())
	}}
}

// client returns a client, and a gate that all its connections go through.
func (s store) client(t *testing.T) (*redis.Client, *gate) {
	t.Helper()
	g := &gate{}
	client := redis.NewClient(&redis.Options{
		Addr:                  "127.0.0.1:1", // never dialled, but a name would be looked up
		ContextTimeoutEnabled: true,
		Dialer: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := s.dial(ctx)
			if err != nil {
				return nil, err
			}
			return gatedConn{conn, g}, nil
		},
	})
	t.Cleanup(func() { _ = client.Close() })
	return client, g
}

// gate, when shut, holds up all that a client sends: to its process it is as if it were cut off, to others as if it had
// been stopped.
type gate struct {
	mu   sync.Mutex
	shut chan struct{} // nil while open, closed when opened again
}

func (g *gate) Shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = make(chan struct{})
}

func (g *gate) Open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.shut)
	g.shut = nil
}

func (g *gate) pass() {
	g.mu.Lock()
	shut := g.shut
	g.mu.Unlock()
	if shut != nil {
		<-shut
	}
}

type gatedConn struct {
	net.Conn
	gate *gate
}

func (c gatedConn) Write(b []byte) (int, error) {
	c.gate.pass()
	return c.Conn.Write(b)
}
