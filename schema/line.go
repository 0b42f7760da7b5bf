package schema

import (
	"encoding/json"

	"mpim/domain"
)

// Line is an event as people and programs outside see it: one JSON object, the same on command lines and in webhooks.
type Line struct {
	Position     string                `json:"position"`
	Partition    int                   `json:"partition"`
	PartitionSeq int64                 `json:"partition_seq"`
	Event        domain.EventID        `json:"event"`
	Type         domain.EventType      `json:"type"`
	Version      int                   `json:"version"`
	At           string                `json:"at"`
	Actor        domain.UserID         `json:"actor"`
	Aggregate    string                `json:"aggregate,omitempty"`
	Conversation domain.ConversationID `json:"conversation,omitempty"`
	Seq          domain.Seq            `json:"seq,omitempty"`
	Trace        string                `json:"trace,omitempty"`
	Data         json.RawMessage       `json:"data"`
}

// NewLine leaves out what is secret: password and token hashes are in the log only to be checked. An error is that of
// [Record.Public], or says why the record is broken.
func NewLine(r *Record) (Line, error) {
	if r.Broken != nil {
		return Line{}, r.Broken
	}
	data, err := r.Public()
	return newLine(r, data), err
}

// NewShownLine is NewLine for people: what is sealed, and could not be opened, is shown sealed.
func NewShownLine(r *Record) (Line, error) {
	if _, sealed := r.Sealed(); sealed {
		data, err := withoutSecrets(r.Type, r.Data)
		return newLine(r, data), err
	}
	return NewLine(r)
}

// NewStoredLine is NewLine with the data in the version in which it is stored, and what is sealed as it is: it follows from the
// entry's bytes alone.
func NewStoredLine(r *Record) (Line, error) {
	if r.Broken != nil {
		return Line{}, r.Broken
	}
	data, err := withoutSecrets(r.Type, r.Data)
	return newLine(r, data), err
}

func newLine(r *Record, data json.RawMessage) Line {
	line := Line{
		Position: r.String(), Partition: r.Partition, PartitionSeq: r.Seq,
		Event: r.ID, Type: r.Type, Version: r.Version, At: r.At.Format(TimeFormat), Actor: r.Actor,
		Conversation: r.Conversation(), Seq: r.ConversationSeq, Trace: r.Trace, Data: data,
	}
	if r.Aggregate != (domain.Aggregate{}) {
		line.Aggregate = r.Aggregate.String()
	}
	return line
}
