package presence

import (
	"context"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/projections/checkpoint"
)

// Queries reads presence. Its errors are of kind Unavailable where Redis is out of reach.
type Queries struct {
	store store
	live  *checkpoint.Live
}

// NewQueries returns queries on the live build.
func NewQueries(client redis.UniversalClient) *Queries {
	return &Queries{store{client: client}, checkpoint.NewLive(client, Name)}
}

// loadLive reads what the live build knows of users, by partition, in one round trip.
func loadLive(ctx context.Context, live *checkpoint.Live, byPartition map[int][]domain.UserID) (l loaded, err error) {
	err = live.Read(ctx, func(ctx context.Context, r *checkpoint.Reading) (err error) {
		l, err = load(ctx, r, byPartition)
		return err
	})
	return l, err
}

// Get returns what others are told about each of the users, in their order, in one round trip. Ids that are none are
// offline for ever.
func (q *Queries) Get(ctx context.Context, users []domain.UserID) ([]Presence, error) {
	byPartition := make(map[int][]domain.UserID)
	for _, id := range users {
		if partition, ok := id.Partition(); ok {
			byPartition[partition] = append(byPartition[partition], id)
		}
	}
	known, err := loadLive(ctx, q.live, byPartition)
	if err != nil {
		return nil, unavailable(err)
	}
	now := time.Now()
	all := make([]Presence, len(users))
	for i, id := range users {
		all[i] = presenceOf(id, known.users[id], known.choices[id], now)
	}
	return all, nil
}

// Connections is Routes.Connections.
func (q *Queries) Connections(ctx context.Context, id domain.UserID) ([]Connection, error) {
	return (&Routes{q.store}).Connections(ctx, id)
}

// Choices keeps what users choose to be seen as.
type Choices struct {
	store     store
	live      *checkpoint.Live
	publisher Publisher
}

// NewChoices returns choices that tell changes to the publisher; nil tells nobody.
func NewChoices(client redis.UniversalClient, publisher Publisher) *Choices {
	return &Choices{store{client: client}, checkpoint.NewLive(client, Name), publisher}
}

// maxText bounds what a user says about its status, in characters.
const maxText = 128

// Forget takes away what an erased user had chosen.
func (c *Choices) Forget(ctx context.Context, id domain.UserID) error {
	partition, ok := id.Partition()
	if !ok {
		return nil
	}
	_, err := c.store.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.HDel(ctx, choicesKey(partition), string(id))
		p.HDel(ctx, c.store.statusKey(id), choiceField)
		return nil
	})
	if err != nil {
		return unavailable(err)
	}
	return nil
}

// Set notes what a user chose, and tells it. It lasts until the next choice, also while the user is offline. An error is of
// kind InvalidArgument or TooLarge for a status or text that cannot be. Who is invisible has no text.
func (c *Choices) Set(ctx context.Context, id domain.UserID, status Status, text string) error {
	partition, err := checkChoice(id, status, text)
	if err != nil {
		return err
	}
	// The server's clock orders choices, since gateways' clocks may differ.
	clock, err := c.store.client.Time(ctx).Result()
	if err != nil {
		return unavailable(err)
	}
	known, err := loadLive(ctx, c.live, map[int][]domain.UserID{partition: {id}})
	if err != nil {
		return unavailable(err)
	}
	before := presenceOf(id, known.users[id], known.choices[id], clock)
	chosen := choice{clock.UnixMicro(), status, text}
	if status == Invisible {
		chosen.text = strconv.FormatInt(clock.UnixMilli(), 10)
		if before.Status == Offline {
			chosen.text = strconv.FormatInt(unixMilli(before.LastSeenAt), 10)
		}
	}
	order, rest := strconv.FormatInt(chosen.at, 10), chosen.String()
	var kept, leased checkpoint.Direct
	kept.Do("NEWER", choicesKey(partition), string(id), order, rest)
	leased.Do("NEWER", c.store.statusKey(id), choiceField, order, rest)
	leased.Do("PEXPIRE", c.store.statusKey(id), strconv.FormatInt(StatusTTL.Milliseconds(), 10))
	for _, d := range []checkpoint.Direct{kept, leased} {
		if err := d.Send(ctx, c.store.client); err != nil {
			return unavailable(err)
		}
	}
	after := presenceOf(id, known.users[id], chosen, clock)
	if c.publisher == nil || before == after {
		return nil
	}
	// It may be lost, like every change of presence: that is not the caller's failure.
	_ = c.publisher.PublishStatuses(ctx, partition, statuses([]Presence{after}))
	return nil
}

func checkChoice(id domain.UserID, status Status, text string) (partition int, err error) {
	partition, ok := id.Partition()
	if !ok {
		return 0, domain.Errorf(domain.NotFound, "there is no such user")
	}
	switch status {
	case Online, Away, Busy, Invisible:
	default:
		return 0, domain.Errorf(domain.InvalidArgument, "status is online, away, busy or invisible")
	}
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return 0, domain.Errorf(domain.InvalidArgument, "text is valid UTF-8 without U+0000")
	}
	if utf8.RuneCountInString(text) > maxText {
		return 0, domain.Errorf(domain.TooLarge, "text has at most %d characters", maxText)
	}
	return partition, nil
}

func unavailable(err error) error {
	return domain.Wrap(domain.Unavailable, err, "presence cannot be read or changed now")
}
