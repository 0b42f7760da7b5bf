package recent

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
)

var errLater = errors.New("later")

// Size is how many events of a conversation are kept at most.
const Size = 1024

// Queries reads recent events. Its errors are of kind Unavailable where Redis is out of reach.
type Queries struct{ client redis.UniversalClient }

// NewQueries returns queries on the live state.
func NewQueries(client redis.UniversalClient) *Queries { return &Queries{client: client} }

// Range asks for the events of one conversation above After, at most Limit of them.
type Range struct {
	Conversation domain.ConversationID
	After        domain.Seq
	Limit        int
}

// Events is the answer to a Range.
type Events struct {
	Conversation domain.ConversationID
	// Events are those above the Range's After that are at hand, in order and without a gap between them.
	Events []Event
	// Whole says that the event at After+1 is at hand, or that there is none yet as far as this projection knows. Where it
	// is false, events are missing here: older than those kept.
	Whole bool
	// Head is the highest sequence at hand; 0 where nothing is.
	Head domain.Seq
}

// Event is one event of a conversation.
type Event struct {
	Seq domain.Seq
	// Ordinal is how many messages the conversation had with this event.
	Ordinal int64
	// Gone says that the event is a message, or an edit of one, that was recalled or has expired: its body is null.
	Gone bool

	id   domain.ConversationID
	text string
}

// JSON returns the event object of the client protocol, as it was encoded when it was stored.
func (e Event) JSON() json.RawMessage { return nil }

// Header returns what the event object says, without its data.
func (e Event) Header() (Header, error) { return Header{}, errLater }

// Header is an event object of the client protocol with its data left raw.
type Header struct {
	Event domain.EventID   `json:"event"`
	Type  domain.EventType `json:"type"`
	At    time.Time        `json:"at"`
	Actor domain.UserID    `json:"actor"`
	Data  json.RawMessage  `json:"data"`
}

// Facts are what never changes about an event, and whether it was taken back: what edit, recall, react and reply are
// decided on.
type Facts struct {
	Seq    domain.Seq
	Type   domain.EventType
	Sender domain.UserID
	At     time.Time
	// Kind is the type of the body, for messages.
	Kind string
	// Gone says that the message was recalled or has expired.
	Gone bool
	// Ordinal is how many messages the conversation had with this event.
	Ordinal int64
}

// Since returns the events of one conversation above after.
func (q *Queries) Since(ctx context.Context, id domain.ConversationID, after domain.Seq, limit int) (Events, error) {
	return Events{}, errLater
}

// Ranges answers several ranges in one round trip, in their order.
func (q *Queries) Ranges(ctx context.Context, ranges []Range) ([]Events, error) { return nil, errLater }

// Get returns the facts of the event at seq. It is false where that event is not at hand: too old, or not there yet.
func (q *Queries) Get(ctx context.Context, id domain.ConversationID, seq domain.Seq) (Facts, bool, error) {
	return Facts{}, false, errLater
}
