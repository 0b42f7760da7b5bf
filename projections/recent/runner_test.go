package recent_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"

	"mpim/projections"
	"mpim/schema"
)

// TestPoisonParksOneConversation runs the projection as workers do.
func TestPoisonParksOneConversation(t *testing.T) {
	t.Parallel()
	onBoth(t, func(w *world) {
		runner, err := projections.NewRunner(w.p, projections.Config{})
		if err != nil {
			w.Fatal(err)
		}
		for range 5 {
			w.append(group, sent("x"))
			w.append(pair, sent("y"))
		}
		w.log.Records[4].Data = json.RawMessage(`{"client_id":`) // the third of the group
		for _, batch := range []*schema.Batch{w.log.Batch(1, 1, 7), w.log.Batch(1, 8, 10)} {
			msg := message.NewMessage("1", nil)
			msg.SetContext(schema.WithBatch(w.Context(), batch))
			for range 2 { // delivered twice
				if err := runner.Handle(msg); err != nil {
					w.Fatal(err)
				}
			}
		}
		if found := w.since(group, 0, 10); len(found.Events) != 2 {
			w.Errorf("the conversation has %d events", len(found.Events))
		}
		if found := w.since(pair, 0, 10); len(found.Events) != 5 {
			w.Errorf("the other one has %d events", len(found.Events))
		}
		keys, err := w.p.Parked(w.Context(), 3)
		if err != nil || !slices.Equal(keys, []projections.Key{projections.KeyOf(w.log.Records[4])}) {
			w.Errorf("parked are %v, %v", keys, err)
		}
		status, err := w.p.Status(w.Context())
		if err != nil || status.Parked != 3 || status.Partitions[0].Checkpoint.Seq != 10 {
			w.Errorf("got %+v, %v", status, err)
		}
	})
}
