package push_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/domain/conversation"
	"mpim/handlers/command"
	"mpim/handlers/push"
	"mpim/schema"
	"mpim/streams"
	"mpim/streams/bus"
	"mpim/streams/streamstest"
)

// world is a log on a real server, with a bus beside it.
type world struct {
	client    *redis.Client
	log       *streams.Log
	bus       *bus.Bus
	placement domain.Placement
	entropy   atomic.Uint64
}

func newWorld(t *testing.T) *world {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: streamstest.Server.Addr(), PoolSize: 64})
	t.Cleanup(func() { _ = client.Close() })
	if err := client.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	identity, err := streams.NewIdentity(partitions)
	if err != nil {
		t.Fatal(err)
	}
	if err := streams.Create(t.Context(), client, identity); err != nil {
		t.Fatal(err)
	}
	w := &world{client: client, placement: identity.Placement()}
	if w.log, err = streams.New(streams.Config{Client: client, Identity: identity}); err != nil {
		t.Fatal(err)
	}
	if w.bus, err = bus.New(bus.Config{Client: client, Partitions: partitions}); err != nil {
		t.Fatal(err)
	}
	running(t, w.log.Run)
	return w
}

// running runs something until the test ends, or until it is stopped.
func running(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := run(ctx); err != nil {
			t.Errorf("stopped: %v", err)
		}
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
}

// do executes a command of a group.
func (w *world) do(ctx context.Context, id domain.ConversationID, c conversation.Command) error {
	_, err := command.Execute(ctx, w.log, command.Group, command.Request[conversation.Command]{
		Aggregate: id.Aggregate(), Command: c, Entropy: fmt.Appendf(nil, "%016d", w.entropy.Add(1)),
	})
	return err
}

