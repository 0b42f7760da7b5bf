package api

import (
	"encoding/json"
	"time"

	"mpim/domain"
	"mpim/domain/account"
	"mpim/projections/history"
	"mpim/projections/inbox"
	"mpim/projections/recent"
	"mpim/schema"
)

// Objects of the client protocol. Members that may be missing are omitted when zero; all others always stand.
type (
	// User is a user object.
	User struct {
		ID          domain.UserID `json:"id"`
		Username    string        `json:"username"`
		DisplayName string        `json:"display_name"`
		AvatarURL   string        `json:"avatar_url"`
		CreatedAt   string        `json:"created_at" format:"date-time"`
	}
	// Conversation is a conversation object, as one user sees it.
	Conversation struct {
		Conversation domain.ConversationID `json:"conversation"`
		Kind         string                `json:"kind" enum:"direct,group"`
		Title        string                `json:"title"`
		AvatarURL    string                `json:"avatar_url"`
		Peer         domain.UserID         `json:"peer,omitempty" doc:"The other user of a direct conversation."`
		Join         string                `json:"join,omitempty" enum:"invite,open"`
		Announcement string                `json:"announcement,omitempty"`
		Role         domain.Role           `json:"role" enum:"owner,admin,member"`
		MemberCount  int                   `json:"member_count"`
		HeadSeq      domain.Seq            `json:"head_seq" doc:"The last sequence the caller may see."`
		Unread       int                   `json:"unread" doc:"Exact to 999; 1000 means more."`
		Mentions     int                   `json:"mentions"`
		ReadSeq      domain.Seq            `json:"read_seq"`
		DeliveredSeq domain.Seq            `json:"delivered_seq"`
		LastMessage  *Message              `json:"last_message"`
		UpdatedAt    string                `json:"updated_at" format:"date-time"`
		Pinned       bool                  `json:"pinned"`
		Muted        bool                  `json:"muted"`
		Left         bool                  `json:"left,omitzero" doc:"The caller is no member any more."`
		Cursors      []Cursor              `json:"cursors,omitempty" nullable:"false" doc:"How far members have come; conversation.get alone has it, for up to 200."`
	}
	// Cursor is how far one member has come.
	Cursor struct {
		User         domain.UserID `json:"user"`
		ReadSeq      domain.Seq    `json:"read_seq"`
		DeliveredSeq domain.Seq    `json:"delivered_seq"`
	}
	// Message is a message object: a message as it stands.
	Message struct {
		Conversation domain.ConversationID `json:"conversation"`
		Seq          domain.Seq            `json:"seq"`
		Event        domain.EventID        `json:"event"`
		Sender       domain.UserID         `json:"sender"`
		At           string                `json:"at" format:"date-time"`
		Body         json.RawMessage       `json:"body" doc:"Null once recalled or expired."`
		ClientID     string                `json:"client_id,omitempty"`
		ReplyTo      domain.Seq            `json:"reply_to,omitzero"`
		Mentions     []string              `json:"mentions,omitempty" nullable:"false"`
		ExpiresAt    string                `json:"expires_at,omitempty" format:"date-time"`
		EditedAt     string                `json:"edited_at,omitempty" format:"date-time"`
		RecalledAt   string                `json:"recalled_at,omitempty" format:"date-time"`
		Reactions    []Reaction            `json:"reactions" nullable:"false"`
	}
	// Reaction is one emoji on a message.
	Reaction struct {
		Emoji string `json:"emoji"`
		Count int    `json:"count"`
		Mine  bool   `json:"mine"`
	}
	// Event is an event object. Its data depends on its type.
	Event struct {
		Conversation domain.ConversationID `json:"conversation"`
		Seq          domain.Seq            `json:"seq"`
		Event        domain.EventID        `json:"event"`
		Type         domain.EventType      `json:"type"`
		At           string                `json:"at" format:"date-time"`
		Actor        domain.UserID         `json:"actor"`
		Data         json.RawMessage       `json:"data"`
	}
)

// formatTime returns a time in the form of every time in answers; empty for the zero time.
func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(schema.TimeFormat)
}

func userObject(id domain.UserID, p account.Profile) User {
	return User{
		ID: id, Username: p.Username, DisplayName: p.DisplayName, AvatarURL: p.AvatarURL, CreatedAt: formatTime(p.CreatedAt),
	}
}

var null = json.RawMessage("null")

func bodyOrNull(body json.RawMessage) json.RawMessage {
	if body == nil {
		return null
	}
	return body
}

