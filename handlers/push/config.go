package push

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mpim/domain"
	"mpim/schema"
)

// Consumer is the name under which partitions are leased and read for pushing.
const Consumer = "push"

// Presence tells which connections there are. Slices have an entry for each partition.
type Presence interface {
	// PresenceStart returns after which entries the presence streams have to be folded by who reads Connections from now
	// on.
	PresenceStart(ctx context.Context) ([]schema.StreamID, error)
	// Connections calls each with the connections of the users of a partition.
	Connections(ctx context.Context, partition int, each func(domain.ConnectionID, schema.Connection)) error
	// PresenceHeads returns where the presence streams end.
	PresenceHeads(ctx context.Context) ([]schema.StreamID, error)
	// FollowPresence reads the presence streams until ctx ends (nil) or a read fails.
	FollowPresence(ctx context.Context, after []schema.StreamID, apply func([]schema.PresenceRead)) error
}

// Checkpoints keeps how far partitions are pushed, and knows how far there is to go.
type Checkpoints interface {
	// TakeCheckpoint is false where a newer token has taken it.
	TakeCheckpoint(ctx context.Context, partition int, token int64) (schema.Checkpoint, bool, error)
	// SaveCheckpoints returns those that a newer token has taken.
	SaveCheckpoints(ctx context.Context, saves []schema.PushCheckpoint) (lost []schema.PushCheckpoint, err error)
	// LogHeads returns where the logs of the given partitions end.
	LogHeads(ctx context.Context, partitions []int) ([]schema.Checkpoint, error)
	// After returns the id of the first event after the given one, zero where there is none. It is false where the log
	// has older events but not the given one: it is not the log that it was.
	After(ctx context.Context, partition int, streamID string) (first schema.StreamID, stands bool, err error)
}

// Members tells who the members of conversations are and were.
type Members interface {
	// Members returns the decision state of each conversation as far as conversation.Load needs it for members and last
	// sequence. It is at least as new as the log when the call began; members may be newer than the sequence.
	Members(ctx context.Context, conversations []domain.ConversationID) ([]domain.Fields, error)
}

// Publisher sends messages to gateways.
type Publisher interface {
	// Publish sends messages in order, and returns those that may not have been sent.
	Publish(ctx context.Context, messages []schema.Outgoing) (failed []schema.Outgoing, err error)
}

// Bus is all that an owner needs of Redis.
type Bus interface {
	Presence
	Checkpoints
	Members
	Publisher
}

// Config is what an Owner needs. Zero values mean the defaults.
type Config struct {
	// Bus reaches Redis.
	Bus Bus
	// Partitions is how many the log has.
	Partitions int
	// Worker is the id of this life of the process.
	Worker string
	// Beat is how often gateways get a heartbeat and checkpoints are saved. The default is one second.
	Beat time.Duration
	// SkipEvents and SkipAge are how far an owner may be behind, in events and by the server's clock, before it goes on at
	// the end of the log and lets gateways resynchronise. The defaults are 10,000 and one minute.
	SkipEvents int64
	SkipAge    time.Duration
	// CachedMembers bounds the members that are kept of the active conversations of one partition. The default is 200,000,
	// some 30 MB; one conversation is always kept.
	CachedMembers int
	// EnvelopeBytes bounds the frames of one envelope, and EnvelopeItems their number. The defaults are 1 MiB and 4,096. A
	// longer frame has an envelope of its own.
	EnvelopeBytes int
	EnvelopeItems int
	// QuietMembers is the number of members above which receipts are not pushed. The default is 200.
	QuietMembers int
	// Logger receives what an operator should know. The default discards it.
	Logger *slog.Logger
	// Registerer receives the metrics. The default is none.
	Registerer prometheus.Registerer
}

func (c *Config) complete() error {
	setDefault(&c.Beat, time.Second)
	setDefault(&c.SkipEvents, 10_000)
	setDefault(&c.SkipAge, time.Minute)
	setDefault(&c.CachedMembers, 200_000)
	setDefault(&c.EnvelopeBytes, 1<<20)
	setDefault(&c.EnvelopeItems, 4096)
	setDefault(&c.QuietMembers, 200)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.Bus == nil:
		return errors.New("push: Bus is missing")
	case c.Partitions < 1 || c.Partitions > domain.MaxPartitions:
		return fmt.Errorf("push: Partitions is %d, want 1 to %d", c.Partitions, domain.MaxPartitions)
	case c.Worker == "":
		return errors.New("push: Worker is missing")
	case c.Beat < 0 || c.SkipEvents < 0 || c.SkipAge < 0 || c.CachedMembers < 0 || c.QuietMembers < 0:
		return errors.New("push: Beat, SkipEvents, SkipAge, CachedMembers and QuietMembers cannot be negative")
	case c.EnvelopeBytes < 1 || c.EnvelopeBytes > schema.MaxPushBytes/2:
		return fmt.Errorf("push: EnvelopeBytes is %d, want 1 to %d", c.EnvelopeBytes, schema.MaxPushBytes/2)
	case c.EnvelopeItems < 1 || c.EnvelopeItems > schema.MaxPushItems:
		return fmt.Errorf("push: EnvelopeItems is %d, want 1 to %d", c.EnvelopeItems, schema.MaxPushItems)
	}
	return nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
