package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"mpim/schema"
)

// eventPrinter prints events as JSON Lines, or as one line of text each.
type eventPrinter struct {
	w    io.Writer
	json bool
}

// brokenLine is an event that cannot be decoded: what could be read of it, and why the rest could not.
type brokenLine struct {
	schema.Line
	Broken string `json:"broken"`
}

func (p eventPrinter) printBroken(r *schema.Record) error {
	line := brokenLine{
		Line: schema.Line{
			Position: r.String(), Partition: r.Partition, PartitionSeq: r.Seq, Event: r.ID, Type: r.Type, Version: r.Version,
			At: r.At.Format(schema.TimeFormat), Actor: r.Actor, Data: json.RawMessage("{}"),
		},
		Broken: r.Broken.Error(),
	}
	if p.json {
		return json.NewEncoder(p.w).Encode(line)
	}
	_, err := fmt.Fprintf(p.w, "%-8s %s %-22s broken: %s\n", line.Position, r.At.Format(time.DateTime+".000"), line.Type, line.Broken)
	return err
}

func (p eventPrinter) print(r *schema.Record) error {
	if r.Broken != nil {
		return p.printBroken(r)
	}
	line, err := schema.NewShownLine(r)
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
