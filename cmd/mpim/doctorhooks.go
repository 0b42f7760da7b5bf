package main

import (
	"context"
	"fmt"
	"time"

	"mpim/handlers/webhook"
	"mpim/projections/deadletters"
	"mpim/schema"
)

// failingBound is how long a receiver may fail before the doctor speaks of it.
const failingBound = time.Minute

// examineWebhooks says which webhooks fail. Where there are none it says nothing.
func (d *doctor) examineWebhooks(s *stores, worked bool) {
	ctx, cancel := context.WithTimeout(d.ctx, checkTime)
	defer cancel()
	states, err := s.webhookStates(ctx)
	if err != nil {
		d.add("webhooks", "", "see the error", err)
		return
	}
	if len(states) == 0 {
		return
	}
	if worked {
		d.add("webhooks", fmt.Sprintf("%d, and every partition has a worker", len(states)), "start a worker that runs them", s.held(ctx, webhook.Consumer))
	}
	for _, w := range states {
		var err error
		if since := w.failing.Since; !since.IsZero() && time.Since(since) > failingBound {
			err = fmt.Errorf("webhook %s has not taken its next events since %s: %s", w.ID, since.Format(schema.TimeFormat), w.failing.Reason)
		}
		d.add("webhook", fmt.Sprintf("%s: %d delivered, %d events behind", w.ID, w.delivered, w.behind),
			"look at the receiver at "+w.URL+"; `mpim webhook test "+w.ID+"` asks it", err)
	}
}

// examineDeadLetters says that side effects did not happen.
func (d *doctor) examineDeadLetters(s *stores) {
	ctx, cancel := context.WithTimeout(d.ctx, checkTime)
	defer cancel()
	counts, err := deadletters.Store{DB: s.db}.Counts(ctx)
	total := 0
	for _, n := range counts {
		total += n
	}
	if err == nil && total > 0 {
		err = fmt.Errorf("%d events were given up", total)
	}
	d.add("letters", "no side effect was given up", "`mpim deadletter list` says which and why; then retry or discard them", err)
}
