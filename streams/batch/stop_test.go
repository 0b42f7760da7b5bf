package batch_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"mpim/streams/batch"
	"mpim/streams/lease"
)

// atOnce is what a stop may take on a busy machine; a blocked read that is not interrupted takes five seconds.
const atOnce = time.Second

func slowBlock(c *batch.Config) { c.Block = 5 * time.Second }

func TestStopsAtOnceWhileBlocked(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		w := newWriter(t, s)
		w.append(0, 1)
		sub := newSubscriber(t, s, newLedger(), slowBlock)
		sub.consume(sub.subscribe("history"), nil)
		end := sub.hold("history", 0, 1)
		sub.ledger.await(t, 0, 1)
		began := time.Now()
		end(lease.ErrHandedOver)
		if took := time.Since(began); took > atOnce {
			t.Errorf("Hold returned after %s", took)
		}
		sub.hold("history", 0, 2)
		w.append(0, 1)
		sub.ledger.await(t, 0, 2)
		began = time.Now()
		if err := sub.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > atOnce {
			t.Errorf("Close returned after %s", took)
		}
	})
}

func TestLostLeaseEndsTheBatch(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		newWriter(t, s).append(0, 1)
		sub := newSubscriber(t, s, newLedger(), nil)
		messages := sub.subscribe("history")
		end := sub.hold("history", 0, 1)
		msg, _ := next(t, messages)
		began := time.Now()
		go func() {
			<-msg.Context().Done()
			msg.Nack()
		}()
		end(lease.ErrLost)
		if took := time.Since(began); took > atOnce {
			t.Errorf("Hold returned after %s", took)
		}
		if cause := context.Cause(msg.Context()); !errors.Is(cause, lease.ErrLost) {
			t.Errorf("the batch ended because of %v", cause)
		}
		sub.hold("history", 0, 2) // and nothing is left of it
		msg, b := next(t, messages)
		if b.Token != 2 {
			t.Errorf("a batch under token %d", b.Token)
		}
		msg.Ack()
	})
}

func TestHandOverLetsTheBatchFinish(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		newWriter(t, s).append(0, 1)
		sub := newSubscriber(t, s, newLedger(), func(c *batch.Config) { c.Drain = 300 * time.Millisecond })
		messages := sub.subscribe("history")
		end := sub.hold("history", 0, 1)
		msg, b := next(t, messages)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			end(lease.ErrHandedOver)
		}()
		timer := time.NewTimer(100 * time.Millisecond)
		<-timer.C
		if msg.Context().Err() != nil {
			t.Error("the batch was ended at once")
		}
		select {
		case <-ended:
			t.Error("Hold did not wait")
		default:
		}
		if err := sub.ledger.apply(b, -1); err != nil {
			t.Error(err)
		}
		msg.Ack()
		<-ended
	})
}

func TestCloseGivesUpOnAHandlerThatHangs(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		newWriter(t, s).append(0, 1)
		sub := newSubscriber(t, s, newLedger(), func(c *batch.Config) { c.Drain = 200 * time.Millisecond })
		messages := sub.subscribe("history")
		sub.hold("history", 0, 1)
		msg, _ := next(t, messages)
		began := time.Now()
		var closing sync.WaitGroup
		for range 3 { // as the Router does, once for each handler
			closing.Go(func() {
				if err := sub.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		closing.Wait()
		if took := time.Since(began); took < 400*time.Millisecond || took > 400*time.Millisecond+atOnce {
			t.Errorf("closed after %s, want 400ms", took)
		}
		if msg.Context().Err() == nil {
			t.Error("the batch's context did not end")
		}
		if _, open := <-messages; open {
			t.Error("the channel is open")
		}
	})
}

func TestHoldWaitsForASubscription(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		w := newWriter(t, s)
		w.append(0, 1)
		sub := newSubscriber(t, s, newLedger(), nil)
		sub.hold("history", 0, 1)
		ctx, cancel := context.WithCancel(t.Context())
		first, err := sub.Subscribe(ctx, "history")
		if err != nil {
			t.Fatal(err)
		}
		msg, b := next(t, first)
		if err := sub.ledger.apply(b, -1); err != nil {
			t.Fatal(err)
		}
		msg.Ack()
		cancel()
		if _, open := <-first; open {
			t.Error("a message after the end of the subscription")
		}
		w.append(0, 1)
		msg, b = next(t, sub.subscribe("history")) // the same lease, another subscription
		wantBatch(t, b, 2, 2)
		msg.Ack()
	})
}

// Starts and stops in any order, for the race detector and the leak detector.
func TestStartAndStopUnderStress(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		w := newWriter(t, s)
		l := newLedger()
		for round := range 15 {
			sub := newSubscriber(t, s, l, nil)
			var all sync.WaitGroup
			for p := range partitions {
				w.append(p, 20)
				all.Go(func() {
					end := sub.hold("history", p, int64(round)+1)
					if p%2 == 0 {
						end(lease.ErrLost)
					}
				})
			}
			all.Go(func() {
				messages, err := sub.Subscribe(context.Background(), "history")
				switch {
				case err == nil:
					sub.consume(messages, nil)
				case !errors.Is(err, batch.ErrClosed):
					t.Error(err)
				}
			})
			if round%3 == 0 {
				all.Wait()
			}
			all.Go(func() { _ = sub.Close() })
			all.Wait()
		}
		last := newSubscriber(t, s, l, nil)
		last.consume(last.subscribe("history"), nil)
		for p := range partitions {
			last.hold("history", p, 100)
			l.await(t, p, 15*20)
		}
	})
}
