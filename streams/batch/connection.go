package batch

import (
	"context"
	_ "embed" // for the script
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

var (
	//go:embed lua/seek.lua
	seekSource string
	seekScript = redis.NewScript(seekSource)
)

// interruptEvery is how often a blocked read is interrupted until the reader has noticed: an interruption that comes
// a moment before the read blocks is lost.
const interruptEvery = 20 * time.Millisecond

// connection is the one that a reader blocks. Nobody else uses it.
type connection struct {
	*redis.Client // has no other

	id int64 // at the server; 0 where the server gives none
}

// connect opens a connection to the server of the partition.
func (r *reader) connect(ctx context.Context) error {
	node, _ := r.config.Client.(*redis.Client)
	if cluster, ok := r.config.Client.(*redis.ClusterClient); ok {
		var err error
		if node, err = cluster.MasterForKey(ctx, r.key); err != nil {
			return err
		}
	}
	options := *node.Options()
	options.PoolSize, options.MinIdleConns, options.MaxIdleConns, options.MaxActiveConns = 1, 0, 0, 0
	options.ContextTimeoutEnabled = true
	// A read that the client tried again in silence would skip what the first try had been given.
	options.MaxRetries = -1
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	c := &connection{Client: redis.NewClient(&options)}
	var err error
	if c.id, err = c.ClientID(ctx).Result(); err != nil {
		if err := c.Ping(ctx).Err(); err != nil {
			_ = c.Close()
			return err
		}
		c.id = 0
	}
	r.conn.Store(c)
	return nil
}

// relocate learns anew where the partitions are, if the error says that this one has moved.
func (r *reader) relocate(ctx context.Context, err error) {
	if cluster, ok := r.config.Client.(*redis.ClusterClient); ok && redis.HasErrorPrefix(err, "MOVED") {
		cluster.ReloadState(ctx)
	}
}

// disconnect closes the connection, where there is one.
func (r *reader) disconnect() {
	if c := r.conn.Swap(nil); c != nil {
		_ = c.Close()
	}
}

// seek sets the group's cursor to last.
func (r *reader) seek(ctx context.Context) error {
	id := "0"
	if r.lastID != (streamID{}) {
		id = r.lastID.String()
	}
	return seekScript.Run(ctx, r.conn.Load(), []string{r.key}, r.Consumer, id, r.config.Worker).Err()
}

// interrupt waits until ctx ends and then ends the read that is blocked, until done is closed. It asks the server to, because
// then the group's cursor is at rest once the read has ended; a connection that is only closed may still be served.
func (r *reader) interrupt(ctx context.Context, done <-chan struct{}) {
	select {
	case <-ctx.Done():
	case <-done:
		return
	}
	ticker := time.NewTicker(interruptEvery)
	defer ticker.Stop()
	for {
		if c := r.conn.Load(); c != nil && (c.id == 0 || r.unblock(ctx, c.id) != nil) {
			_ = c.Close()
		}
		select {
		case <-ticker.C:
		case <-done:
			return
		}
	}
}

func (r *reader) unblock(ctx context.Context, id int64) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if cluster, ok := r.config.Client.(*redis.ClusterClient); ok {
		node, err := cluster.MasterForKey(ctx, r.key)
		if err != nil {
			return err
		}
		return node.ClientUnblock(ctx, id).Err()
	}
	return r.config.Client.ClientUnblock(ctx, id).Err()
}
