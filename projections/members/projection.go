package members

import (
	"context"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/checkpoint"
)

// Name is the name of the projection and of its consumer.
const Name = "members"

// Config is what the projection needs.
type Config struct {
	Client redis.UniversalClient
	// Partitions is how many the log has.
	Partitions int
	// Space stands in front of the names of keys, for a fold beside the live one. Default: empty.
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
		Client: c.Client, Name: Name, Version: 1, Partitions: c.Partitions, Space: c.Space,
	})}
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
