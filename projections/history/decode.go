package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

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

// decode decodes the records that matter.
func decode(records []*schema.Record, handles func(domain.EventType) bool) ([]change, error) {
	changes := make([]change, 0, len(records))
	for _, record := range records {
		if !handles(record.Type) {
			continue
		}
		c := change{
			Record: record, conversation: string(record.Conversation()), seq: int64(record.ConversationSeq),
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
		if err = c.decodeInto(c.sent); err == nil {
			c.sent.kind, err = kindOf(c.sent.Body)
		}
	case domain.TypeMessageEdited:
		c.edited = new(editedData)
		if err = c.decodeInto(c.edited); err == nil {
			c.edited.kind, err = kindOf(c.edited.Body)
		}
	default:
		c.fact, err = c.Fact()
	}
	if err != nil {
		return fmt.Errorf("event %s at %s, %s: %w", c.ID, c.Position, c.Type, err)
	}
	return nil
}

func (c *change) decodeInto(v any) error {
	data, err := c.NewestData()
	if err != nil {
		return err
	}
	return json.Unmarshal(data, v)
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
