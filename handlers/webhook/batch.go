package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"mpim/projections/webhooks"
	"mpim/schema"
)

// batch is what is sent at once: all events that were asked for from a checkpoint up to an event.
type batch struct {
	events []event
	// to is the last sequence that was read.
	to int64
	// broken is an event that cannot be shown, and why; there are no others then.
	broken *schema.Record
	why    error
}

// event is one event as it is sent.
type event struct {
	record *schema.Record
	shown  json.RawMessage
}

// scanned is how many events are read at most for one batch, so that progress is kept now and then.
const scanned = 5000

// gather reads the next events, and passes over those that were not asked for.
func (d *deliverer) gather(ctx context.Context) (batch, error) {
	b := batch{to: d.passed.Load()}
	bytes, read := 0, 0
	for record, err := range d.config.Reader.Partition(ctx, d.partition, schema.Checkpoint{Seq: b.to}) {
		if err != nil {
			if len(b.events) > 0 {
				break // what stands before it can be delivered
			}
			return b, fmt.Errorf("read the log: %w", err)
		}
		read++
		if record.Type != "" && !d.webhook.Wants(record.Type) {
			b.to = record.Seq
			if read >= scanned {
				break
			}
			continue
		}
		shown, err := d.show(record)
		if err != nil {
			if len(b.events) == 0 {
				b.broken, b.why, b.to = record, err, record.Seq
			}
			break
		}
		if bytes += len(shown); len(b.events) > 0 && bytes > d.config.BatchBytes {
			break
		}
		b.events = append(b.events, event{record, shown})
		b.to = record.Seq
		if len(b.events) >= d.most {
			break
		}
	}
	return b, nil
}

func (d *deliverer) show(r *schema.Record) (json.RawMessage, error) {
	line, err := d.config.Line(r)
	if err != nil {
		return nil, err
	}
	return json.Marshal(line)
}

// id is that of the request: the same whenever the same events are sent, but after a rewind.
func (b batch) id(webhook string, at webhooks.Checkpoint) string {
	first, last := b.events[0].record, b.events[len(b.events)-1].record
	return webhook + "." + strconv.Itoa(at.Rewinds) + "." + first.String() + "-" + strconv.FormatInt(last.Seq, 10)
}

// payload is the body of a request.
type payload struct {
	Type      string `json:"type"`
	Timestamp string `json:"timestamp"`
	Data      any    `json:"data"`
}

// delivery is the data of a request with events.
type delivery struct {
	Webhook   string            `json:"webhook"`
	Partition int               `json:"partition"`
	Events    []json.RawMessage `json:"events"`
}

// body returns what is sent. Its time is that of the last event, so that the same events make the same body.
func (b batch) body(webhook string, partition int) []byte {
	content := delivery{Webhook: webhook, Partition: partition, Events: make([]json.RawMessage, len(b.events))}
	for i, e := range b.events {
		content.Events[i] = e.shown
	}
	return encode(payload{Type: "events", Timestamp: b.events[len(b.events)-1].record.At.Format(schema.TimeFormat), Data: content})
}

// encode cannot fail: all that goes in is strings, numbers and JSON.
func encode(p payload) []byte {
	body, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	return body
}
