package batch

import (
	"context"
	_ "embed" // for the script
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/schema"
)

var (
	//go:embed lua/seek.lua
	seekSource string
	seekScript = redis.NewScript(seekSource)
)

// interruptEvery is how often a blocked read is interrupted until the reader has noticed: an interruption that comes
// a moment before the read blocks is lost.
const interruptEvery = 20 * time.Millisecond

// blocked is a connection that a read may block, as its server knows it.
type blocked struct {
	node   *redis.Client
	client int64
}

// connect gets a connection that nobody else uses.
func (r *reader) connect(ctx context.Context) error {
	node, _ := r.config.Client.(*redis.Client)
	if cluster, ok := r.config.Client.(*redis.ClusterClient); ok {
		var err error
		if node, err = cluster.MasterForKey(ctx, r.key); err != nil {
			return err
		}
	}
	r.conn = node.Conn()
	id, err := r.conn.ClientID(ctx).Result()
	if err != nil {
		id = 0 // the embedded server has no ids
		if ping := r.conn.Ping(ctx).Err(); ping != nil {
			return ping
		}
	}
	if id > 0 {
		r.self = &blocked{node: node, client: id}
	}
	return nil
}

// disconnect gives the connection back to its pool, which drops it if it was broken.
func (r *reader) disconnect() {
	if r.conn != nil {
		_ = r.conn.Close()
		r.conn, r.self = nil, nil
	}
}

// seek sets the group's cursor to last.
func (r *reader) seek(ctx context.Context) error {
	id := "0"
	if r.lastID != (streamID{}) {
		id = r.lastID.String()
	}
	return seekScript.Run(ctx, r.conn, []string{r.key}, r.Consumer, id).Err()
}

// interrupt waits until ctx ends and then ends the read that is blocked, until done is closed.
func (r *reader) interrupt(ctx context.Context, done <-chan struct{}) {
	select {
	case <-ctx.Done():
	case <-done:
		return
	}
	ticker := time.NewTicker(interruptEvery)
	defer ticker.Stop()
	for {
		if b := r.blocked.Load(); b != nil {
			limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.config.Block)
			err := b.node.ClientUnblock(limit, b.client).Err()
			cancel()
			if err != nil {
				return // the read ends by itself within Config.Block
			}
		}
		select {
		case <-ticker.C:
		case <-done:
			return
		}
	}
}

// decode returns the record of an entry, from the cache where another consumer has read it before; nil for an entry
// that has no place in the log.
func (r *reader) decode(ctx context.Context, id streamID, entry redis.XMessage) *schema.Record {
	uuid, _ := entry.Values[schema.UUIDField].(string)
	metadata, _ := entry.Values[schema.MetadataField].(string)
	payload, _ := entry.Values[schema.PayloadField].(string)
	record := r.cache.get(r.Partition, id, metadata, payload)
	if record != nil {
		r.metrics.shared.Inc()
		return record
	}
	decoded, err := schema.DecodeRecord(r.Partition, entry.ID, uuid, []byte(metadata), []byte(payload))
	if err != nil && decoded.Seq < 1 {
		r.metrics.unreadable.WithLabelValues(r.Consumer).Inc()
		r.logger.ErrorContext(ctx, "entry without a sequence passed over", slog.String("stream_id", entry.ID), slog.Any("error", err))
		return nil
	}
	if err != nil {
		r.metrics.broken.WithLabelValues(r.Consumer).Inc()
		decoded.Broken = err
	}
	r.metrics.decoded.Inc()
	r.cache.put(r.Partition, id, &decoded)
	return &decoded
}
