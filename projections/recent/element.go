package recent

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"mpim/domain"
	"mpim/projections"
	"mpim/schema"
)

// Event is one event of a conversation.
type Event struct {
	Conversation domain.ConversationID
	Seq          domain.Seq
	// Ordinal is how many messages the conversation had with this event.
	Ordinal int64
	// Gone says that the event is a message, or an edit of one, that was recalled, has expired or was erased: its body is null.
	Gone bool

	// tail is the client protocol's event object behind the sequence.
	tail string
}

// Header is an event object of the client protocol with its data left raw.
type Header struct {
	Event domain.EventID   `json:"event"`
	Type  domain.EventType `json:"type"`
	At    time.Time        `json:"at"`
	Actor domain.UserID    `json:"actor"`
	Data  json.RawMessage  `json:"data"`
}

// JSON returns the event object of the client protocol, as it was encoded when it was stored.
func (e Event) JSON() json.RawMessage {
	b := make([]byte, 0, len(e.tail)+96)
	b = append(b, `{"conversation":"`...)
	b = append(b, e.Conversation...)
	b = append(b, `","seq":`...)
	b = strconv.AppendInt(b, int64(e.Seq), 10)
	b = append(b, ',')
	return append(b, e.tail...)
}

// Header returns what the event object says, with its data left raw.
func (e Event) Header() (h Header, err error) {
	if err := json.Unmarshal([]byte("{"+e.tail), &h); err != nil {
		return h, fmt.Errorf("recent event %d of %s is damaged: %w", e.Seq, e.Conversation, err)
	}
	return h, nil
}

// newEvent returns the event that a record is, as clients see it.
func newEvent(r *schema.Record) (Event, error) {
	if _, known := schema.Lookup(r.Type); !known {
		return Event{}, projections.Outside(
			fmt.Errorf("event %s at %s is of type %q, which this mpim does not know: run a newer worker", r.ID, r.Position, r.Type))
	}
	data, err := r.Public()
	if err != nil {
		return Event{}, err
	}
	// It goes to clients as it is, so it must be what it claims to be.
	if !json.Valid(data) {
		return Event{}, fmt.Errorf("event %s at %s: data is no JSON", r.ID, r.Position)
	}
	b := make([]byte, 0, len(data)+160)
	b = append(b, `"event":"`...)
	b = append(b, r.ID...)
	b = append(b, `","type":"`...)
	b = append(b, r.Type...)
	b = append(b, `","at":"`...)
	b = r.At.AppendFormat(b, schema.TimeFormat)
	b = append(b, `","actor":"`...)
	b = append(b, r.Actor...)
	b = append(b, `","data":`...)
	b = append(b, data...)
	b = append(b, '}')
	e := Event{Conversation: r.Conversation(), Seq: r.ConversationSeq, Ordinal: r.Ordinal, tail: string(b)}
	if r.Erased {
		return e.withoutBody()
	}
	return e, nil
}

// element returns the stored form: sequence, ordinal, whether the body is gone, the rest of the event object. The
// conversation's id and the names that JSON repeats for it are what the key says already.
func (e Event) element() string {
	gone := " 0 "
	if e.Gone {
		gone = " 1 "
	}
	return strconv.FormatInt(int64(e.Seq), 10) + " " + strconv.FormatInt(e.Ordinal, 10) + gone + e.tail
}

func parseElement(id domain.ConversationID, s string) (Event, error) {
	seq, rest, _ := strings.Cut(s, " ")
	ordinal, rest, _ := strings.Cut(rest, " ")
	gone, tail, found := strings.Cut(rest, " ")
	n, errSeq := strconv.ParseInt(seq, 10, 64)
	o, errOrdinal := strconv.ParseInt(ordinal, 10, 64)
	if !found || errSeq != nil || errOrdinal != nil {
		return Event{}, fmt.Errorf("a recent event of %s is damaged", id)
	}
	return Event{Conversation: id, Seq: domain.Seq(n), Ordinal: o, Gone: gone == "1", tail: tail}, nil
}

// is says whether the event is of a type, without decoding it.
func (e Event) is(t domain.EventType) bool {
	head, _, _ := strings.Cut(e.tail, `,"at":`)
	return strings.HasSuffix(head, `"type":"`+string(t)+`"`)
}

// edited returns the message that the event edits; 0 where it edits none.
func (e Event) edited() domain.Seq {
	if !e.is(domain.TypeMessageEdited) {
		return 0
	}
	h, err := e.Header()
	var data struct {
		Message domain.Seq `json:"message"`
	}
	if err != nil || json.Unmarshal(h.Data, &data) != nil {
		return 0
	}
	return data.Message
}

// withoutBody returns the event as it is once the message is gone: with a body that is null.
func (e Event) withoutBody() (Event, error) {
	if e.Gone {
		return e, nil
	}
	at := strings.Index(e.tail, `,"data":`)
	if at < 0 {
		return e, fmt.Errorf("recent event %d of %s is damaged", e.Seq, e.Conversation)
	}
	at += len(`,"data":`)
	var data map[string]json.RawMessage
	if err := json.Unmarshal([]byte(e.tail[at:len(e.tail)-1]), &data); err != nil {
		return e, fmt.Errorf("recent event %d of %s is damaged: %w", e.Seq, e.Conversation, err)
	}
	data["body"] = json.RawMessage("null")
	text, err := json.Marshal(data)
	if err != nil {
		return e, err
	}
	e.tail, e.Gone = e.tail[:at]+string(text)+"}", true
	return e, nil
}
