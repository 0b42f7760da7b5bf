package stock

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-redisstream/pkg/redisstream"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/redis/go-redis/v9"

	"mpim/schema"
)

// BrokenKey is the metadata that says why an entry could not be decoded. Such a message has no other metadata and no payload.
const BrokenKey = "_broken"

// Topic returns the topic of a partition.
func Topic(partition int) string { return schema.PartitionKey(partition, "log") }

// Config says how a subscriber reads.
type Config struct {
	// Client is closed with the subscriber, so it is one of its own. It needs two connections for each partition.
	Client redis.UniversalClient
	// Group is the reactor's name, Consumer that of this life of the process.
	Group, Consumer string
	// TakeOver is after what time an event that a worker holds goes to another. It has to be longer than any event is worked
	// on. The default is five minutes.
	TakeOver time.Duration
	// Keep is how often it is kept where the groups are. The default is five seconds.
	Keep time.Duration
	// Logger takes what goes wrong. Nothing is logged where it is nil.
	Logger *slog.Logger
}

// Subscriber delivers the events of partitions, each to one of all subscribers with the same group. It implements
// message.Subscriber; topics are those of Topic.
type Subscriber struct {
	config Config
	stock  *redisstream.Subscriber
}

// New returns a subscriber. It does nothing before Subscribe.
func New(c Config) (*Subscriber, error) {
	if c.TakeOver == 0 {
		c.TakeOver = 5 * time.Minute
	}
	if c.Keep == 0 {
		c.Keep = 5 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Client == nil || c.Group == "" || c.Consumer == "" {
		return nil, errors.New("stock: Client, Group and Consumer are all needed")
	}
	inner, err := redisstream.NewSubscriber(redisstream.SubscriberConfig{
		Client: c.Client, ConsumerGroup: c.Group, Consumer: c.Consumer, Unmarshaller: lenient{},
		BlockTime: time.Second, DisableIndefiniteInitialBlock: true, NackResendSleep: time.Second,
		MaxIdleTime: c.TakeOver, ClaimInterval: c.TakeOver / 10, ConsumerTimeout: max(10*time.Minute, 2*c.TakeOver),
		OldestId:               "$",
		ShouldStopOnReadErrors: lost,
	}, watermill.NewSlogLogger(slog.New(quiet{c.Logger.Handler()})))
	if err != nil {
		return nil, fmt.Errorf("stock: %w", err)
	}
	return &Subscriber{config: c, stock: inner}, nil
}

// lost says that the group is not there any more.
func lost(err error) bool { return err != nil && strings.HasPrefix(err.Error(), "NOGROUP") }

// Subscribe returns the channel on which a partition's events come, until ctx ends or the subscriber is closed.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	out := make(chan *message.Message)
	go func() {
		defer close(out)
		for ctx.Err() == nil {
			if !s.read(ctx, topic, out) {
				return
			}
			timer := time.NewTimer(time.Second)
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
			timer.Stop()
		}
	}()
	return out, nil
}

// read reads until the group is lost or Redis fails at the start, and is false where the subscriber was closed.
func (s *Subscriber) read(ctx context.Context, topic string, out chan<- *message.Message) (again bool) {
	own, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := s.makeGroup(own, topic); err != nil {
		s.failed(ctx, topic, err)
		return true
	}
	messages, err := s.stock.Subscribe(own, topic)
	if err != nil {
		s.failed(ctx, topic, err)
		return !strings.Contains(err.Error(), "closed")
	}
	go s.keep(own, topic)
	for m := range messages {
		select {
		case out <- m:
		case <-ctx.Done():
			m.Nack()
		}
	}
	if ctx.Err() == nil {
		s.failed(ctx, topic, errors.New("its group was lost, or the subscriber was closed"))
		// A group that stands means that it was closed.
		return s.config.Client.Ping(ctx).Err() == nil
	}
	return false
}

