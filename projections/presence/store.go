package presence

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/schema"
)

// Leases of what is kept by user. Gateways renew both while a socket is open.
const (
	RouteTTL  = time.Minute
	StatusTTL = 5 * time.Minute
)

// store knows the keys of leases, which are the same for all builds. Space stands in front of them in tests.
type store struct {
	client redis.UniversalClient
	space  string
}

// Names of keys that live with the checkpoint.
const (
	connectionsName = "connections"
	usersName       = "users"
	offlineName     = "offline"
)

// choicesKey is beside the fold: what users choose is not in the log.
func choicesKey(partition int) string { return schema.PartitionKey(partition, "choices") }

// Keys by user.
func (s store) routeKey(id domain.UserID) string { return s.space + "route:{" + string(id) + "}" }

func (s store) statusKey(id domain.UserID) string {
	return s.space + "user:status:{" + string(id) + "}"
}

// Fields of user:status:{<user>}.
const (
	usersField  = "user"   // as in {p}:users
	choiceField = "choice" // as in {p}:choices
)

// loaded is what is known of some users of one partition.
type loaded struct {
	users   map[domain.UserID]user
	choices map[domain.UserID]choice
}

// build is one to read from: checkpoint.Reading, or the one that is fed.
type build interface {
	Key(partition int, name string) string
	Pipelined(ctx context.Context, ask func(p redis.Pipeliner) error) error
}

// load reads what is known of users, by partition, in one round trip.
func load(ctx context.Context, from build, byPartition map[int][]domain.UserID) (l loaded, err error) {
	l = loaded{make(map[domain.UserID]user), make(map[domain.UserID]choice)}
	type reply struct{ users, choices *redis.SliceCmd }
	replies := make(map[int]reply, len(byPartition))
	err = from.Pipelined(ctx, func(p redis.Pipeliner) error {
		for partition, ids := range byPartition {
			fields := make([]string, len(ids))
			for i, id := range ids {
				fields[i] = string(id)
			}
			replies[partition] = reply{
				p.HMGet(ctx, from.Key(partition, usersName), fields...), p.HMGet(ctx, choicesKey(partition), fields...),
			}
		}
		return nil
	})
	if err != nil {
		return l, err
	}
	for partition, ids := range byPartition {
		users, choices := replies[partition].users.Val(), replies[partition].choices.Val()
		for i, id := range ids {
			if text, found := users[i].(string); found {
				l.users[id] = parseUser(text)
			}
			if text, found := choices[i].(string); found {
				l.choices[id] = parseChoice(text)
			}
		}
	}
	return l, nil
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

func (c Connection) encode() (string, error) {
	text, err := json.Marshal(schema.Connection{
		User: c.User, Session: c.Session, Gateway: c.Gateway, Client: c.Client, At: c.At.UTC().Truncate(time.Millisecond),
	})
	if err != nil {
		return "", fmt.Errorf("encode connection %s: %w", c.ID, err)
	}
	return string(text), nil
}

func parseConnection(id, text string) (Connection, error) {
	var form schema.Connection
	if err := json.Unmarshal([]byte(text), &form); err != nil {
		return Connection{}, fmt.Errorf("connection %s is damaged: %w", id, err)
	}
	return Connection{
		ID: domain.ConnectionID(id), User: form.User, Session: form.Session, Gateway: form.Gateway, Client: form.Client,
		At: form.At,
	}, nil
}
