package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"mpim/domain"
)

// Fields of a log entry, in the order in which they are stored.
const (
	UUIDField     = "_watermill_message_uuid"
	MetadataField = "metadata"
	PayloadField  = "payload"
)

// TimeFormat is RFC 3339 in UTC with milliseconds, the form of every time in payloads and answers.
const TimeFormat = "2006-01-02T15:04:05.000Z"

// Record is one event as the log holds it. Everything but the data is decoded; see Fact for that.
type Record struct {
	domain.Position
	// StreamID is the entry's address in the stream; empty where the record comes from an archive.
	StreamID  string
	ID        domain.EventID
	Type      domain.EventType
	Version   int
	At        time.Time
	Actor     domain.UserID
	Aggregate domain.Aggregate
	// ConversationSeq is dense in the conversation; 0 for types that take none.
	ConversationSeq domain.Seq
	// Ordinal is how many messages the conversation had with this event; 0 where ConversationSeq is.
	Ordinal int64
	Trace   string
	// Data is the event's data in the version it was stored in: as stored, or with its personal members opened.
	Data json.RawMessage
	// Erased says that the owner of the personal members is erased: they are null in Data.
	Erased bool
	// Metadata and Payload are the exact bytes of the entry.
	Metadata []byte
	Payload  []byte
	// Broken says why the entry could not be decoded; nil for a sound one. What could be read before is set, the partition
	// sequence at the least. Consumers set such a record aside, they never drop it.
	Broken error
}

// Conversation returns the conversation the event belongs to, or "".
func (r *Record) Conversation() domain.ConversationID { return r.Aggregate.Conversation() }

// Clone returns the record in memory of its own. Records that were read together share theirs, so that one holds all.
func (r *Record) Clone() *Record {
	c := *r
	c.StreamID, c.ID, c.Trace = strings.Clone(r.StreamID), domain.EventID(strings.Clone(string(r.ID))), strings.Clone(r.Trace)
	c.Actor, c.Aggregate.ID = domain.UserID(strings.Clone(string(r.Actor))), strings.Clone(r.Aggregate.ID)
	c.Data, c.Metadata, c.Payload = bytes.Clone(r.Data), bytes.Clone(r.Metadata), bytes.Clone(r.Payload)
	return &c
}

// Fact decodes the data, raised to the newest version of its type. Data that is sealed is an error, not an empty text.
func (r *Record) Fact() (domain.Fact, error) {
	if err := r.unsealed(); err != nil {
		return nil, err
	}
	fact, err := decodeFact(r.Type, r.Version, r.Data)
	if err != nil {
		return nil, fmt.Errorf("event %s at %s: %w", r.ID, r.Position, err)
	}
	return fact, nil
}

// NewestData returns the data raised to the newest version of its type, for who decodes it in another form than a Fact.
// Data that is sealed is an error.
func (r *Record) NewestData() (json.RawMessage, error) {
	if err := r.unsealed(); err != nil {
		return nil, err
	}
	data, err := raise(r.Type, r.Version, r.Data)
	if err != nil {
		return nil, fmt.Errorf("event %s at %s: %w", r.ID, r.Position, err)
	}
	return data, nil
}

// Event returns the record as the domain sees it.
func (r *Record) Event() (domain.Event, error) {
	fact, err := r.Fact()
	return domain.Event{At: r.At, Actor: r.Actor, Seq: r.ConversationSeq, Data: fact}, err
}

// DecodeRecord reads an entry of the given partition. Metadata and payload are kept, not copied.
func DecodeRecord(partition int, streamID, uuid string, metadata, payload []byte) (Record, error) {
	r := Record{StreamID: streamID, ID: domain.EventID(uuid), Metadata: metadata, Payload: payload}
	r.Partition = partition
	if err := r.decodeMetadata(); err != nil {
		return r, fmt.Errorf("entry %s of partition %d: %w", streamID, partition, err)
	}
	if err := r.decodePayload(); err != nil {
		return r, fmt.Errorf("entry %s of partition %d: payload: %w", streamID, partition, err)
	}
	return r, nil
}

// envelope is the payload of an entry.
type envelope struct {
	At    string          `json:"at"`
	Actor domain.UserID   `json:"actor"`
	Data  json.RawMessage `json:"data"`
}

var (
	payloadAt    = []byte(`{"at":"`)
	payloadActor = []byte(`","actor":"`)
	payloadData  = []byte(`","data":`)
)

// decodePayload takes the payload apart without parsing it where it has the exact form that appendPayload writes, and
// parses it as JSON otherwise.
func (r *Record) decodePayload() error {
	e, ok := splitPayload(r.Payload)
	if !ok {
		if err := json.Unmarshal(r.Payload, &e); err != nil {
			return err
		}
	}
	at, err := time.Parse(time.RFC3339Nano, e.At)
	if err != nil {
		return err
	}
	r.At, r.Actor, r.Data = at.UTC(), e.Actor, e.Data
	return nil
}

func splitPayload(payload []byte) (envelope, bool) {
	rest, ok := bytes.CutPrefix(payload, payloadAt)
	if !ok || len(rest) < len(TimeFormat) {
		return envelope{}, false
	}
	at := rest[:len(TimeFormat)]
	rest, ok = bytes.CutPrefix(rest[len(TimeFormat):], payloadActor)
	if !ok {
		return envelope{}, false
	}
	actor, data, ok := bytes.Cut(rest, payloadData)
	if !ok || len(data) < 3 || data[len(data)-1] != '}' || !plain(actor) {
		return envelope{}, false
	}
	return envelope{At: string(at), Actor: domain.UserID(actor), Data: json.RawMessage(data[:len(data)-1])}, true
}

// plain says whether text in quotes means itself in JSON.
func plain(text []byte) bool {
	for _, c := range text {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

func appendPayload(b []byte, at time.Time, actor domain.UserID, data []byte) []byte {
	b = append(b, payloadAt...)
	b = at.UTC().AppendFormat(b, TimeFormat)
	b = append(b, payloadActor...)
	b = append(b, actor...)
	b = append(b, payloadData...)
	b = append(b, data...)
	return append(b, '}')
}
