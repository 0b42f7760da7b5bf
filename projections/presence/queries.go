package presence

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
)

var errLater = errors.New("later")

// Status is what others are told about a user.
type Status string

// The statuses. Only Set takes Invisible; others are told Offline.
const (
	Online    Status = "online"
	Away      Status = "away"
	Busy      Status = "busy"
	Invisible Status = "invisible"
	Offline   Status = "offline"
)

// Presence is what others are told about a user. Its JSON is the presence object of the client protocol, and what is
// published on a status channel.
type Presence struct {
	User   domain.UserID `json:"user"`
	Status Status        `json:"status"`
	Text   string        `json:"text,omitempty"`
	// LastSeenAt is when the user was online last: now while online; zero for who never was.
	LastSeenAt time.Time `json:"last_seen_at,omitzero"`
}

// Connection is one open socket.
type Connection struct {
	ID      domain.ConnectionID
	User    domain.UserID
	Session domain.SessionID
	Gateway string
	// Client is the name and version that the client gave, or empty.
	Client string
	At     time.Time
}

// Queries reads presence. Its errors are of kind Unavailable where Redis is out of reach.
type Queries struct{ client redis.UniversalClient }

// NewQueries returns queries on the live state.
func NewQueries(client redis.UniversalClient) *Queries { return &Queries{client: client} }

// Get returns what others are told about each of the users, in their order.
func (q *Queries) Get(ctx context.Context, users []domain.UserID) ([]Presence, error) {
	return nil, errLater
}

// Connections returns the open sockets of a user whose gateways are alive.
func (q *Queries) Connections(ctx context.Context, user domain.UserID) ([]Connection, error) {
	return nil, errLater
}

// Registry returns every connection of the users of a partition, whether its gateway is alive or not: what a push worker
// starts from.
func (q *Queries) Registry(ctx context.Context, partition int) ([]Connection, error) {
	return nil, errLater
}

// Publisher tells who watches them that users' presence changed.
type Publisher interface {
	// PublishPresence publishes on the status channel of the partition that the users live in.
	PublishPresence(ctx context.Context, partition int, changes []Presence) error
}

// Choices keeps what users choose to be seen as, and the leases of those who are connected.
type Choices struct {
	client    redis.UniversalClient
	publisher Publisher
}

// NewChoices returns choices that tell changes to the publisher; nil tells nobody.
func NewChoices(client redis.UniversalClient, publisher Publisher) *Choices {
	return &Choices{client: client, publisher: publisher}
}

// Set notes what a user chose, and tells it. It lasts until the next choice. An error is of kind InvalidArgument for a
// status or text that cannot be.
func (c *Choices) Set(ctx context.Context, user domain.UserID, status Status, text string) error {
	return errLater
}

// Extend renews the routes and statuses of open sockets. Gateways call it for all of theirs every 20 seconds.
func (c *Choices) Extend(ctx context.Context, connections []Connection) error { return errLater }
