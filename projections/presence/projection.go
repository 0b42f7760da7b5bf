package presence

import (
	"context"
	"log/slog"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/builds"
	"mpim/projections/checkpoint"
	"mpim/schema"
)

// Name is the name of the projection and of its consumer.
const Name = "presence"

// Version counts the changes of what the fold makes of the log.
const Version = 1

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
	// Build is the one to feed. Default: the first, live.
	Build builds.Build
	// Space stands in front of the names of keys, those of leases too. Default: that of the build, and none for leases.
	Space string
	// Publisher is told what changed. Default: nobody is.
	Publisher Publisher
	// Logger takes what could not be told. Default: nothing is logged.
	Logger *slog.Logger
}

// Projection folds the log into presence.
type Projection struct {
	*checkpoint.Redis
	store store
	// leases says that the build writes leases, live that it is the one that is read.
	leases, live bool

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
	state := checkpoint.NewRedis(checkpoint.RedisConfig{
		Client: c.Client, Name: Name, Version: Version, Partitions: c.Partitions, Build: c.Build, Space: c.Space,
	})
	b := state.Build()
	p := &Projection{
		Redis: state, store: store{c.Client, c.Space}, leases: b.Number != builds.Aside, live: b.State == projections.Live,
		publisher: c.Publisher, logger: logger,
	}
	if !p.live {
		p.publisher = nil // others are told once
	}
	return p
}

// Code makes, opens and drops the builds of the projection. Publisher and logger are for the one that is live; they may be nil.
func Code(client redis.UniversalClient, partitions int, publisher Publisher, logger *slog.Logger) checkpoint.RedisCode {
	return checkpoint.RedisCode{
		Client: client, Projection: Name, Number: Version, Partitions: partitions,
		New: func(b builds.Build) checkpoint.RedisProjection {
			return New(Config{Client: client, Partitions: partitions, Build: b, Publisher: publisher, Logger: logger})
		},
		Single: []string{connectionsName, usersName, offlineName},
	}
}

// Handles implements projections.Projection.
func (*Projection) Handles(t domain.EventType) bool {
	return t == domain.TypeSessionConnected || t == domain.TypeSessionDisconnected
}

// Retry replays what is parked by a key of a partition; see checkpoint.Redis. Nobody is told: it is long past.
func (p *Projection) Retry(ctx context.Context, partition int, key projections.Key, open checkpoint.Open) (int, error) {
	return p.Redis.Retry(ctx, partition, key, open, func(ctx context.Context, records []*schema.Record, w *checkpoint.Writes) error {
		_, err := p.fold(ctx, records, w)
		return err
	})
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
