package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"mpim/domain"
	"mpim/schema"
)

// change is a record with its data decoded.
type change struct {
	*schema.Record

	conversation string
	seq          int64
	// sent and edited stand for the two types whose body is kept as the exact bytes; fact for all others.
	sent   *sentData
	edited *editedData
	fact   domain.Fact
	// erases is whose messages lose their bodies; empty for an event of another kind.
	erases string
}

// sentData is domain.MessageSent with the body left raw.
type sentData struct {
	ClientID  string          `json:"client_id"`
	Body      json.RawMessage `json:"body"`
	ReplyTo   int64           `json:"reply_to"`
	Mentions  json.RawMessage `json:"mentions"`
	ExpiresAt *time.Time      `json:"expires_at"`

	kind string
}

// editedData is domain.MessageEdited with the body left raw.
type editedData struct {
	Message int64           `json:"message"`
	Body    json.RawMessage `json:"body"`

	kind string
}

// decode decodes the records.
func decode(records []*schema.Record) ([]change, error) {
	changes := make([]change, 0, len(records))
	for _, record := range records {
		c := change{
			Record: record, conversation: string(record.Conversation()), seq: int64(record.ConversationSeq),
		}
		if record.Type == domain.TypeAccountErased {
			// That of the account itself says nothing about messages.
			if c.conversation != "" {
				c.erases = string(record.Actor)
				changes = append(changes, c)
			}
			continue
		}
		if c.conversation == "" || c.seq < 1 {
			return nil, fmt.Errorf("event %s at %s: %s outside of a conversation", record.ID, record.Position, record.Type)
		}
		if err := c.decode(); err != nil {
			return nil, err
		}
		changes = append(changes, c)
	}
	return changes, nil
}

func (c *change) decode() (err error) {
	switch c.Type {
	case domain.TypeMessageSent:
		c.sent = new(sentData)
		if err = c.decodeInto(c.sent, c.sent.cut); err == nil {
			c.sent.kind, err = c.kindOf(&c.sent.Body)
		}
	case domain.TypeMessageEdited:
		c.edited = new(editedData)
		if err = c.decodeInto(c.edited, nil); err == nil {
			c.edited.kind, err = c.kindOf(&c.edited.Body)
		}
	default:
		c.fact, err = c.Fact()
	}
	if err != nil {
		return fmt.Errorf("event %s at %s, %s: %w", c.ID, c.Position, c.Type, err)
	}
	return nil
}

// decodeInto decodes the data into v, which cut may have done by itself.
func (c *change) decodeInto(v any, cut func([]byte) bool) error {
	data, err := c.NewestData()
	if err != nil || cut != nil && cut(data) {
		return err
	}
	return json.Unmarshal(data, v)
}

var (
	sentClientID = []byte(`{"client_id":"`)
	sentBody     = []byte(`","body":`)
)

// cut takes the data of a message apart that has a client id and a body and nothing else, as most do, in a third of the
// time of decoding it. It is false, and has changed nothing, for any other form.
func (s *sentData) cut(data []byte) bool {
	rest, ok := bytes.CutPrefix(data, sentClientID)
	if !ok {
		return false
	}
	end := bytes.IndexFunc(rest, func(r rune) bool { return r < ' ' || r == '"' || r == '\\' || r >= utf8.RuneSelf })
	if end < 0 {
		return false
	}
	id := rest[:end]
	body, ok := bytes.CutPrefix(rest[end:], sentBody)
	if !ok || len(body) == 0 {
		return false
	}
	// With further members the body would not be one value.
	body = body[:len(body)-1]
	if data[len(data)-1] != '}' || !json.Valid(body) {
		return false
	}
	s.ClientID, s.Body = string(id), body
	return true
}

// erasedKind is the kind of a message whose body is gone with its sender's key.
const erasedKind = "erased"

// kindOf returns the kind of a body, and takes one that is erased away.
func (c *change) kindOf(body *json.RawMessage) (string, error) {
	if c.Erased {
		*body = nil
		return erasedKind, nil
	}
	return kindOf(*body)
}

var bodyType = []byte(`{"type":"`)

// kindOf returns the type of a body, which is its first member as this project writes it.
func kindOf(body json.RawMessage) (string, error) {
	if rest, ok := bytes.CutPrefix(body, bodyType); ok {
		if end := bytes.IndexAny(rest, `"\`); end > 0 && rest[end] == '"' {
			if string(rest[:end]) == domain.TextBody {
				return domain.TextBody, nil // without a copy
			}
			return string(rest[:end]), nil
		}
	}
	var b struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(body, &b); err != nil || b.Type == "" {
		return "", errors.New("the body has no type")
	}
	return b.Type, nil
}
