package batch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"

	"mpim/streams/lease"
)

// ErrClosed is returned by Subscribe after Close.
var ErrClosed = errors.New("the batch subscriber is closed")

// Subscriber delivers batches of the partitions that are held. It implements message.Subscriber.
type Subscriber struct {
	config    Config
	metrics   *metrics
	cache     *cache
	tips      []*tip
	consumers map[string]*consumer

	mu      sync.Mutex
	closed  bool
	closing chan struct{} // closed by Close
	running sync.WaitGroup
}

var _ message.Subscriber = (*Subscriber)(nil)

// consumer is a topic and who is subscribed to it.
type consumer struct {
	Consumer

	mu           sync.Mutex
	subscription *subscription // nil where there is none
	changed      chan struct{} // closed when subscription changes
}

// subscription is one call of Subscribe.
type subscription struct {
	out   chan *message.Message
	end   chan struct{} // closed when it ends
	holds sync.WaitGroup
}

// New returns a subscriber. It does nothing before Subscribe and Hold.
func New(config Config) (*Subscriber, error) {
	if err := config.complete(); err != nil {
		return nil, err
	}
	s := &Subscriber{
		config:    config,
		cache:     newCache(config.Partitions, config.CacheBytes),
		tips:      newTips(config.Partitions),
		consumers: make(map[string]*consumer, len(config.Consumers)),
		closing:   make(chan struct{}),
	}
	for _, c := range config.Consumers {
		if err := c.complete(); err != nil {
			return nil, err
		}
		if s.consumers[c.Name] != nil {
			return nil, fmt.Errorf("batch: there are two consumers %s", c.Name)
		}
		s.consumers[c.Name] = &consumer{Consumer: c, changed: make(chan struct{})}
	}
	var err error
	if s.metrics, err = newMetrics(config.Registerer); err != nil {
		return nil, fmt.Errorf("batch: %w", err)
	}
	return s, nil
}

// Subscribe returns the channel on which the consumer's batches come, one unacknowledged batch a partition at most. The channel
// is closed when ctx ends or the subscriber is closed, after what was delivered has been acknowledged or given up.
// A consumer has one subscription at a time.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	c := s.consumers[topic]
	if c == nil {
		return nil, fmt.Errorf("subscribe to %q: there is no such consumer", topic)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	sub := &subscription{out: make(chan *message.Message), end: make(chan struct{})}
	if !c.swap(nil, sub) {
		return nil, fmt.Errorf("subscribe to %q: it is subscribed to already", topic)
	}
	s.running.Go(func() {
		select {
		case <-ctx.Done():
		case <-s.closing:
		}
		close(sub.end)
		c.swap(sub, nil) // from here on no hold begins
		sub.holds.Wait()
		close(sub.out)
	})
	return sub.out, nil
}

// Close ends all subscriptions and waits until what was delivered has been acknowledged or given up, at most twice
// Config.Drain. It may be called more than once, at the same time too.
func (s *Subscriber) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.closing)
	}
	s.mu.Unlock()
	s.running.Wait()
	return nil
}

// Hold reads the leased partition until ctx ends or the subscriber is closed, and delivers its batches to who is subscribed
// to the consumer. While nobody is, it waits. It is a lease.Hold.
func (s *Subscriber) Hold(ctx context.Context, l lease.Lease) {
	c := s.consumers[l.Consumer]
	if c == nil || l.Partition < 0 || l.Partition >= s.config.Partitions {
		s.config.Logger.ErrorContext(ctx, "lease of something that the subscriber does not read",
			slog.String("consumer", l.Consumer), slog.Int("partition", l.Partition))
		return
	}
	for ctx.Err() == nil {
		sub, changed := c.join()
		if sub == nil {
			select {
			case <-changed:
				continue
			case <-s.closing:
			case <-ctx.Done():
			}
			return
		}
		p := &partition{
			Subscriber: s, Lease: l, consumer: c, out: sub.out,
			logger: s.config.Logger.With(slog.String("consumer", l.Consumer), slog.Int("partition", l.Partition)),
		}
		p.run(ctx, sub.end)
		sub.holds.Done()
	}
}

// swap puts a subscription in the place of another. It is false where another one is.
func (c *consumer) swap(from, to *subscription) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.subscription != from {
		return false
	}
	c.subscription = to
	close(c.changed)
	c.changed = make(chan struct{})
	return true
}

// join returns the subscription, which then waits for one more hold, or a channel that is closed when there is one.
func (c *consumer) join() (*subscription, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.subscription != nil {
		c.subscription.holds.Add(1)
	}
	return c.subscription, c.changed
}
