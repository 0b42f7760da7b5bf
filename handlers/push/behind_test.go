package push_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mpim/handlers/push"
	"mpim/projections"
	"mpim/schema"
)

// What could not be published is missing in the count, and heartbeats say so.
func TestALostEnvelopeIsMissedByNumber(t *testing.T) {
	m, s := newMemory(), newStory(1)
	id := conversationIn(1, 0)
	alice := user(1)
	m.connect(alice, "g", 1)
	s.append(t, id.Aggregate(), alice, created(alice))
	s.append(t, id.Aggregate(), alice, text("lost"))
	s.append(t, id.Aggregate(), alice, text("sent"))
	s.publishState(m)
	o := run(t, push.Config{Bus: m, Beat: 10 * time.Millisecond})
	take(t, o, 1, 1)
	if err := handle(o, s.batch(1, 1, 1)); err != nil {
		t.Fatal(err)
	}
	m.set(func() { m.failing = true })
	if err := handle(o, s.batch(1, 2, 2)); err != nil {
		t.Fatal(err)
	}
	m.set(func() { m.failing, m.published = false, nil })
	eventually(t, func() bool {
		h := m.heard(t, "g")
		return h != nil && h.Leases[0].Number == 2 && h.Leases[0].Seq == 2
	})
	if err := handle(o, s.batch(1, 3, 3)); err != nil {
		t.Fatal(err)
	}
	if sent := m.sent(t)["g"]; len(sent) != 1 || sent[0].Number != 3 {
		t.Errorf("sent %+v", sent)
	}
}

// Checkpoints never say more than gateways have heard.
func TestCheckpointsFollowHeartbeats(t *testing.T) {
	m, s := newMemory(), newStory(1)
	id := conversationIn(1, 0)
	alice := user(1)
	m.connect(alice, "g", 1)
	s.append(t, id.Aggregate(), alice, created(alice))
	s.publishState(m)
	o := run(t, push.Config{Bus: m, Beat: 10 * time.Millisecond})
	take(t, o, 1, 1)
	m.set(func() { m.failing = true })
	if err := handle(o, s.batch(1, 1, 1)); err != nil {
		t.Fatal(err)
	}
	m.set(func() { m.saved, m.attempts = nil, 0 })
	// Some rounds, in each of which publishing fails.
	eventually(t, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.attempts > 10
	})
	m.set(func() {
		if len(m.saved) > 0 {
			t.Errorf("saved %+v although nobody was told", m.saved)
		}
		m.failing = false
	})
	eventually(t, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.saved) > 0 && m.saved[len(m.saved)-1].Seq == 1
	})
	o.Release(t.Context(), 1, 1)
	if err := handle(o, s.batch(1, 1, 1)); !errors.Is(err, projections.ErrDeposed) {
		t.Errorf("a released partition took a batch: %v", err)
	}
}

func TestTooFarBehindGoesOnAtTheEnd(t *testing.T) {
	m, s := newMemory(), newStory(1)
	id := conversationIn(1, 0)
	alice := user(1)
	m.connect(alice, "g", 1)
	s.append(t, id.Aggregate(), alice, created(alice))
	for range 30 {
		s.append(t, id.Aggregate(), alice, text("x"))
	}
	s.publishState(m)
	m.heads[1] = schema.Checkpoint{Seq: 21, StreamID: s.records[20].StreamID}
	o := run(t, push.Config{Bus: m, SkipEvents: 20, Beat: 10 * time.Millisecond})
	if from := take(t, o, 1, 1); from.Seq != 21 {
		t.Fatalf("it begins after %d", from.Seq)
	}
	if err := handle(o, s.batch(1, 22, 22)); err != nil {
		t.Fatal(err)
	}
	if sent := m.sent(t)["g"]; len(sent) != 1 || sent[0].Start != 21 || sent[0].Number != 1 {
		t.Fatalf("sent %+v", sent)
	}
	// On the way, too: and a number is left out.
	m.set(func() { m.heads[1] = schema.Checkpoint{Seq: 100, StreamID: s.records[22].StreamID} })
	eventually(t, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.published) > 3
	})
	if err := handle(o, s.batch(1, 23, 25)); err != nil {
		t.Fatal(err)
	}
	m.set(func() { m.heads[1] = schema.Checkpoint{Seq: 30, StreamID: s.records[22].StreamID}; m.published = nil })
	eventually(t, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.published) > 3
	})
	if err := handle(o, s.batch(1, 26, 26)); err != nil {
		t.Fatal(err)
	}
	if sent := m.sent(t)["g"]; len(sent) != 1 || sent[0].Start != 25 || sent[0].Number != 3 {
		t.Fatalf("sent %+v", sent[0])
	}
}

