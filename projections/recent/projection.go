package recent

import (
	"context"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/builds"
	"mpim/projections/checkpoint"
)

// Name is the name of the projection and of its consumer.
const Name = "recent"

// Version counts the changes of what the fold makes of the log.
const Version = 1

// Size is how many events of a conversation are kept at most.
const Size = 1024

// TTL is for how long the events of a conversation are kept after its last one: a week away, and a day.
const TTL = 8 * 24 * time.Hour

// Config is what the projection needs.
type Config struct {
	Client redis.UniversalClient
	// Partitions is how many the log has.
	Partitions int
	// Build is the one to feed. Default: the first, live.
	Build builds.Build
	// Space stands in front of the names of keys. Default: that of the build.
	Space string
}

// Projection folds the log into recent events.
type Projection struct {
	*checkpoint.Redis
	// live says that the build is live.
	live bool
}

var _ projections.Projection = (*Projection)(nil)

// New returns the projection.
func New(c Config) *Projection {
	state := checkpoint.NewRedis(checkpoint.RedisConfig{
		Client: c.Client, Name: Name, Version: Version, Partitions: c.Partitions, Build: c.Build, Space: c.Space,
	})
	return &Projection{Redis: state, live: state.Build().State == projections.Live}
}

// Code makes, opens and drops the builds of the projection.
func Code(client redis.UniversalClient, partitions int) checkpoint.RedisCode {
	return checkpoint.RedisCode{
		Client: client, Projection: Name, Number: Version, Partitions: partitions,
		New: func(b builds.Build) checkpoint.RedisProjection {
			return New(Config{Client: client, Partitions: partitions, Build: b})
		},
		Within: []string{keyPrefix},
	}
}

// keyPrefix begins the name of a conversation's key.
const keyPrefix = "recent:"

func keyName(id domain.ConversationID) string { return keyPrefix + string(id) }

// Handles implements projections.Projection: everything that takes a sequence in a conversation, of types that are yet to
// come too; and that a user was erased.
func (*Projection) Handles(t domain.EventType) bool {
	family, _, _ := strings.Cut(string(t), ".")
	return family == "conversation" || family == "member" || family == "message" || t == domain.TypeAccountErased
}

// Apply implements projections.Projection.
func (p *Projection) Apply(ctx context.Context, step projections.Step) error {
	return p.Redis.Apply(ctx, step, p.fold)
}

// Retry replays what is parked by a key of a partition; see checkpoint.Redis.
func (p *Projection) Retry(ctx context.Context, partition int, key projections.Key, open checkpoint.Open) (int, error) {
	return p.Redis.Retry(ctx, partition, key, open, p.fold)
}
