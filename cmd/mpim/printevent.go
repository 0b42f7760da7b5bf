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

func (p eventPrinter) print(r *schema.Record) error {
	line, err := schema.NewLine(r)
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
