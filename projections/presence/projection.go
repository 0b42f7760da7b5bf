package presence

import (
	"context"
	"log/slog"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/checkpoint"
	"mpim/schema"
)

// Name is the name of the projection and of its consumer.
const Name = "presence"

// Publisher tells those who watch that presence changed.
type Publisher interface {
	// PublishStatuses publishes on the status channel of the partition that the users live in. It may be lost.
	PublishStatuses(ctx context.Context, partition int, statuses []schema.Status) error
}

// Config is what the projection needs.
type Config struct {
	Client redis.UniversalClient
	// Partitions is how many the log has.
	Partitions int
	// Space stands in front of the names of keys, for a fold beside the live one. Default: empty.
	Space string
	// Publisher is told what changed. Default: nobody is.
	Publisher Publisher
	// Logger takes what could not be told. Default: nothing is logged.
	Logger *slog.Logger
}

// Projection folds the log into presence.
type Projection struct {
	*checkpoint.Redis
	store     store
	publisher Publisher
	logger    *slog.Logger
}

var _ projections.Projection = (*Projection)(nil)

// New returns the projection.
func New(c Config) *Projection {
	logger := c.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Projection{
		Redis: checkpoint.NewRedis(checkpoint.RedisConfig{
			Client: c.Client, Name: Name, Version: 1, Partitions: c.Partitions, Space: c.Space,
		}),
		store: store{c.Client, c.Space}, publisher: c.Publisher, logger: logger,
	}
}

// Handles implements projections.Projection.
func (*Projection) Handles(t domain.EventType) bool {
	return t == domain.TypeSessionConnected || t == domain.TypeSessionDisconnected
}

// Apply implements projections.Projection. What changed for those who watch is published afterwards, at most once.
func (p *Projection) Apply(ctx context.Context, step projections.Step) error {
	var changed []Presence
	err := p.Redis.Apply(ctx, step, func(ctx context.Context, records []*schema.Record, w *checkpoint.Writes) error {
		some, err := p.fold(ctx, records, w)
		changed = append(changed, some...)
		return err
	})
	if err != nil || len(changed) == 0 || p.publisher == nil {
		return err
	}
	if err := p.publisher.PublishStatuses(ctx, step.Partition, statuses(changed)); err != nil {
		p.logger.WarnContext(ctx, "changes of presence not published",
			slog.Int("partition", step.Partition), slog.Int("users", len(changed)), slog.Any("error", err))
	}
	return nil
}
