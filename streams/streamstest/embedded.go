package streamstest

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/alicebob/miniredis/v2"
)

// StartEmbedded starts an embedded server for one test and returns how to connect to it: without the network, so it works
// in a synctest bubble, in whose time it then lives.
func StartEmbedded(tb testing.TB) func(context.Context) (net.Conn, error) {
	tb.Helper()
	server := miniredis.NewMiniRedis()
	server.ClockTTL(true)
	tb.Cleanup(server.Close)
	return func(context.Context) (net.Conn, error) {
		conn, err := server.Dial()
		if err != nil {
			return nil, err
		}
		return newBufferedConn(conn), nil
	}
}

// bufferedConn gives a net.Pipe what a socket has: room for what is written. Without it a long pipeline stops for ever,
// because the server writes its first answers while the client still writes, and neither reads.
type bufferedConn struct {
	net.Conn

	mu      sync.Mutex
	pending [][]byte
	more    chan struct{} // holds a token while something is pending
	closed  chan struct{}
	close   sync.Once
}

func newBufferedConn(conn net.Conn) *bufferedConn {
	c := &bufferedConn{Conn: conn, more: make(chan struct{}, 1), closed: make(chan struct{})}
	go c.flush()
	return c
}

// Write never waits.
func (c *bufferedConn) Write(b []byte) (int, error) {
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	default:
	}
	c.mu.Lock()
	c.pending = append(c.pending, append([]byte(nil), b...))
	c.mu.Unlock()
	select {
	case c.more <- struct{}{}:
	default:
	}
	return len(b), nil
}

// Close closes the connection. What was not flushed is lost.
func (c *bufferedConn) Close() error {
	c.close.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

func (c *bufferedConn) flush() {
	for {
		select {
		case <-c.more:
		case <-c.closed:
			return
		}
		c.mu.Lock()
		pending := c.pending
		c.pending = nil
		c.mu.Unlock()
		for _, b := range pending {
			if _, err := c.Conn.Write(b); err != nil {
				_ = c.Conn.Close() // the reader then sees it
				return
			}
		}
	}
}
