package recent

import (
	"context"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/checkpoint"
)

// Name is the name of the projection and of its consumer.
const Name = "recent"

// Size is how many events of a conversation are kept at most.
const Size = 1024

// TTL is for how long the events of a conversation are kept after its last one: a week away, and a day.
const TTL = 8 * 24 * time.Hour

// Config is what the projection needs.
type Config struct {
	Client redis.UniversalClient
	// Partitions is how many the log has.
	Partitions int
	// Space stands in front of the names of keys, for a fold beside the live one. Default: empty.
	Space string
}

// Projection folds the log into recent events.
type Projection struct {
	*checkpoint.Redis
}

var _ projections.Projection = (*Projection)(nil)

// New returns the projection.
func New(c Config) *Projection {
	return &Projection{checkpoint.NewRedis(checkpoint.RedisConfig{
		Client: c.Client, Name: Name, Version: 1, Partitions: c.Partitions, Space: c.Space,
	})}
}

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
