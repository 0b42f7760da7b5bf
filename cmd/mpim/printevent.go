package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"mpim/domain"
	"mpim/schema"
)

// eventLine is an event as `--json` prints it.
type eventLine struct {
	Position     string                `json:"position"`
	Partition    int                   `json:"partition"`
	PartitionSeq int64                 `json:"partition_seq"`
	Event        domain.EventID        `json:"event"`
	Type         domain.EventType      `json:"type"`
	Version      int                   `json:"version"`
	At           string                `json:"at"`
	Actor        domain.UserID         `json:"actor"`
	Aggregate    string                `json:"aggregate"`
	Conversation domain.ConversationID `json:"conversation,omitempty"`
	Seq          domain.Seq            `json:"seq,omitempty"`
	Trace        string                `json:"trace,omitempty"`
	Data         json.RawMessage       `json:"data"`
}

// newEventLine leaves out what is secret: password and token hashes are in the log only to be checked.
func newEventLine(r *schema.Record) (eventLine, error) {
	data, err := r.Public()
	if err != nil {
		return eventLine{}, err
	}
	return eventLine{
		Position: r.String(), Partition: r.Partition, PartitionSeq: r.Seq,
		Event: r.ID, Type: r.Type, Version: r.Version, At: r.At.Format(schema.TimeFormat), Actor: r.Actor,
		Aggregate: r.Aggregate.String(), Conversation: r.Conversation(), Seq: r.ConversationSeq, Trace: r.Trace, Data: data,
	}, nil
}

// eventPrinter prints events as JSON Lines, or as one line of text each.
type eventPrinter struct {
	w    io.Writer
	json bool
}

func (p eventPrinter) print(r *schema.Record) error {
	line, err := newEventLine(r)
	if err != nil {
		return err
	}
	if p.json {
		return json.NewEncoder(p.w).Encode(line)
	}
	where := ""
	if line.Seq > 0 {
		where = fmt.Sprintf(" %s #%d", line.Conversation, line.Seq)
	}
	_, err = fmt.Fprintf(p.w, "%-8s %s %-22s %s%s %s\n", line.Position, r.At.Format(time.DateTime+".000"), line.Type, line.Actor, where, line.Data)
	return err
}
