package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"mpim/domain"
	"mpim/handlers/api"
	"mpim/handlers/push"
	"mpim/schema"
)

const (
	crowdMembers  = 1000
	crowdGateways = 2
)

// crowd is a group whose members are all online, half of them at each of two gateways.
type crowd struct {
	*inProcess

	members []api.Caller
	group   domain.ConversationID
	heard   heard
}

// heard is what was published to the gateways.
type heard struct {
	mu                            sync.Mutex
	envelopes, frames, deliveries map[schema.Class]int
	bytes                         int
}

func (h *heard) take(_ string, payload []byte) {
	message, err := schema.DecodePush(payload)
	envelope, ok := message.(*schema.Envelope)
	if err != nil || !ok {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bytes += len(payload)
	seen := make(map[schema.Class]bool)
	for _, item := range envelope.Items {
		if !seen[item.Class] {
			seen[item.Class] = true
			h.envelopes[item.Class]++
		}
		h.frames[item.Class]++
		h.deliveries[item.Class] += len(item.Connections)
	}
}

func (h *heard) reset() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.envelopes, h.frames, h.deliveries, h.bytes = map[schema.Class]int{}, map[schema.Class]int{}, map[schema.Class]int{}, 0
}

func (h *heard) of(class schema.Class) (envelopes, frames, deliveries int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.envelopes[class], h.frames[class], h.deliveries[class]
}

// gather makes the group and brings its first n members online.
func gather(t *testing.T, members int) *crowd {
	t.Helper()
	c := &crowd{inProcess: startInProcess(t, "members", "inbox", "recent", push.Consumer), members: make([]api.Caller, members)}
	c.heard.reset()
	ctx := t.Context()
	c.listen(t)
	c.everybody(t, func(n int) (err error) {
		c.members[n], err = c.user(ctx, "member"+strconv.Itoa(n))
		return err
	})
	ids := make([]domain.UserID, members)
	for n, m := range c.members {
		ids[n] = m.User
	}
	var made struct {
		Conversation struct{ Conversation domain.ConversationID }
	}
	if err := c.call(ctx, c.members[0], "group.create", map[string]any{"title": "Crowd", "members": ids[1:]}, &made); err != nil {
		t.Fatal(err)
	}
	c.group = made.Conversation.Conversation
	c.everybody(t, func(n int) error {
		_, err := c.connect(ctx, c.members[n], "crowd-"+strconv.Itoa(n%crowdGateways), uint32(n))
		return err
	})
	// Typing is pushed to who is known: until it reaches all others, some connections are not folded yet.
	eventually(t, "all are online", func() error {
		if err := c.call(ctx, c.members[0], "typing.set", map[string]any{"conversation": c.group, "typing": true}, nil); err != nil {
			return err
		}
		if _, _, deliveries := c.heard.of(schema.ClassTyping); deliveries < members-1 {
			c.heard.reset()
			return fmt.Errorf("%d are known", deliveries)
		}
		return nil
	})
	c.settle(t)
	return c
}

// everybody does something for each member, many at a time.
func (c *crowd) everybody(t *testing.T, do func(n int) error) {
	t.Helper()
	var group errgroup.Group
	group.SetLimit(64)
	for n := range c.members {
		group.Go(func() error { return do(n) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

func (c *crowd) listen(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	channels := make([]string, crowdGateways)
	for n := range channels {
		channels[n] = schema.GatewayChannel("crowd-" + strconv.Itoa(n))
	}
	go func() { done <- c.stores.bus.Listen(ctx, channels, func() { close(ready) }, c.heard.take) }()
	<-ready
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// settle waits until everything that is in the log was pushed, and forgets it.
func (c *crowd) settle(t *testing.T) {
	t.Helper()
	eventually(t, "all is pushed", func() error {
		heads, err := c.log.Heads(t.Context())
		if err != nil {
			return err
		}
		for partition, head := range heads {
			key := schema.PartitionKey(partition, "checkpoint:"+push.Consumer)
			pushed, err := c.stores.redis.HGet(t.Context(), key, "seq").Int64()
			if head > 0 && (err != nil || pushed < head) {
				return fmt.Errorf("partition %d is pushed to %d of %d: %w", partition, pushed, head, err)
			}
		}
		return nil
	})
}

// events returns how many the log has.
func (c *crowd) events(t *testing.T) (all int64) {
	t.Helper()
	heads, err := c.log.Heads(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, head := range heads {
		all += head
	}
	return all
}

func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-deadline.C:
			t.Fatalf("%s: never: %v", what, err)
		case <-tick.C:
		}
	}
}

// TestCrowd counts what one message costs in a group of 1,000 who are all online, acknowledge it and read it.
func TestCrowd(t *testing.T) {
	t.Parallel()
	c := gather(t, crowdMembers)
	ctx := t.Context()
	events := func(do func()) int64 {
		t.Helper()
		c.heard.reset()
		before := c.events(t)
		do()
		c.settle(t)
		return c.events(t) - before
	}
	var sent struct{ Seq int64 }
	n := events(func() {
		err := c.call(ctx, c.members[0], "message.send", map[string]any{
			"to": map[string]any{"conversation": c.group}, "client_id": "1", "body": map[string]any{"type": "text", "text": "hello"},
		}, &sent)
		if err != nil {
			t.Fatal(err)
		}
	})
	envelopes, frames, deliveries := c.heard.of(schema.ClassEvent)
	if n != 1 || envelopes != crowdGateways || frames != crowdGateways || deliveries != crowdMembers {
		t.Errorf("a message is %d events, %d envelopes with %d frames for %d connections", n, envelopes, frames, deliveries)
	}
	t.Logf("a message: %d event, %d envelopes, %d bytes of them for %d connections", n, envelopes, c.heard.bytes, deliveries)

	receipts := func(kind string) {
		c.everybody(t, func(n int) error {
			return c.call(ctx, c.members[n], "receipt."+kind, map[string]any{"conversation": c.group, kind + "_seq": sent.Seq}, nil)
		})
	}
	if n := events(func() { receipts("delivered") }); n != 0 {
		t.Errorf("1,000 delivered receipts are %d events", n)
	}
	var synced struct{ Conversations []any }
	if err := c.call(ctx, c.members[7], "sync", map[string]any{}, &synced); err != nil || len(synced.Conversations) != 0 {
		t.Errorf("what was acknowledged is missing still: %v, %v", synced.Conversations, err)
	}
	// One event a member says who has read it: no more, however often it is said, and none of them is pushed.
	if n := events(func() { receipts("read") }); n != crowdMembers {
		t.Errorf("1,000 read receipts are %d events", n)
	}
	if n := events(func() { receipts("read") }); n != 0 {
		t.Errorf("said again, they are %d events", n)
	}
	if envelopes, frames, _ := c.heard.of(schema.ClassReceipt); envelopes+frames > 0 {
		t.Errorf("receipts of a group of 1,000 were pushed: %d envelopes, %d frames", envelopes, frames)
	}
}
