package repair_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"mpim/domain"
	"mpim/schema"
	"mpim/streams"
	"mpim/streams/repair"
)

// restart restarts the server, which loses nothing, and has a process notice.
func (w *world) restart(t *testing.T) {
	t.Helper()
	if err := errors.Join(w.Kill(), w.Restart()); err != nil {
		t.Fatal(err)
	}
	w.identity.Epoch = w.epoch
	log, err := streams.New(streams.Config{Client: w.client, Identity: w.identity, Sole: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- log.Run(ctx) }()
	for deadline := time.After(20 * time.Second); log.Forked() == nil && log.Closed() != nil; {
		select {
		case <-deadline:
			t.Fatal(log.Closed())
		case <-time.After(5 * time.Millisecond):
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func (w *world) markForked(t *testing.T, seen int64) {
	t.Helper()
	if err := streams.MarkForked(t.Context(), w.client, streams.RedisServer{Client: w.client}, w.identity, 0, seen); err != nil {
		t.Fatal(err)
	}
}

func (w *world) repaired(t *testing.T, want []string, repaired ...domain.LogRepaired) {
	t.Helper()
	if found, err := w.repairer().Run(t.Context()); err != nil || found.Repairing {
		t.Fatalf("%+v, %v", found, err)
	}
	got, by := w.texts(t)
	if !slices.Equal(got, want) || !slices.Equal(by, repaired) {
		t.Errorf("the log says %v, and was repaired by %+v; want %v, %+v", got, by, want, repaired)
	}
	w.sound(t, want...)
}

// TestRestartOfForked restarts a server whose log goes on with another branch, again, before anybody repairs it: where the
// branches parted is known nevertheless.
func TestRestartOfForked(t *testing.T) {
	w := newWorld(t)
	w.say(t, "a", "b", "c")
	w.restart(t)
	w.say(t, "d", "e", "f", "g")
	w.markForked(t, 5)
	w.restart(t)
	w.restart(t)
	w.repaired(t, []string{"a", "b", "c", "d", "e", "f", "g"}, domain.LogRepaired{From: 4, To: 5, Lost: 2})
}

// TestEndOfRepairLost loses the last moment of a repair that SQL knows to be done.
func TestEndOfRepairLost(t *testing.T) {
	w := newWorld(t)
	w.say(t, "a", "b", "c")
	for partition := range partitions {
		key := schema.PartitionKey(partition, "meta")
		if err := w.client.HSet(t.Context(), key, "complete", "0", "repairing", "1").Err(); err != nil {
			t.Fatal(err)
		}
	}
	if found, err := w.repairer().Look(t.Context()); err != nil || found.Sound() {
		t.Errorf("closed, and found to be %+v, %v", found, err)
	}
	w.repaired(t, []string{"a", "b", "c"})
}

// TestPlanOutlivesServer has the server die between the plan and the repair, and come back with less than was planned with.
func TestPlanOutlivesServer(t *testing.T) {
	w := newWorld(t)
	w.say(t, "a", "b", "c")
	w.archived(t)
	w.say(t, "d")
	w.keep(t)
	w.restart(t)
	w.say(t, "e")
	last := w.stored(t)[4]
	w.seen = []repair.Seen{{Partition: 0, Checkpoint: schema.Checkpoint{Seq: 5, StreamID: last.StreamID}}}
	w.markForked(t, 8)
	w.cutOff = true
	if _, err := w.repairer().Run(t.Context()); !errors.Is(err, errFails) {
		t.Fatal(err)
	}
	w.cutOff = false
	w.lose(t)
	w.repaired(t, []string{"a", "b", "c", "d"}, domain.LogRepaired{From: 5, To: 8, Lost: 4})
	if w.replaced != 1 {
		t.Errorf("%d were replaced who saw what was lost, want 1", w.replaced)
	}
}
