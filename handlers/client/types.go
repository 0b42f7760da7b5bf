package client

import (
	"encoding/json"
	"time"
)

// Event is something that happened in a conversation.
type Event struct {
	Conversation string    `json:"conversation"`
	Seq          int64     `json:"seq"`
	ID           string    `json:"event"`
	Type         string    `json:"type"`
	At           time.Time `json:"at"`
	Actor        string    `json:"actor"`
	// Data is as the protocol describes it for the type.
	Data json.RawMessage `json:"data"`
}

// Text returns the text of a message that was sent or edited, and "" for all else.
func (e Event) Text() string {
	var data struct{ Body *Body }
	if json.Unmarshal(e.Data, &data) != nil || data.Body == nil {
		return ""
	}
	return data.Body.Text
}

// Body is what a message says; Type is "text", "file" or "custom" and tells which of the others stand.
type Body struct {
	Type string          `json:"type"`
	Text string          `json:"text,omitempty"`
	URL  string          `json:"url,omitempty"`
	Name string          `json:"name,omitempty"`
	Size int64           `json:"size,omitempty"`
	MIME string          `json:"mime,omitempty"`
	Data json.RawMessage `json:"data,omitempty"`
}

// Text returns the body of a text message.
func Text(text string) Body { return Body{Type: "text", Text: text} }

// To is where a message goes: exactly one member stands.
type To struct {
	User         string `json:"user,omitempty"`
	Conversation string `json:"conversation,omitempty"`
}

// ToUser is the direct conversation with a user, which begins with the first message.
func ToUser(id string) To { return To{User: id} }

// ToConversation is a conversation that exists.
func ToConversation(id string) To { return To{Conversation: id} }

// Message is one to be sent.
type Message struct {
	To To `json:"to"`
	// ClientID makes sending safe to repeat, over restarts of the program too. One is drawn where it is empty.
	ClientID string `json:"client_id"`
	Body     Body   `json:"body"`
	// ReplyTo is the sequence of the message that this one answers; 0 for none.
	ReplyTo int64 `json:"reply_to,omitempty"`
	// Mentions are user ids, or "all".
	Mentions []string `json:"mentions,omitempty"`
	// ExpiresIn is in seconds; 0 for never.
	ExpiresIn int64 `json:"expires_in_s,omitempty"`
}

// Sent is a message that is in the log.
type Sent struct {
	Conversation string    `json:"conversation"`
	Seq          int64     `json:"seq"`
	Event        string    `json:"event"`
	At           time.Time `json:"at"`
	// Duplicate says that an earlier attempt had arrived already.
	Duplicate bool `json:"duplicate"`
	// Durability is what the answer proves: "appended", "replicated" or "fsynced".
	Durability string `json:"durability"`
	// Position goes into a later read as after_position, which then sees at least this message.
	Position string `json:"position"`
}

// User is what others see of an account.
type User struct {
	ID          string    `json:"id"`
	Username    string    `json:"username"`
	DisplayName string    `json:"display_name"`
	AvatarURL   string    `json:"avatar_url"`
	CreatedAt   time.Time `json:"created_at"`
}

// Reset says that the copy of a conversation is no longer good: too much was missed, or the server lost acknowledged
// data. Events go on above HeadSeq; what stands up to there is paged with message.history and this Position as
// after_position.
type Reset struct {
	Conversation string
	HeadSeq      int64
	Position     string
}

// Receipt says how far a member has come; a member that is 0 did not move.
type Receipt struct {
	Conversation string `json:"conversation"`
	User         string `json:"user"`
	DeliveredSeq int64  `json:"delivered_seq"`
	ReadSeq      int64  `json:"read_seq"`
}

// Handler is told what comes. Its functions are called one at a time, each may be nil, and all may call the session.
type Handler struct {
	// Event gets each event once, in order of Seq in its conversation. It is acknowledged when Event returns.
	Event func(Event)
	// Reset comes in place of events that are no longer to be had one by one.
	Reset func(Reset)
	// Left says that the user is no longer in a conversation; its last event came before.
	Left func(conversation string)
	// Receipt gets the cursors of others.
	Receipt func(Receipt)
	// Push gets every other notification: typing, presence, notice, account, and what later versions add.
	Push func(method string, params json.RawMessage)
	// Connected says that the session is up to date and connected, or, with the reason, that it is not.
	Connected func(up bool, reason error)
}

// Saved is what a program keeps of a session, to go on with it after a restart. It holds secrets.
type Saved struct {
	Token        string           `json:"token"`
	RefreshToken string           `json:"refresh_token"`
	ExpiresAt    time.Time        `json:"expires_at"`
	Session      string           `json:"session"`
	User         User             `json:"user"`
	Connection   string           `json:"connection,omitempty"`
	Epoch        string           `json:"epoch,omitempty"`
	UserSeq      int64            `json:"user_seq,omitempty"`
	Standing     map[string]int64 `json:"standing,omitempty"`
}
