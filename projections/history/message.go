package history

import (
	"encoding/json"
	"time"

	"mpim/domain"
)

// View is who reads, and which parts of the conversation that user may see. A message in a closed window reads as it
// stood when the window closed, but what was recalled or has expired is gone from every view.
type View struct {
	User    domain.UserID
	Windows domain.Windows
}

// Range asks for a page. With neither Before nor After it is the newest messages, with After the oldest above it, with
// Before the newest below it. At most one of them may be set.
type Range struct {
	Before, After domain.Seq
	// Limit is how many messages to return at most, 1 to MaxLimit.
	Limit int
}

// MaxLimit bounds a page.
const MaxLimit = 200

// Message is one message as a viewer reads it.
type Message struct {
	Conversation domain.ConversationID
	Seq          domain.Seq
	Event        domain.EventID
	Sender       domain.UserID
	At           time.Time
	// Kind is the type of the body. It stays when the body goes.
	Kind string
	// Body is the JSON object; nil once the message was recalled or has expired.
	Body     json.RawMessage
	ClientID string
	// ReplyTo is the message this one answers; 0 for none.
	ReplyTo  domain.Seq
	Mentions []string
	// The times are zero where the thing has not happened. ExpiresAt may lie ahead.
	ExpiresAt, EditedAt, RecalledAt time.Time
	Reactions                       []Reaction
}

// Reaction is one emoji on a message.
type Reaction struct {
	Emoji string
	Count int
	// Mine says that the viewer is among them.
	Mine bool
}

// Edit is one later body of a message.
type Edit struct {
	Body json.RawMessage
	At   time.Time
}

// Facts are what never changes about a message, and whether it was taken back: what edit, recall, react and reply are
// decided on.
type Facts struct {
	Sender domain.UserID
	At     time.Time
	// Kind is the type of the body.
	Kind     string
	Recalled bool
	Expired  bool
	// ExpiresAt is zero for a message that stays.
	ExpiresAt time.Time
}
