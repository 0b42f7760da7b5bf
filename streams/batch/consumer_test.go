package batch_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/redis/go-redis/v9"

	"mpim/schema"
	"mpim/streams/batch"
	"mpim/streams/lease"
)

const partitions = 4

var errDeposed = errors.New("deposed")

// ledger is a projection's checkpoints, and a record of what was applied under them.
type ledger struct {
	mu      sync.Mutex
	at      map[int]schema.Checkpoint
	tokens  map[int]int64
	applied map[int][]int64
	taken   int
	changed chan struct{}
}

func newLedger() *ledger {
	return &ledger{
		at: make(map[int]schema.Checkpoint), tokens: make(map[int]int64), applied: make(map[int][]int64),
		changed: make(chan struct{}),
	}
}

func (l *ledger) Take(_ context.Context, partition int, token int64) (schema.Checkpoint, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taken++
	if token < l.tokens[partition] {
		return schema.Checkpoint{}, errDeposed
	}
	l.tokens[partition] = token
	return l.at[partition], nil
}

// apply does the first n records of a batch, all if n is negative, as a projection's transaction does.
func (l *ledger) apply(b *schema.Batch, n int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n < 0 {
		n = len(b.Records)
	}
	if l.tokens[b.Partition] != b.Token || l.at[b.Partition].Seq != b.From-1 {
		return errDeposed
	}
	for _, r := range b.Records[:n] {
		l.applied[b.Partition] = append(l.applied[b.Partition], r.Seq)
		l.at[b.Partition] = schema.Checkpoint{Seq: r.Seq, StreamID: r.StreamID}
	}
	close(l.changed)
	l.changed = make(chan struct{})
	return nil
}

// await waits until the partition has come to the sequence, and checks that all before was applied once, in order.
func (l *ledger) await(t *testing.T, partition int, seq int64) {
	t.Helper()
	timeout := time.NewTimer(20 * time.Second)
	defer timeout.Stop()
	for {
		l.mu.Lock()
		at, changed := l.at[partition].Seq, l.changed
		l.mu.Unlock()
		if at >= seq {
			break
		}
		select {
		case <-changed:
		case <-timeout.C:
			t.Fatalf("partition %d has come to %d, want %d", partition, at, seq)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, got := range l.applied[partition] {
		if got != int64(i)+1 {
			t.Fatalf("partition %d: event %d was applied as number %d", partition, got, i+1)
		}
	}
}

// subscriber is one under test, with a consumer "history" that keeps its progress in a ledger.
type subscriber struct {
	*batch.Subscriber
	t      *testing.T
	client *redis.Client
	cut    func()
	ledger *ledger
}

// newSubscriber makes a subscriber. Change, if not nil, changes its configuration.
func newSubscriber(t *testing.T, s store, l *ledger, change func(*batch.Config)) *subscriber {
	t.Helper()
	client, cutter := s.client(t)
	config := batch.Config{
		Client: client, Partitions: partitions, Worker: "worker",
		Consumers: []batch.Consumer{{Name: "history", Checkpoints: l, Size: 100}},
		Retry:     10 * time.Millisecond, MaxRetry: 100 * time.Millisecond, StopRetry: 200 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&config)
	}
	sub, err := batch.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sub.Close(); err != nil {
			t.Error(err)
		}
	})
	return &subscriber{Subscriber: sub, t: t, client: client, cut: cutter.Cut, ledger: l}
}

// subscribe returns the batches' channel.
func (s *subscriber) subscribe(topic string) <-chan *message.Message {
	s.t.Helper()
	messages, err := s.Subscribe(context.Background(), topic)
	if err != nil {
		s.t.Fatal(err)
	}
	return messages
}

// hold holds a lease until the returned function ends it for the given cause, which waits for Hold to return.
func (s *subscriber) hold(consumer string, partition int, token int64) (end func(cause error)) {
	ctx, cancel := context.WithCancelCause(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Hold(ctx, lease.Lease{Consumer: consumer, Partition: partition, Token: token})
	}()
	var once sync.Once
	end = func(cause error) {
		once.Do(func() {
			cancel(cause)
			<-done
		})
	}
	s.t.Cleanup(func() { end(lease.ErrHandedOver) })
	return end
}

// consume applies whatever comes, each message in a goroutine of its own as the Router does, until the channel is closed.
// Handle may be nil.
func (s *subscriber) consume(messages <-chan *message.Message, handle func(*schema.Batch) error) {
	if handle == nil {
		handle = func(b *schema.Batch) error { return s.ledger.apply(b, -1) }
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var running sync.WaitGroup
		for msg := range messages {
			running.Go(func() {
				if err := handle(schema.BatchFrom(msg.Context())); err != nil {
					msg.Nack()
				} else {
					msg.Ack()
				}
			})
		}
		running.Wait()
	}()
	s.t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
}

// next returns the next batch's message.
func next(t *testing.T, messages <-chan *message.Message) (*message.Message, *schema.Batch) {
	t.Helper()
	timeout := time.NewTimer(10 * time.Second)
	defer timeout.Stop()
	select {
	case msg, ok := <-messages:
		if !ok {
			t.Fatal("the channel is closed")
		}
		return msg, schema.BatchFrom(msg.Context())
	case <-timeout.C:
		t.Fatal("no batch within 10 s")
		return nil, nil
	}
}

// wantBatch fails unless the batch is that of the given sequences.
func wantBatch(t *testing.T, b *schema.Batch, from, to int64) {
	t.Helper()
	if b.From != from || b.To != to || len(b.Records) != int(to-from+1) || b.StreamID != b.Records[len(b.Records)-1].StreamID {
		t.Fatalf("got the batch %d-%d with %d records, want %d-%d", b.From, b.To, len(b.Records), from, to)
	}
}
