package batch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"mpim/schema"
)

// Defaults of Config and Consumer.
const (
	DefaultSize       = 512
	DefaultBytes      = 1 << 20
	DefaultBlock      = time.Second
	DefaultDrain      = 5 * time.Second
	DefaultRetry      = 100 * time.Millisecond
	DefaultMaxRetry   = 5 * time.Second
	DefaultStopRetry  = 10 * time.Second
	DefaultCacheBytes = 32 << 20
)

// Checkpoints is what a consumer keeps its progress in.
type Checkpoints interface {
	// Take makes the token the newest of the partition and returns how far the consumer has come. It is called when the
	// partition is taken and after every nack.
	Take(ctx context.Context, partition int, token int64) (schema.Checkpoint, error)
}

// Opener opens the personal members of records.
type Opener interface {
	// Open opens the records in place. An error says that the keys cannot be had just now.
	Open(ctx context.Context, records []*schema.Record) error
	// Stale says that a record was opened with a key that was destroyed since.
	Stale(record *schema.Record) bool
}

// Consumer is one topic.
type Consumer struct {
	// Name is the topic, the consumer's name in leases, and the group's name in Redis.
	Name string
	// Checkpoints is where the consumer's progress is.
	Checkpoints Checkpoints
	// Size is how many events a batch has at most, DefaultSize if zero.
	Size int
	// Bytes is how many bytes of metadata and payload a batch has at most, DefaultBytes if zero. One event may be larger.
	Bytes int
	// Linger is how long to wait after a read that brought fewer than Size until the next, so that a steady trickle makes
	// fewer and larger batches. What comes after a longer silence is read at once. Zero is not to wait.
	Linger time.Duration
}

// Config says how a subscriber works.
type Config struct {
	// Client is a *redis.Client or a *redis.ClusterClient, used and not closed. Each partition of each consumer that is held
	// has a connection of its own beside it, made with the same options, so its pool need not be large. Hooks of the client
	// see no reads.
	Client redis.UniversalClient
	// Partitions is how many the log has.
	Partitions int
	// Segments is the archive, from which a consumer goes on whose checkpoint is behind what the stream still has. Without it
	// such a consumer stops.
	Segments Segments
	// Worker is what the groups in Redis call this reader.
	Worker string
	// Consumers are the topics.
	Consumers []Consumer
	// Block is how long one read waits for events, DefaultBlock if zero.
	Block time.Duration
	// Drain is how long a batch may still be worked on when the lease is handed over or the subscriber closes, DefaultDrain
	// if zero. Then its context ends, and after the same time again it is not waited for any more.
	Drain time.Duration
	// Retry is the wait before something that failed is tried again, DefaultRetry if zero. It doubles up to MaxRetry,
	// DefaultMaxRetry if zero.
	Retry, MaxRetry time.Duration
	// StopRetry is how often a partition that stopped because of a gap or a fork is looked at again, DefaultStopRetry if
	// zero.
	StopRetry time.Duration
	// CacheBytes bounds what is kept of decoded events for the other consumers, DefaultCacheBytes if zero.
	CacheBytes int
	// Opener opens what is sealed in events; they are delivered as the log has them where it is nil.
	Opener Opener
	// Saw is told how far a partition was read, and where consumers stood when it was taken; nil for nobody.
	Saw func(partition int, seq int64)
	// Lost is told where a consumer has seen what the log has lost, each time that this is found: seen is how far, and why
	// says what the log has instead. Nil for nobody.
	Lost func(ctx context.Context, partition int, seen int64, why error)
	// Logger takes what goes wrong; nothing is logged where it is nil.
	Logger *slog.Logger
	// Registerer takes the metrics; nil for none.
	Registerer prometheus.Registerer
}

func (c *Config) complete() error {
	setDefault(&c.Block, DefaultBlock)
	setDefault(&c.Drain, DefaultDrain)
	setDefault(&c.Retry, DefaultRetry)
	setDefault(&c.MaxRetry, max(DefaultMaxRetry, c.Retry))
	setDefault(&c.StopRetry, DefaultStopRetry)
	setDefault(&c.CacheBytes, DefaultCacheBytes)
	if c.Saw == nil {
		c.Saw = func(int, int64) {}
	}
	if c.Lost == nil {
		c.Lost = func(context.Context, int, int64, error) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.Client == nil:
		return errors.New("batch: Client is missing")
	case c.Partitions < 1:
		return fmt.Errorf("batch: Partitions is %d, must be at least 1", c.Partitions)
	case c.Worker == "":
		return errors.New("batch: Worker is missing")
	case c.Block < time.Millisecond:
		return fmt.Errorf("batch: Block is %s, must be at least 1ms, which is the server's unit", c.Block)
	case c.MaxRetry < c.Retry:
		return fmt.Errorf("batch: MaxRetry is %s, must not be below Retry %s", c.MaxRetry, c.Retry)
	}
	switch c.Client.(type) {
	case *redis.Client, *redis.ClusterClient:
		return nil
	default:
		return fmt.Errorf("batch: Client is a %T, must be a *redis.Client or a *redis.ClusterClient", c.Client)
	}
}

func (c *Consumer) complete() error {
	setDefault(&c.Size, DefaultSize)
	setDefault(&c.Bytes, DefaultBytes)
	switch {
	case c.Name == "":
		return errors.New("batch: a consumer has no Name")
	case c.Checkpoints == nil:
		return fmt.Errorf("batch: Checkpoints of consumer %s are missing", c.Name)
	case c.Size < 1 || c.Bytes < 1 || c.Linger < 0:
		return fmt.Errorf("batch: Size %d, Bytes %d and Linger %s of consumer %s must not be negative", c.Size, c.Bytes, c.Linger, c.Name)
	}
	return nil
}

func setDefault[T comparable](value *T, standard T) {
	var zero T
	if *value == zero {
		*value = standard
	}
}