func (s *Subscriber) failed(ctx context.Context, topic string, err error) {
	if ctx.Err() == nil {
		s.config.Logger.WarnContext(ctx, "reactor waits", slog.String("reactor", s.config.Group), slog.String("stream", topic), slog.Any("error", err))
	}
}

// placesKey is the hash that says where the groups of a stream were.
func placesKey(topic string) string { return strings.TrimSuffix(topic, "log") + "reactors" }

// makeGroup makes the group where it is missing: where it was, or at the end of the log the first time.
func (s *Subscriber) makeGroup(ctx context.Context, topic string) error {
	place, err := s.config.Client.HGet(ctx, placesKey(topic), s.config.Group).Result()
	if errors.Is(err, redis.Nil) {
		place, err = "$", nil
	}
	if err != nil {
		return fmt.Errorf("read where the group was: %w", err)
	}
	err = s.config.Client.XGroupCreateMkStream(ctx, topic, s.config.Group, place).Err()
	if err != nil && !strings.HasPrefix(err.Error(), "BUSYGROUP") {
		return fmt.Errorf("make the group: %w", err)
	}
	return s.keepPlace(ctx, topic)
}

// keep keeps where the group is, now and then. What could not be kept costs doubles once.
func (s *Subscriber) keep(ctx context.Context, topic string) {
	ticker := time.NewTicker(s.config.Keep)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			_ = s.keepPlace(ctx, topic)
		}
	}
}

// keepPlace keeps an id after which all that was not acknowledged comes again.
func (s *Subscriber) keepPlace(ctx context.Context, topic string) error {
	groups, err := s.config.Client.XInfoGroups(ctx, topic).Result()
	if err != nil {
		return fmt.Errorf("look at the group: %w", err)
	}
	for _, group := range groups {
		if group.Name != s.config.Group {
			continue
		}
		place := group.LastDeliveredID
		if group.Pending > 0 {
			pending, err := s.config.Client.XPending(ctx, topic, s.config.Group).Result()
			if err != nil {
				return fmt.Errorf("look at what is pending: %w", err)
			}
			if pending.Lower != "" {
				place = just(pending.Lower)
			}
		}
		return s.config.Client.HSet(ctx, placesKey(topic), s.config.Group, place).Err()
	}
	return nil
}

// just returns an id right before another.
func just(id string) string {
	streamID, err := schema.ParseStreamID(id)
	switch {
	case err != nil || streamID == (schema.StreamID{}):
		return "0"
	case streamID.Counter > 0:
		streamID.Counter--
	default:
		streamID = schema.StreamID{Milliseconds: streamID.Milliseconds - 1, Counter: math.MaxUint64}
	}
	return streamID.String()
}

// Close ends all reading and closes the client.
func (s *Subscriber) Close() error { return s.stock.Close() }

// lenient decodes what it can and never fails.
type lenient struct{}

// Unmarshal implements redisstream.Unmarshaller.
func (lenient) Unmarshal(values map[string]any) (m *message.Message, err error) {
	defer func() { // it takes every field for a string
		if p := recover(); p != nil {
			m, err = broken(values, fmt.Errorf("%v", p)), nil
		}
	}()
	if m, err = (redisstream.DefaultMarshallerUnmarshaller{}).Unmarshal(values); err != nil {
		return broken(values, err), nil
	}
	return m, nil
}

func broken(values map[string]any, why error) *message.Message {
	uuid, _ := values[schema.UUIDField].(string)
	m := message.NewMessage(uuid, nil)
	m.Metadata.Set(BrokenKey, why.Error())
	return m
}

var _ message.Subscriber = (*Subscriber)(nil)

// quiet lowers what the stock subscriber says to debug, but for errors.
type quiet struct{ slog.Handler }

// Enabled implements slog.Handler.
func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	if level < slog.LevelError {
		level = slog.LevelDebug
	}
	return q.Handler.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }

// WithGroup implements slog.Handler.
func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name)} }
