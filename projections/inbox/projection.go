package inbox

import (
	"context"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/builds"
	"mpim/projections/checkpoint"
)

// Name is the name of the projection and of its consumer.
const Name = "inbox"

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

// Projection folds the log into inboxes.
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
		Within: []string{inboxPrefix, lastPrefix, settingsName("")},
	}
}

// Handles implements projections.Projection.
func (*Projection) Handles(t domain.EventType) bool {
	switch t {
	case domain.TypeConversationCreated, domain.TypeConversationUpdated, domain.TypeConversationDissolved,
		domain.TypeMemberAdded, domain.TypeMemberJoined, domain.TypeMemberLeft, domain.TypeMemberRemoved,
		domain.TypeMemberRoleChanged, domain.TypeMemberMuted,
		domain.TypeMessageSent, domain.TypeMessageEdited, domain.TypeMessageRecalled, domain.TypeMessageReacted,
		domain.TypeMessageExpired, domain.TypeReceiptMoved, domain.TypeAccountErased, domain.TypeSettingsChanged:
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

// What begins the names of a conversation's keys.
const (
	inboxPrefix = "inbox:"
	lastPrefix  = "last:"
)

// Fields of the hash of a conversation. Those of a user have its id behind them.
const (
	headField         = "h" // head sequence, ordinal
	updatedField      = "u" // milliseconds
	kindField         = "kind"
	titleField        = "title"
	avatarField       = "avatar"
	joinField         = "join"
	announcementField = "announcement"
	peersField        = "peers" // of a pair
	dissolvedField    = "x"     // sequence, ordinal
	readField         = "r:"    // sequence, ordinal
	cursorField       = "c:"    // delivered, joined, left: sequence and ordinal of each
	marksField        = "a:"    // session, sequence, …
	mentionsField     = "m:"    // sequences
	allField          = mentionsField + domain.MentionAll
	tallyField        = "e"  // reactions on the last message that has any: its sequence, that of the last change, emoji, count, …
	reactedField      = "e:" // the sequence, emoji, …
)

// Fields of the hash of a user's settings have a conversation behind them.
const (
	pinnedField = "p:"
	mutedField  = "m:"
)

// settingsName is the key of the hash, in the partition that the user lives in.
func settingsName(user domain.UserID) string { return "settings:" + string(user) }
