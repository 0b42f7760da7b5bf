package members

import (
	"context"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/builds"
	"mpim/projections/checkpoint"
)

// Name is the name of the projection and of its consumer.
const Name = "members"

// Version counts the changes of what the fold makes of the log.
const Version = 1

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

// Projection folds the log into memberships.
type Projection struct {
	*checkpoint.Redis
}

var _ projections.Projection = (*Projection)(nil)

// New returns the projection.
func New(c Config) *Projection {
	return &Projection{checkpoint.NewRedis(checkpoint.RedisConfig{
		Client: c.Client, Name: Name, Version: Version, Partitions: c.Partitions, Build: c.Build, Space: c.Space,
	})}
}

// Code makes, opens and drops the builds of the projection.
func Code(client redis.UniversalClient, partitions int) checkpoint.RedisCode {
	return checkpoint.RedisCode{
		Client: client, Projection: Name, Number: Version, Partitions: partitions,
		New: func(b builds.Build) checkpoint.RedisProjection {
			return New(Config{Client: client, Partitions: partitions, Build: b})
		},
		Outside: []string{rosterName, orderName, userName, seqName, scheduledName},
	}
}

// Handles implements projections.Projection.
func (*Projection) Handles(t domain.EventType) bool {
	switch t {
	case domain.TypeConversationCreated, domain.TypeConversationDissolved,
		domain.TypeMemberAdded, domain.TypeMemberJoined, domain.TypeMemberLeft, domain.TypeMemberRemoved,
		domain.TypeMemberRoleChanged, domain.TypeMemberMuted,
		domain.TypeAccountUpdated, domain.TypeSettingsChanged,
		domain.TypeContactRequested, domain.TypeContactAccepted, domain.TypeContactDeclined, domain.TypeContactRemoved,
		domain.TypeContactRemarked, domain.TypeUserBlocked, domain.TypeUserUnblocked,
		domain.TypeScheduleCreated, domain.TypeScheduleCancelled, domain.TypeScheduleFired, domain.TypeScheduleFailed:
		return true
	default:
		return false
	}
}

// Apply implements projections.Projection.
func (p *Projection) Apply(ctx context.Context, step projections.Step) error {
	return p.Redis.Apply(ctx, step, p.fold)
}

// Retry replays what is parked by a key of a partition; see checkpoint.Redis.
func (p *Projection) Retry(ctx context.Context, partition int, key projections.Key, open checkpoint.Open) (int, error) {
	return p.Redis.Retry(ctx, partition, key, open, p.fold)
}

// Names of keys; the id follows in braces.
const (
	rosterName = "group:members"
	orderName  = "group:order"
	userName   = "user:conversations"
	seqName    = "user:seq"

	scheduledName = "user:scheduled"
)

// dissolvedField of a roster holds the sequence of the event that dissolved the conversation. All other fields but the
// guard are users.
const dissolvedField = "dissolved"