func (w *world) group(t *testing.T, name string, members ...domain.UserID) domain.ConversationID {
	t.Helper()
	id := w.placement.Group(members[0], name)
	err := w.do(t.Context(), id, conversation.CreateGroup{
		Stamp: domain.NewStamp(members[0], time.Now()), Title: name, Members: members, Limits: conversation.DefaultLimits(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (w *world) send(ctx context.Context, id domain.ConversationID, from domain.UserID, n int) error {
	return w.do(ctx, id, conversation.SendMessage{
		Stamp: domain.NewStamp(from, time.Now()), ClientID: strconv.Itoa(n), Limits: conversation.DefaultLimits(),
		Body: domain.Body{Type: domain.TextBody, Text: fmt.Sprint("message ", n)},
	})
}

func (w *world) user(n int) domain.UserID { return w.placement.User(fmt.Sprint("user", n)) }

// pump hands the events of a partition to an owner as the batch subscriber does, until ctx ends.
func (w *world) pump(ctx context.Context, o *push.Owner, partition int, token int64) error {
	from, err := o.Take(ctx, partition, token)
	for err == nil && ctx.Err() == nil {
		var b *schema.Batch
		if b, err = w.read(ctx, partition, token, from); err != nil || b == nil {
			continue
		}
		// What was begun is finished, as the subscriber lets it be when a lease is handed over.
		if err = handleWithin(context.WithoutCancel(ctx), o, b); err == nil {
			from = schema.Checkpoint{Seq: b.To, StreamID: b.StreamID}
		}
	}
	if ctx.Err() == nil {
		return err
	}
	return nil
}

func (w *world) read(ctx context.Context, partition int, token int64, from schema.Checkpoint) (*schema.Batch, error) {
	after := from.StreamID
	if after == "" {
		after = "0"
	}
	read, err := w.client.XRead(ctx, &redis.XReadArgs{
		Streams: []string{schema.PartitionKey(partition, "log"), after}, Count: 100, Block: 20 * time.Millisecond,
	}).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	b := &schema.Batch{Partition: partition, Token: token, From: from.Seq + 1}
	for _, m := range read[0].Messages {
		field := func(name string) string { s, _ := m.Values[name].(string); return s }
		r, err := schema.DecodeRecord(partition, m.ID, field(schema.UUIDField), []byte(field(schema.MetadataField)), []byte(field(schema.PayloadField)))
		if err != nil {
			return nil, err
		}
		b.Records = append(b.Records, &r)
		b.To, b.StreamID = r.Seq, m.ID
	}
	return b, nil
}

// worker is an owner of all partitions.
type worker struct {
	*push.Owner
	stop func()
}

func (w *world) worker(t *testing.T, name string, token int64, b push.Bus) worker {
	t.Helper()
	o, err := push.New(push.Config{Bus: b, Partitions: partitions, Worker: name, Beat: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	stopOwner := running(t, o.Run)
	var stops []func()
	for partition := range partitions {
		stops = append(stops, running(t, func(ctx context.Context) error { return w.pump(ctx, o, partition, token) }))
	}
	return worker{Owner: o, stop: func() {
		for _, stop := range stops {
			stop()
		}
		stopOwner()
	}}
}

// gate is a gateway as far as pushes are concerned, with the obvious rules: it keeps what each connection got, how far
// workers have folded, and whether something was missed.
type gate struct {
	id string

	mu     sync.Mutex
	got    map[uint32]map[string]int // connection → conversation and sequence → how often
	owners map[int]*heardOwner
	missed int
	news   chan struct{} // closed with each message
}

type heardOwner struct {
	token  int64
	number uint64
	seq    int64
	folded []schema.StreamID
}

func (w *world) gate(t *testing.T) *gate {
	t.Helper()
	const id = "gate"
	g := &gate{
		id: id, got: make(map[uint32]map[string]int), owners: make(map[int]*heardOwner), news: make(chan struct{}),
	}
	ready := make(chan struct{})
	running(t, func(ctx context.Context) error {
		return w.bus.Listen(ctx, []string{schema.GatewayChannel(id)}, func() { close(ready) }, func(_ string, payload []byte) {
			g.hear(t, payload)
		})
	})
	<-ready
	return g
}

func (g *gate) hear(t *testing.T, payload []byte) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	switch p := decode(t, payload).(type) {
	case *schema.Envelope:
		if g.follow(p.Partition, p.Token, p.Start) {
			g.count(g.owners[p.Partition], p.Number, p.Seq, true)
			g.keep(t, p)
		}
	case *schema.Heartbeat:
		for _, l := range p.Leases {
			if g.follow(l.Partition, l.Token, l.Start) {
				g.count(g.owners[l.Partition], l.Number, l.Seq, false)
				g.owners[l.Partition].folded = p.Folded
			}
		}
	}
	close(g.news)
	g.news = make(chan struct{})
}

func (g *gate) keep(t *testing.T, e *schema.Envelope) {
	t.Helper()
	for _, item := range e.Items {
		f := parse(t, item.Frame)
		event := fmt.Sprint(f.Params.Conversation, " ", f.Params.Seq)
		for _, number := range item.Connections {
			if g.got[number] == nil {
				g.got[number] = make(map[string]int)
			}
			g.got[number][event]++
		}
	}
}

// follow says whether an owner is to be listened to.
func (g *gate) follow(partition int, token, start int64) bool {
	o := g.owners[partition]
	switch {
	case o == nil:
		o = &heardOwner{token: token, seq: start}
		g.owners[partition] = o
	case token < o.token:
		return false
	case token > o.token:
		*o = heardOwner{token: token, seq: o.seq}
	}
	if start > o.seq {
		g.missed++
		o.seq = start
	}
	return true
}

func (g *gate) count(o *heardOwner, number uint64, seq int64, envelope bool) {
	if envelope && number != o.number+1 || !envelope && number > o.number {
		g.missed++
	}
	o.number, o.seq = max(o.number, number), max(o.seq, seq)
}

// hello waits until the owners of all partitions know a connection.
func (g *gate) hello(ctx context.Context, partition int, at schema.StreamID) error {
	for {
		g.mu.Lock()
		news, known := g.news, 0
		for _, o := range g.owners {
			if len(o.folded) > 0 && o.folded[partition].Compare(at) >= 0 {
				known++
			}
		}
		g.mu.Unlock()
		if known == partitions {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// pushBus is what a severed bus is made of.
type pushBus = push.Bus
