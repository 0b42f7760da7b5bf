package asof

import (
	"slices"
	"time"

	"mpim/domain"
	"mpim/domain/conversation"
	"mpim/schema"
)

// Conversation is one conversation up to the last record that was applied.
type Conversation struct {
	id    domain.ConversationID
	state conversation.State
	// joined is when each member's last window opened, read how far each has read by sending or reading.
	joined map[domain.UserID]time.Time
	read   map[domain.UserID]domain.Seq
	// headers are what the conversation was called, each from a sequence on.
	headers  []header
	messages []*message
	bySeq    map[domain.Seq]*message
}

// header is what stands once, from a sequence on.
type header struct {
	from domain.Seq
	conversation.Header
}

// message is one message with all that became of it, oldest first.
type message struct {
	domain.Event
	id        domain.EventID
	sent      *domain.MessageSent
	edits     []edit
	reactions []reaction
	recalled  time.Time
	expired   bool
}

type edit struct {
	seq  domain.Seq
	at   time.Time
	body domain.Body
}

type reaction struct {
	seq     domain.Seq
	user    domain.UserID
	emoji   string
	removed bool
}

// NewConversation returns the conversation before its first event.
func NewConversation(id domain.ConversationID) *Conversation {
	return &Conversation{
		id: id, joined: make(map[domain.UserID]time.Time), read: make(map[domain.UserID]domain.Seq), bySeq: make(map[domain.Seq]*message),
	}
}

// Apply folds the next record of the conversation; records of others are passed over. The error says what cannot be decoded.
func (c *Conversation) Apply(r *schema.Record) error {
	if r.Conversation() != c.id {
		return nil
	}
	event, err := r.Event()
	if err != nil {
		return err
	}
	members := c.openMembers(event)
	c.state = conversation.Evolve(c.state, event)
	for _, user := range members {
		if _, known := c.joined[user]; !known {
			c.joined[user] = event.At
		}
	}
	switch fact := event.Data.(type) {
	case *domain.ConversationCreated, *domain.ConversationUpdated, *domain.ConversationDissolved:
		c.headers = append(c.headers, header{from: event.Seq, Header: c.state.Header})
	case *domain.MemberLeft:
		delete(c.joined, fact.User)
	case *domain.MemberRemoved:
		delete(c.joined, fact.User)
	case *domain.ReceiptMoved:
		c.read[event.Actor] = max(c.read[event.Actor], fact.ReadSeq)
	case *domain.MessageSent:
		m := &message{Event: event, id: r.ID, sent: fact}
		c.messages, c.bySeq[event.Seq] = append(c.messages, m), m
		c.read[event.Actor] = max(c.read[event.Actor], event.Seq)
	default:
		c.change(event)
	}
	return nil
}

// openMembers returns whom an event lets in.
func (c *Conversation) openMembers(e domain.Event) []domain.UserID {
	switch fact := e.Data.(type) {
	case *domain.ConversationCreated:
		users := make([]domain.UserID, len(fact.Members))
		for i, m := range fact.Members {
			users[i] = m.User
		}
		return users
	case *domain.MemberAdded:
		return []domain.UserID{fact.User}
	case *domain.MemberJoined:
		return []domain.UserID{fact.User}
	default:
		return nil
	}
}

// change notes what became of a message. A recall is final, and what follows it says nothing.
func (c *Conversation) change(e domain.Event) {
	switch fact := e.Data.(type) {
	case *domain.MessageEdited:
		if m := c.bySeq[fact.Message]; m != nil && !m.gone() {
			m.edits = append(m.edits, edit{seq: e.Seq, at: e.At, body: fact.Body})
		}
	case *domain.MessageRecalled:
		if m := c.bySeq[fact.Message]; m != nil && !m.gone() {
			m.recalled = e.At
		}
	case *domain.MessageExpired:
		if m := c.bySeq[fact.Message]; m != nil && !m.gone() {
			m.expired = true
		}
	case *domain.MessageReacted:
		if m := c.bySeq[fact.Message]; m != nil && !m.gone() {
			m.reactions = append(m.reactions, reaction{seq: e.Seq, user: e.Actor, emoji: fact.Emoji, removed: fact.Removed})
		}
	default:
	}
}

func (m *message) gone() bool { return !m.recalled.IsZero() || m.expired }

// Exists says whether the conversation had begun.
func (c *Conversation) Exists() bool { return c.state.Exists() }

// Members returns the users who were members, sorted.
func (c *Conversation) Members() []domain.UserID {
	var users []domain.UserID
	for user := range c.state.Members {
		if c.state.Windows(user).Open() {
			users = append(users, user)
		}
	}
	users = append(users, c.state.Users...)
	slices.Sort(users)
	return users
}

// headerAt returns what stood once at a sequence.
func (c *Conversation) headerAt(seq domain.Seq) conversation.Header {
	var found conversation.Header
	for _, h := range c.headers {
		if h.from <= seq {
			found = h.Header
		}
	}
	return found
}
