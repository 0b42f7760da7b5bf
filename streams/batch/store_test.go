package batch_test

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"mpim/domain"
	"mpim/schema"
	"mpim/streams/streamstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// store is one of the servers that every test runs on.
type store struct {
	t    *testing.T
	dial func(context.Context) (net.Conn, error)
	// server is nil for the embedded one.
	server *streamstest.RedisServer
}

// onEachStore runs a test on miniredis in a synctest bubble, where waiting takes no time, and on a real server.
func onEachStore(t *testing.T, test func(s store)) {
	t.Helper()
	t.Run("miniredis", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) { test(store{t: t, dial: streamstest.StartEmbedded(t)}) })
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(tcp(t))
	})
}

func tcp(t *testing.T, options ...streamstest.Option) store {
	t.Helper()
	server := streamstest.StartRedis(t, options...)
	var dialer net.Dialer
	return store{t: t, server: server, dial: func(ctx context.Context) (net.Conn, error) {
		return dialer.DialContext(ctx, "tcp", server.Addr())
	}}
}

// client returns a client whose connections can be cut.
func (s store) client(t *testing.T) (*redis.Client, *cutter) {
	t.Helper()
	c := &cutter{conns: make(map[net.Conn]bool)}
	client := redis.NewClient(&redis.Options{
		Addr: "127.0.0.1:1", // never dialled, but a name would be looked up
		Dialer: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := s.dial(ctx)
			if err != nil {
				return nil, err
			}
			return c.add(conn), nil
		},
		PoolSize: 100, ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1,
	})
	t.Cleanup(func() { _ = client.Close() })
	return client, c
}

// cutter closes connections from outside.
type cutter struct {
	mu    sync.Mutex
	conns map[net.Conn]bool
}

func (c *cutter) add(conn net.Conn) net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	cut := cutConn{conn, c}
	c.conns[cut] = true
	return cut
}

// Cut closes all connections, whatever they are waiting for.
func (c *cutter) Cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.conns {
		_ = conn.(cutConn).Conn.Close()
	}
	clear(c.conns)
}

type cutConn struct {
	net.Conn
	cutter *cutter
}

func (c cutConn) Close() error {
	c.cutter.mu.Lock()
	delete(c.cutter.conns, c)
	c.cutter.mu.Unlock()
	return c.Conn.Close()
}

// writer appends to the log as the append script does, as far as readers can tell.
type writer struct {
	t      *testing.T
	client *redis.Client

	mu   sync.Mutex
	last map[int]int64
}

func newWriter(t *testing.T, s store) *writer {
	t.Helper()
	client, _ := s.client(t)
	return &writer{t: t, client: client, last: make(map[int]int64)}
}

// append appends n events.
func (w *writer) append(partition, n int) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	pipe := w.client.Pipeline()
	for range n {
		w.last[partition]++
		d := draft(w.t, partition, "hello")
		pipe.XAdd(context.Background(), entry(partition, string(d.ID), complete(d, w.last[partition]), d.Payload))
	}
	if _, err := pipe.Exec(context.Background()); err != nil {
		w.t.Error(err)
	}
}

// xadd appends one entry to partition 0 as it is.
func (w *writer) xadd(uuid string, metadata, payload []byte) {
	w.t.Helper()
	if err := w.client.XAdd(context.Background(), entry(0, uuid, metadata, payload)).Err(); err != nil {
		w.t.Error(err)
	}
}

func entry(partition int, uuid string, metadata, payload []byte) *redis.XAddArgs {
	return &redis.XAddArgs{Stream: logKey(partition), Values: []any{
		schema.UUIDField, uuid, schema.MetadataField, metadata, schema.PayloadField, payload,
	}}
}

func logKey(partition int) string { return schema.PartitionKey(partition, "log") }

// draft returns a message to a group that lives in the partition.
func draft(tb testing.TB, partition int, text string) schema.Draft {
	tb.Helper()
	group := domain.Aggregate{Kind: domain.Group, ID: fmt.Sprintf("g%020d%02x", partition, partition)}
	drafts, err := schema.Drafts(domain.Commit{
		Aggregate: group, Actor: "u1", At: time.Unix(1_700_000_000, 0), Entropy: make([]byte, 16),
		Events: []domain.Fact{&domain.MessageSent{Body: domain.Body{Type: domain.TextBody, Text: text}}},
	}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return drafts[0]
}

// complete adds the sequences to a draft's metadata, as the append script does.
func complete(d schema.Draft, seq int64) []byte {
	metadata := append([]byte(nil), d.Metadata...)
	for _, key := range []string{schema.PartitionSeqKey, schema.SeqKey, schema.OrdinalKey} {
		value := strconv.FormatInt(seq, 10)
		metadata = append(append(metadata, 0xa0|byte(len(key))), key...)
		metadata = append(append(metadata, 0xa0|byte(len(value))), value...)
	}
	return metadata
}
