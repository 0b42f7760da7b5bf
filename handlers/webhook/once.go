package webhook

import (
	"context"
	"encoding/json"
	"time"

	"mpim/projections/webhooks"
	"mpim/schema"
)

// Test sends a request without events, and returns how long the receiver took. The error is that of Sender.Send.
func Test(ctx context.Context, p Poster, w webhooks.Webhook) (time.Duration, error) {
	began := time.Now()
	content := delivery{Webhook: w.ID, Events: []json.RawMessage{}}
	err := p.Send(ctx, Request{
		URL: w.URL, Secret: w.Secret, ID: w.ID + ".test." + began.UTC().Format(time.RFC3339Nano),
		Body: encode(payload{Type: "test", Timestamp: began.UTC().Format(schema.TimeFormat), Data: content}),
	})
	return time.Since(began), err
}

// Redeliver sends one event again, out of order, as `mpim deadletter retry` does.
func Redeliver(ctx context.Context, p Poster, w webhooks.Webhook, r *schema.Record, line schema.Line) error {
	shown, err := json.Marshal(line)
	if err != nil {
		return err
	}
	b := batch{events: []event{{r, shown}}}
	return p.Send(ctx, Request{
		URL: w.URL, Secret: w.Secret, ID: w.ID + ".retry." + r.String(), Body: b.body(w.ID, r.Partition),
	})
}
