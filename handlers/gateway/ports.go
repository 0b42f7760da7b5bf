package gateway

import (
	"context"
	"encoding/json"

	"mpim/domain"
	"mpim/handlers/api"
	"mpim/handlers/auth"
	"mpim/projections/presence"
	"mpim/schema"
)

// Operations are what clients can call.
type Operations interface {
	// Find returns the operation called method.
	Find(method string) (Operation, bool)
}

// Operation is one of them.
type Operation struct {
	// Public operations need no login.
	Public bool
	// Changes says that it appends something, so that its order among others matters.
	Changes bool
	// Cumulative ones that follow each other may be made at once.
	Cumulative bool
	// Call runs it and returns the JSON text of its result. Params is what the client sent: one valid JSON value, or nothing.
	Call func(ctx context.Context, caller api.Caller, params json.RawMessage) (json.RawMessage, error)
}

// Registry makes the operations of a registry callable over sockets.
type Registry struct{ *api.Registry }

// Find returns the operation called method.
func (r Registry) Find(method string) (Operation, bool) {
	op, ok := r.Lookup(method)
	if !ok {
		return Operation{}, false
	}
	return Operation{
		Public: op.Public, Changes: op.Changes, Cumulative: op.Cumulative,
		Call: func(ctx context.Context, caller api.Caller, params json.RawMessage) (json.RawMessage, error) {
			result, err := op.Call(ctx, caller, params)
			if err != nil {
				return nil, err
			}
			return api.Encode(result)
		},
	}, true
}

// Gate lets in who has a valid token.
type Gate interface {
	// Admit returns whose token it is. An error is of kind Unauthenticated where the token is not valid or its session was
	// revoked, and PermissionDenied where the account is suspended.
	Admit(ctx context.Context, token string) (auth.Principal, error)
}

// Ledger appends the connections that open and end to the log. Both are commands on the account, and do nothing where it
// is so already.
type Ledger interface {
	// Connect records that a connection was opened. The error is of kind Unauthenticated where the session was revoked
	// meanwhile, and PermissionDenied where the account is suspended.
	Connect(ctx context.Context, c schema.Connected) error
	// Disconnect records that it has ended; reason is one of those of domain.SessionDisconnected.
	Disconnect(ctx context.Context, c schema.Connected, reason string) error
}

// Bus tells the push owners which connections there are.
type Bus interface {
	// Connected says that connections are open and want pushes. All of them belong to users of one partition. It returns
	// where that stands in the partition's presence stream, and whether the gateway had no lease in it until now.
	Connected(ctx context.Context, partition int, entries ...schema.Connected) (at schema.StreamID, absent bool, err error)
	// Disconnected says that a connection has ended.
	Disconnected(ctx context.Context, partition int, e schema.Disconnected) error
	// Renew renews the gateway's leases in partitions, and returns those where its lease had ended, so that its
	// connections there are taken for dead.
	Renew(ctx context.Context, gateway string, partitions []int) (gone []int, err error)
	// Withdraw gives back the gateway's leases in partitions where it has no connections any more.
	Withdraw(ctx context.Context, gateway string, partitions []int) error
	// Publish sends messages to the channels of gateways.
	Publish(ctx context.Context, messages []schema.Outgoing) (failed []schema.Outgoing, err error)
}

// Routes keeps where users are connected, for as long as somebody says so.
type Routes interface {
	// Extend renews what is kept of open sockets.
	Extend(ctx context.Context, connections []presence.Connection) error
	// Connections returns the open sockets of a user.
	Connections(ctx context.Context, user domain.UserID) ([]presence.Connection, error)
}

// Channels is Pub/Sub.
type Channels interface {
	// Listen subscribes to channels, calls ready, and then hear with each message, in order, until the context ends (nil) or
	// the subscription breaks (an error). A subscription that was restored behind the scenes has to count as broken.
	Listen(ctx context.Context, channels []string, ready func(), hear func(channel string, payload []byte)) error
}

// Seen is told how far the log has been seen, so that a log that has lost its end is noticed before it is appended to.
type Seen interface {
	// Saw says that the partition was seen at a partition sequence. It must not block.
	Saw(partition int, seq int64)
}

// Holder says who pushes the events of a partition.
type Holder struct {
	Partition int
	Token     int64
}

// Holders knows who pushes.
type Holders interface {
	// PushHolders returns the present holders of the push leases; partitions that nobody holds are left out.
	PushHolders(ctx context.Context) ([]Holder, error)
}

// Standing is what hello says of the log.
type Standing interface {
	// UserSeq counts the changes of the user's contacts, blocks, profile and settings.
	UserSeq(ctx context.Context, user domain.UserID) (int64, error)
	// Epoch is opaque; it changes where acknowledged data was lost.
	Epoch() string
}