func TestABatchThatDoesNotFollowIsRefused(t *testing.T) {
	m, s := newMemory(), newStory(1)
	id := conversationIn(1, 0)
	alice := user(1)
	m.connect(alice, "g", 1)
	s.append(t, id.Aggregate(), alice, created(alice))
	for range 5 {
		s.append(t, id.Aggregate(), alice, text("x"))
	}
	s.publishState(m)
	m.heads[1] = schema.Checkpoint{Seq: 6, StreamID: s.records[5].StreamID}
	o := run(t, push.Config{Bus: m})
	if err := handle(o, s.batch(1, 1, 1)); !errors.Is(err, projections.ErrDeposed) {
		t.Errorf("before Take: %v", err)
	}
	take(t, o, 1, 2)
	if err := handle(o, s.batch(1, 1, 1)); !errors.Is(err, projections.ErrDeposed) {
		t.Errorf("under an old token: %v", err)
	}
	if err := handle(o, s.batch(2, 2, 2)); !errors.Is(err, projections.ErrDeposed) {
		t.Errorf("with a gap: %v", err)
	}
	for _, b := range []*schema.Batch{s.batch(2, 1, 3), s.batch(2, 1, 3), s.batch(2, 2, 5)} {
		if err := handle(o, b); err != nil {
			t.Errorf("again: %v", err)
		}
	}
	if got := len(received(m.sent(t)["g"])[1]); got != 5 {
		t.Errorf("%d frames, want each event once", got)
	}
	if c := take(t, o, 1, 2); c.Seq != 5 {
		t.Errorf("taken again it stands at %d", c.Seq)
	}
}

// A gateway that finds nobody pushing a partition does not wait for anybody, so whoever takes it must know its
// connection first.
func TestTakeWaitsUntilAllConnectionsAreKnown(t *testing.T) {
	m := newMemory()
	m.hold = make(chan struct{})
	release := sync.OnceFunc(func() { close(m.hold) })
	o := run(t, push.Config{Bus: m})
	t.Cleanup(release)
	m.connect(user(1), "g", 1)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := o.Take(ctx, 1, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("taken, although a connection is not folded: %v", err)
	}
	release()
	take(t, o, 1, 1)
}

func TestStoppingSavesAndLeavesNothingRunning(t *testing.T) {
	for range 50 {
		m, s := newMemory(), newStory(1)
		id := conversationIn(1, 0)
		m.connect(user(1), "g", 1)
		s.append(t, id.Aggregate(), user(1), created(user(1)))
		s.publishState(m)
		o, stop := start(t, push.Config{Bus: m, Beat: time.Hour})
		take(t, o, 1, 1)
		if err := handle(o, s.batch(1, 1, 1)); err != nil {
			t.Fatal(err)
		}
		stop()
		if n := len(m.saved); n == 0 || m.saved[n-1].Seq != 1 {
			t.Fatalf("saved %+v", m.saved)
		}
	}
}

func TestEnvelopesAreSplitBeforeTheyGrowTooLarge(t *testing.T) {
	m, s := newMemory(), newStory(1)
	id := conversationIn(1, 0)
	alice := user(1)
	m.connect(alice, "g", 1)
	s.append(t, id.Aggregate(), alice, created(alice))
	for range 20 {
		s.append(t, id.Aggregate(), alice, text(string(bytes.Repeat([]byte("x"), 1000))))
	}
	s.publishState(m)
	o := run(t, push.Config{Bus: m, EnvelopeBytes: 5000})
	take(t, o, 1, 1)
	if err := handle(o, s.batch(1, 1, 21)); err != nil {
		t.Fatal(err)
	}
	sent := m.sent(t)["g"]
	if len(sent) < 5 {
		t.Errorf("%d envelopes", len(sent))
	}
	for i, e := range sent {
		if e.Number != uint64(i+1) {
			t.Errorf("envelope %d has number %d", i, e.Number)
		}
	}
	if got := len(received(sent)[1]); got != 21 {
		t.Errorf("%d frames", got)
	}
}

// hung answers nothing once it hangs, until the context of who asks ends.
type hung struct {
	*memory
	hangs atomic.Bool
}

func (h *hung) Publish(ctx context.Context, messages []schema.Outgoing) ([]schema.Outgoing, error) {
	if h.hangs.Load() {
		<-ctx.Done()
		return messages, ctx.Err()
	}
	return h.memory.Publish(ctx, messages)
}

func (h *hung) SaveCheckpoints(ctx context.Context, saves []schema.PushCheckpoint) ([]schema.PushCheckpoint, error) {
	if h.hangs.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return h.memory.SaveCheckpoints(ctx, saves)
}

func TestReleasesDoNotWaitForOneAnotherWhenNothingAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hung{memory: newMemory()}
		h.connect(inPartition(0, 0), "g", 1)
		o, stop := start(t, push.Config{Bus: h})
		for number := range partitions {
			take(t, o, number, 1)
		}
		h.hangs.Store(true)
		began := time.Now()
		var releases sync.WaitGroup
		for number := range partitions {
			releases.Go(func() { o.Release(t.Context(), number, 1) })
		}
		releases.Wait()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("released %d partitions in %v", partitions, took)
		}
		stop()
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("stopped after %v", took)
		}
	})
}
