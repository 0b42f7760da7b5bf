package inbox

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
)

var errLater = errors.New("later")

// MaxUnread is the highest count of unread messages and mentions that is exact plus one: it means "or more".
const MaxUnread = 1000

// Queries reads inboxes. Its errors are of kind Unavailable where Redis is out of reach.
type Queries struct{ client redis.UniversalClient }

// NewQueries returns queries on the live state.
func NewQueries(client redis.UniversalClient) *Queries { return &Queries{client: client} }

// Entry is one conversation as one user's list shows it.
type Entry struct {
	Conversation domain.ConversationID
	// Kind is domain.DirectConversation or domain.GroupConversation; empty for a conversation that is not known here.
	Kind                                 string
	Title, AvatarURL, Join, Announcement string
	// Peers are the two users of a direct conversation.
	Peers []domain.UserID
	// HeadSeq is the last sequence that the user may see: the conversation's, or that of the event that removed the user.
	HeadSeq domain.Seq
	// Ordinal is how many messages there are up to HeadSeq.
	Ordinal int64
	// UpdatedAt is when the last message was sent, or the conversation was created where there is none.
	UpdatedAt time.Time
	// Last is the last message of the conversation as it stands; nil where there is none. Whether the user may see it is
	// for Within to say.
	Last *Message
	// DeliveredSeq and ReadSeq are the user's cursors; sending moves ReadSeq, reading moves DeliveredSeq.
	DeliveredSeq, ReadSeq domain.Seq
	// AcknowledgedSeq is what the session has acknowledged as received; 0 for nothing.
	AcknowledgedSeq domain.Seq
	// Unread and Mentions count as client protocol section 3 says, up to MaxUnread.
	Unread, Mentions int
}

// Within returns the entry as somebody with these windows sees it: without a last message that lies outside of them, or
// that was changed after the window it lies in was closed.
func (e Entry) Within(windows domain.Windows) Entry { return e }

// Message is the last message of a conversation as it stands.
type Message struct {
	Seq      domain.Seq
	Event    domain.EventID
	Sender   domain.UserID
	At       time.Time
	ClientID string
	// Body is the JSON object; nil once the message was recalled or has expired.
	Body     json.RawMessage
	ReplyTo  domain.Seq
	Mentions []string
	// The times are zero where the thing has not happened. ExpiresAt may lie ahead.
	ExpiresAt, EditedAt, RecalledAt time.Time
	// ChangedSeq is the sequence of the last event that changed the message; Seq where none did.
	ChangedSeq domain.Seq
}

// Cursor is how far one member has come.
type Cursor struct {
	User                  domain.UserID
	DeliveredSeq, ReadSeq domain.Seq
}

// Entries returns the conversations as the user's list shows them, in the order of ids. It takes one round trip.
func (q *Queries) Entries(
	ctx context.Context, user domain.UserID, session domain.SessionID, ids []domain.ConversationID,
) ([]Entry, error) {
	return nil, errLater
}

// Cursors returns how far each of the users has come in a conversation, in their order.
func (q *Queries) Cursors(ctx context.Context, id domain.ConversationID, users []domain.UserID) ([]Cursor, error) {
	return nil, errLater
}

// Delivered notes what one session of a user has acknowledged, for groups so large that it is kept without an event.
func (q *Queries) Delivered(
	ctx context.Context, id domain.ConversationID, user domain.UserID, session domain.SessionID, seq domain.Seq,
) error {
	return errLater
}