func historyMessage(m history.Message) Message {
	message := Message{
		Conversation: m.Conversation, Seq: m.Seq, Event: m.Event, Sender: m.Sender, At: formatTime(m.At),
		Body: bodyOrNull(m.Body), ClientID: m.ClientID, ReplyTo: m.ReplyTo, Mentions: m.Mentions,
		ExpiresAt: formatTime(m.ExpiresAt), EditedAt: formatTime(m.EditedAt), RecalledAt: formatTime(m.RecalledAt),
		Reactions: make([]Reaction, len(m.Reactions)),
	}
	for i, r := range m.Reactions {
		message.Reactions[i] = Reaction{Emoji: r.Emoji, Count: r.Count, Mine: r.Mine}
	}
	return message
}

// lastMessage returns the message that the inbox has, to somebody with these windows.
func lastMessage(id domain.ConversationID, m *inbox.Message, windows domain.Windows) *Message {
	if m == nil {
		return nil
	}
	message := &Message{
		Conversation: id, Seq: m.Seq, Event: m.Event, Sender: m.Sender, At: formatTime(m.At),
		Body: bodyOrNull(m.Body), ClientID: m.ClientID, ReplyTo: m.ReplyTo, Mentions: m.Mentions,
		ExpiresAt: formatTime(m.ExpiresAt), EditedAt: formatTime(m.EditedAt), RecalledAt: formatTime(m.RecalledAt),
		Reactions: make([]Reaction, len(m.Reactions)),
	}
	for i, r := range m.Reactions {
		message.Reactions[i] = Reaction{Emoji: r.Emoji, Count: r.Count, Mine: r.Mine}
	}
	for _, w := range windows {
		// That it is gone is for everybody. When it was edited before may not be, and only history knows of earlier edits.
		if w.Contains(m.Seq) && !w.Contains(m.ChangedSeq) {
			message.EditedAt = ""
		}
	}
	return message
}

// conversationObject is what the decision state and the inbox together say of a conversation.
func conversationObject(v view, e inbox.Entry) Conversation {
	e = e.Within(v.windows)
	c := Conversation{
		Conversation: v.id, Kind: v.state.Kind, Title: v.state.Title, AvatarURL: v.state.AvatarURL,
		Peer: v.state.Peer(v.user), Announcement: v.state.Announcement,
		Role: v.role(), MemberCount: v.state.MemberCount, HeadSeq: v.windows.Last(v.state.Head),
		Unread: e.Unread, Mentions: e.Mentions, ReadSeq: e.ReadSeq, DeliveredSeq: e.DeliveredSeq,
		LastMessage: lastMessage(v.id, e.Last, v.windows), UpdatedAt: formatTime(e.UpdatedAt),
		Pinned: e.Pinned, Muted: e.Muted, Left: !v.windows.Open(),
	}
	if v.state.Kind == domain.GroupConversation {
		c.Join = v.state.Join
	}
	if e.UpdatedAt.IsZero() {
		c.UpdatedAt = formatTime(v.state.CreatedAt)
	}
	if c.Left && c.LastMessage == nil {
		// The present one is of a message that came after the viewer had gone.
		c.UpdatedAt = formatTime(v.state.CreatedAt)
	}
	if c.Left && v.state.Dissolved == 0 {
		// These may have changed since, and what came after the viewer's window is not for it.
		c.Title, c.AvatarURL, c.Announcement, c.Join, c.MemberCount = "", "", "", "", 0
	}
	return c
}

// changesMessage says whether an event of the type concerns an earlier message, which its data names.
func changesMessage(t domain.EventType) bool {
	switch t {
	case domain.TypeMessageEdited, domain.TypeMessageRecalled, domain.TypeMessageReacted, domain.TypeMessageExpired:
		return true
	default:
		return false
	}
}

// eventText returns the event object as somebody with these windows sees it: of a change to a message outside of them,
// data names the message alone.
func eventText(id domain.ConversationID, e recent.Event, windows domain.Windows) (json.RawMessage, error) {
	if len(windows) == 1 && windows[0].From == 1 {
		return e.JSON(), nil
	}
	header, err := e.Header()
	if err != nil {
		return nil, err
	}
	if !changesMessage(header.Type) {
		return e.JSON(), nil
	}
	var concerns struct {
		Message domain.Seq `json:"message"`
	}
	if err := json.Unmarshal(header.Data, &concerns); err != nil {
		return nil, err
	}
	if windows.Contains(concerns.Message) {
		return e.JSON(), nil
	}
	data, err := json.Marshal(concerns)
	if err != nil {
		return nil, err
	}
	return json.Marshal(Event{
		Conversation: id, Seq: e.Seq, Event: header.Event, Type: header.Type, At: formatTime(header.At), Actor: header.Actor,
		Data: data,
	})
}
