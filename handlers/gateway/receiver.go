package gateway

import (
	"bytes"
	"context"
	"log/slog"
	"time"

	"mpim/schema"
)

// listen hears envelopes and heartbeats until the context ends. A subscription that breaks is made again; whatever went
// past meanwhile the clients fetch by sync.
func (g *Gateway) listen(ctx context.Context) error {
	channels := []string{schema.GatewayChannel(g.config.ID), schema.BroadcastChannel}
	for pause := minPause; ctx.Err() == nil; pause = min(2*pause, maxPause) {
		err := g.config.Channels.Listen(ctx, channels, func() {
			pause = minPause
			g.metrics.subscribed.Inc()
			// Those who are welcomed from now on have missed nothing. The others are told when it is known who of them was
			// taken for dead.
			g.resync.note()
			g.ready.Store(true)
			g.renewNow()
		}, func(channel string, message []byte) {
			if channel == schema.BroadcastChannel {
				g.hearBroadcast(message)
				return
			}
			g.hear(message)
		})
		g.ready.Store(false)
		g.tracker.broken()
		if err != nil {
			g.logger.Warn("subscription to pushes broke", slog.Any("error", err))
		}
		wait(ctx, pause)
	}
	return nil
}

const (
	minPause = 20 * time.Millisecond
	maxPause = 2 * time.Second
)

// wait returns false where the context ends first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// hear takes one message of the gateway's channel.
func (g *Gateway) hear(message []byte) {
	push, err := schema.DecodePush(message)
	if err != nil {
		g.logger.Error("message of the gateway's channel cannot be read", slog.Any("error", err))
		g.resync.all()
		return
	}
	switch push := push.(type) {
	case *schema.Envelope:
		if push.Token == 0 {
			// It comes from another gateway: nobody's partition, nothing to count.
			g.deliver(push.Items)
			return
		}
		g.saw(push.Partition, push.Seq)
		deliver, missed := g.tracker.envelope(push)
		if missed {
			g.missed(push.Partition)
		}
		if deliver {
			g.deliver(push.Items)
		}
	case *schema.Heartbeat:
		for _, lease := range push.Leases {
			g.saw(lease.Partition, lease.Seq)
		}
		owed := g.tracker.heartbeat(push, time.Now(), func() { g.missed(-1) })
		for _, c := range owed {
			c.do((*Session).Resync)
		}
	}
}

// hearBroadcast takes what is for every connection. It may be lost: a client that wants to know lists the notices.
func (g *Gateway) hearBroadcast(message []byte) {
	push, err := schema.DecodePush(message)
	envelope, ok := push.(*schema.Envelope)
	if err != nil || !ok {
		g.logger.Error("broadcast cannot be read", slog.Any("error", err))
		return
	}
	conns := g.hub.all()
	for _, item := range envelope.Items {
		frame, class := bytes.Clone(item.Frame), classOf(item.Class)
		for _, c := range conns {
			c.push(class, frame)
		}
		g.metrics.deliveries.Add(float64(len(conns)))
	}
}

// saw tells how far the log has been seen.
func (g *Gateway) saw(partition int, seq int64) {
	if g.config.Seen != nil {
		g.config.Seen.Saw(partition, seq)
	}
}

func (g *Gateway) missed(partition int) {
	g.logger.Debug("pushes were missed", slog.Int("partition", partition))
	g.resync.all()
}

// deliver hands each item to its connections. All of them share the bytes.
func (g *Gateway) deliver(items []schema.Item) {
	var conns []*conn
	for i := range items {
		item := &items[i]
		conns = g.hub.find(conns[:0], item.Connections)
		if len(conns) == 0 {
			continue
		}
		if item.Close != 0 {
			code := CloseCode(item.Close)
			for _, c := range conns {
				c.do(func(s *Session, now time.Time) Step { return s.End(now, code) })
			}
			continue
		}
		// The frame is part of a message that may hold many more; a slow client must not keep all of them.
		frame := bytes.Clone(item.Frame)
		class := classOf(item.Class)
		if end, ok := endingIn(frame); ok {
			for _, c := range conns {
				c.doubt(end)
			}
		}
		for _, c := range conns {
			c.push(class, frame)
		}
		g.metrics.deliveries.Add(float64(len(conns)))
	}
}

func classOf(class schema.Class) Class {
	switch class {
	case schema.ClassEvent, schema.ClassClose, schema.ClassNotice:
		return Messages
	case schema.ClassReceipt:
		return Receipts
	default:
		return Ephemeral
	}
}
