package asof

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"mpim/domain"
	"mpim/schema"
)

// Document is a conversation as it stood. Its members are those of the client protocol's objects where they have the same names.
type Document struct {
	Conversation domain.ConversationID `json:"conversation"`
	Kind         string                `json:"kind"`
	Title        string                `json:"title"`
	AvatarURL    string                `json:"avatar_url"`
	Announcement string                `json:"announcement,omitempty"`
	Join         string                `json:"join,omitempty"`
	History      string                `json:"history,omitempty"`
	CreatedAt    string                `json:"created_at"`
	Dissolved    bool                  `json:"dissolved,omitempty"`
	// HeadSeq is the last sequence, or the last one that the user could see.
	HeadSeq domain.Seq `json:"head_seq"`
	// Windows and Left are there where a user is asked about.
	Windows  domain.Windows `json:"windows,omitempty"`
	Left     bool           `json:"left,omitempty"`
	Members  []Member       `json:"members"`
	Messages []Message      `json:"messages"`
	Receipts []Receipt      `json:"receipts"`
}

// Member is somebody who was in the conversation.
type Member struct {
	User       domain.UserID `json:"user"`
	Role       domain.Role   `json:"role"`
	JoinedAt   string        `json:"joined_at"`
	MutedUntil *string       `json:"muted_until"`
}

// Message is a message as it read.
type Message struct {
	Seq       domain.Seq     `json:"seq"`
	Event     domain.EventID `json:"event"`
	Sender    domain.UserID  `json:"sender"`
	At        string         `json:"at"`
	Body      *domain.Body   `json:"body"`
	ClientID  string         `json:"client_id,omitempty"`
	ReplyTo   domain.Seq     `json:"reply_to,omitempty"`
	Mentions  []string       `json:"mentions,omitempty"`
	ExpiresAt string         `json:"expires_at,omitempty"`
	EditedAt  string         `json:"edited_at,omitempty"`
	Recalled  string         `json:"recalled_at,omitempty"`
	Reactions []Reaction     `json:"reactions"`
}

// Reaction is one emoji and who had put it there, sorted.
type Reaction struct {
	Emoji string          `json:"emoji"`
	Users []domain.UserID `json:"users"`
}

// Receipt is how far somebody had come.
type Receipt struct {
	User         domain.UserID `json:"user"`
	DeliveredSeq domain.Seq    `json:"delivered_seq"`
	ReadSeq      domain.Seq    `json:"read_seq"`
}

// Everything returns the conversation as it stood at the instant, for an auditor. Now is the instant: what was to expire before
// is gone, whether or not a timer had said so yet.
func (c *Conversation) Everything(now time.Time) Document {
	return c.document(domain.Windows{{From: 1}}, now)
}

// For returns what a user could see at the instant; false where it never was a member.
func (c *Conversation) For(user domain.UserID, now time.Time) (Document, bool) {
	windows := c.state.Windows(user)
	if len(windows) == 0 {
		return Document{}, false
	}
	d := c.document(windows, now)
	d.Windows, d.Left = windows, !windows.Open()
	if d.Left {
		// Who has left sees no more who is there, nor how far they have come.
		d.Members, d.Receipts = []Member{}, []Receipt{}
	}
	return d, true
}

func (c *Conversation) document(windows domain.Windows, now time.Time) Document {
	head := windows.Last(c.state.Head)
	h := c.headerAt(head)
	d := Document{
		Conversation: c.id, Kind: h.Kind, Title: h.Title, AvatarURL: h.AvatarURL, Announcement: h.Announcement, Join: h.Join,
		History: h.History, CreatedAt: format(h.CreatedAt), Dissolved: h.Dissolved != 0, HeadSeq: head,
		Members: []Member{}, Messages: []Message{}, Receipts: []Receipt{},
	}
	for _, user := range c.Members() {
		m := Member{User: user, Role: c.state.Role(user), JoinedAt: format(c.joined[user])}
		if until := c.state.Members[user].MutedUntil; until.After(now) {
			text := format(until)
			m.MutedUntil = &text
		}
		d.Members = append(d.Members, m)
	}
	for _, user := range slices.Sorted(maps.Keys(c.read)) {
		if cursors := c.state.Progress[user]; c.read[user] > 0 || cursors.Delivered > 0 {
			d.Receipts = append(d.Receipts, Receipt{User: user, DeliveredSeq: max(cursors.Delivered, c.read[user]), ReadSeq: c.read[user]})
		}
	}
	for _, m := range c.messages {
		if end, ok := within(windows, m.Seq); ok {
			d.Messages = append(d.Messages, m.document(end, now))
		}
	}
	return d
}

// within returns the end of the window that a sequence lies in, 0 where that is open.
func within(windows domain.Windows, seq domain.Seq) (end domain.Seq, ok bool) {
	for _, w := range windows {
		if w.Contains(seq) {
			return w.To, true
		}
	}
	return 0, false
}

// document returns the message as it read in a window with that end.
func (m *message) document(end domain.Seq, now time.Time) Message {
	d := Message{
		Seq: m.Seq, Event: m.id, Sender: m.Actor, At: format(m.At), Body: &m.sent.Body, ClientID: m.sent.ClientID,
		ReplyTo: m.sent.ReplyTo, Mentions: m.sent.Mentions, Recalled: format(m.recalled), Reactions: []Reaction{},
	}
	over := m.gone()
	if m.sent.ExpiresAt != nil {
		d.ExpiresAt = format(m.sent.ExpiresAt.Time)
		over = over || !m.sent.ExpiresAt.After(now)
	}
	for _, e := range m.edits {
		if end == 0 || e.seq <= end {
			d.Body, d.EditedAt = &e.body, format(e.at)
		}
	}
	if over {
		d.Body = nil
		return d
	}
	d.Reactions = m.reactionsUpTo(end)
	return d
}

func (m *message) reactionsUpTo(end domain.Seq) []Reaction {
	users := make(map[string][]domain.UserID)
	for _, r := range m.reactions {
		if end != 0 && r.seq > end {
			continue
		}
		users[r.emoji] = slices.DeleteFunc(users[r.emoji], func(u domain.UserID) bool { return u == r.user })
		if !r.removed {
			users[r.emoji] = append(users[r.emoji], r.user)
		}
	}
	list := []Reaction{}
	for emoji, by := range users {
		if len(by) > 0 {
			slices.Sort(by)
			list = append(list, Reaction{Emoji: emoji, Users: by})
		}
	}
	slices.SortFunc(list, func(a, b Reaction) int { return cmp.Compare(a.Emoji, b.Emoji) })
	return list
}

// format returns a time in the form of every time in answers; empty for the zero time.
func format(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(schema.TimeFormat)
}
