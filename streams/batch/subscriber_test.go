package batch_test

import "testing"

func TestDeliversAllInOrder(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		w := newWriter(t, s)
		for p := range partitions {
			w.append(p, 250)
		}
		sub := newSubscriber(t, s, newLedger(), nil)
		sub.consume(sub.subscribe("history"), nil)
		for p := range partitions {
			sub.hold("history", p, 1)
		}
		for range 20 {
			for p := range partitions {
				w.append(p, 5)
			}
		}
		for p := range partitions {
			sub.ledger.await(t, p, 350)
		}
	})
}

func TestNackDeliversAgain(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		w := newWriter(t, s)
		w.append(0, 10)
		sub := newSubscriber(t, s, newLedger(), nil)
		messages := sub.subscribe("history")
		sub.hold("history", 0, 1)

		msg, b := next(t, messages)
		wantBatch(t, b, 1, 10)
		msg.Nack() // nothing was done
		msg, b = next(t, messages)
		wantBatch(t, b, 1, 10)
		if err := sub.ledger.apply(b, 4); err != nil {
			t.Fatal(err)
		}
		msg.Nack() // a part was done
		msg, b = next(t, messages)
		wantBatch(t, b, 5, 10)
		w.append(0, 1)
		if err := sub.ledger.apply(b, -1); err != nil {
			t.Fatal(err)
		}
		msg.Nack() // it was done, and only the answer lost
		msg, b = next(t, messages)
		wantBatch(t, b, 11, 11)
		if err := sub.ledger.apply(b, -1); err != nil {
			t.Fatal(err)
		}
		msg.Ack()
		sub.ledger.await(t, 0, 11)
	})
}

func TestSubscribeRefuses(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		sub := newSubscriber(t, s, newLedger(), nil)
		if _, err := sub.Subscribe(t.Context(), "nothing"); err == nil {
			t.Error("a topic without a consumer was subscribed to")
		}
		messages := sub.subscribe("history")
		if _, err := sub.Subscribe(t.Context(), "history"); err == nil {
			t.Error("a topic was subscribed to twice")
		}
		if err := sub.Close(); err != nil {
			t.Error(err)
		}
		if _, open := <-messages; open {
			t.Error("a message after Close")
		}
		if _, err := sub.Subscribe(t.Context(), "history"); err == nil {
			t.Error("subscribed after Close")
		}
	})
}

func TestHandlerSeesTokenAndContext(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		newWriter(t, s).append(2, 1)
		sub := newSubscriber(t, s, newLedger(), nil)
		messages := sub.subscribe("history")
		sub.hold("history", 2, 77)
		msg, b := next(t, messages)
		if b.Partition != 2 || b.Token != 77 || msg.UUID != "2:1-1" || len(msg.Payload) != 0 {
			t.Errorf("message %s with %d bytes carries %+v", msg.UUID, len(msg.Payload), b)
		}
		fact, err := b.Records[0].Fact()
		if err != nil {
			t.Errorf("%v, %v", fact, err)
		}
		msg.Ack()
	})
}
