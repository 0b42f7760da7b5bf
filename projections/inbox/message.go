package inbox

import (
	"encoding/json"
	"fmt"
	"time"

	"mpim/domain"
)

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
	// Reactions are in the order in which each emoji came first.
	Reactions []Reaction

	// body and gone are what a fold makes of Body.
	body *domain.Body
	gone bool
}

// Gone says that the message was recalled or has expired.
func (m *Message) Gone() bool { return m.gone || m.body == nil && m.Body == nil }

// expire takes the body once its time is up. The timer that ends a message may be late; its reader is not.
func (m *Message) expire(now time.Time) {
	if !m.ExpiresAt.IsZero() && !m.ExpiresAt.After(now) {
		m.Body = nil
	}
}

func newMessage(e event, fact *domain.MessageSent) *Message {
	m := &Message{
		Seq: e.ConversationSeq, Event: e.ID, Sender: e.Actor, At: e.At, ClientID: fact.ClientID,
		ReplyTo: fact.ReplyTo, Mentions: fact.Mentions, ChangedSeq: e.ConversationSeq, body: &fact.Body,
	}
	if e.Erased {
		m.erase()
	}
	if fact.ExpiresAt != nil {
		m.ExpiresAt = fact.ExpiresAt.Time
	}
	return m
}

// erase leaves of a message what is left where its sender's key was destroyed before it was folded: not what became of it since,
// either, because nothing is done to a message that is gone.
func (m *Message) erase() {
	m.gone, m.body, m.Body = true, nil, nil
	m.EditedAt, m.RecalledAt, m.ChangedSeq = time.Time{}, time.Time{}, m.Seq
}

// messageForm is the stored form, which can never change but by new members. Times are Unix times in milliseconds.
type messageForm struct {
	Seq        domain.Seq      `json:"seq"`
	Event      domain.EventID  `json:"event"`
	Sender     domain.UserID   `json:"sender"`
	At         int64           `json:"at"`
	ClientID   string          `json:"client_id,omitempty"`
	Body       json.RawMessage `json:"body,omitempty"`
	ReplyTo    domain.Seq      `json:"reply_to,omitempty"`
	Mentions   []string        `json:"mentions,omitempty"`
	ExpiresAt  int64           `json:"expires_at,omitempty"`
	EditedAt   int64           `json:"edited_at,omitempty"`
	RecalledAt int64           `json:"recalled_at,omitempty"`
	ChangedSeq domain.Seq      `json:"changed_seq,omitempty"`
}

func (m *Message) encode() (string, error) {
	form := messageForm{
		Seq: m.Seq, Event: m.Event, Sender: m.Sender, At: m.At.UnixMilli(), ClientID: m.ClientID,
		ReplyTo: m.ReplyTo, Mentions: m.Mentions,
		ExpiresAt: toMilli(m.ExpiresAt), EditedAt: toMilli(m.EditedAt), RecalledAt: toMilli(m.RecalledAt),
	}
	if m.ChangedSeq != m.Seq {
		form.ChangedSeq = m.ChangedSeq
	}
	switch {
	case m.gone:
	case m.body != nil:
		var err error
		if form.Body, err = json.Marshal(m.body); err != nil {
			return "", fmt.Errorf("encode body of message %s: %w", m.Event, err)
		}
	default:
		form.Body = m.Body
	}
	text, err := json.Marshal(form)
	if err != nil {
		return "", fmt.Errorf("encode message %s: %w", m.Event, err)
	}
	return string(text), nil
}

func parseMessage(text string) (*Message, error) {
	var form messageForm
	if err := json.Unmarshal([]byte(text), &form); err != nil {
		return nil, fmt.Errorf("the last message is damaged: %w", err)
	}
	return &Message{
		Seq: form.Seq, Event: form.Event, Sender: form.Sender, At: time.UnixMilli(form.At).UTC(), ClientID: form.ClientID,
		Body: form.Body, ReplyTo: form.ReplyTo, Mentions: form.Mentions,
		ExpiresAt: fromMilli(form.ExpiresAt), EditedAt: fromMilli(form.EditedAt), RecalledAt: fromMilli(form.RecalledAt),
		ChangedSeq: max(form.ChangedSeq, form.Seq),
	}, nil
}

func toMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMilli(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
