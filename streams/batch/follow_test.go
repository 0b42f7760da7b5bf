package batch_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"mpim/streams/batch"
	"mpim/streams/lease"
)

// leading returns a subscriber with the consumer "history", which waits for nothing, and "inbox", which lingers and so
// follows it. A read blocks longer than any test waits.
func leading(t *testing.T, s store) *subscriber {
	t.Helper()
	return newSubscriber(t, s, newLedger(), func(c *batch.Config) {
		c.Block = time.Minute
		c.Consumers = append(c.Consumers, batch.Consumer{Name: "inbox", Checkpoints: newLedger(), Linger: 5 * time.Millisecond})
	})
}

// upTo acknowledges batches until one ends at seq.
func upTo(t *testing.T, messages <-chan *message.Message, seq int64) {
	t.Helper()
	for to := int64(0); to < seq; {
		msg, b := next(t, messages)
		msg.Ack()
		to = b.To
	}
}

func TestFollowersReadWhatTheirLeaderSaw(t *testing.T) {
	t.Parallel()
	s := tcp(t)
	w := newWriter(t, s)
	sub := leading(t, s)
	leader, follower := sub.subscribe("history"), sub.subscribe("inbox")
	sub.hold("history", 0, 1)
	sub.hold("inbox", 0, 1)
	client, _ := s.client(t)
	for seq := int64(1); seq <= 5; seq++ {
		w.append(0, 1)
		upTo(t, leader, seq)
		upTo(t, follower, seq)
		if seq == 1 {
			continue // the follower may have begun before there was a leader
		}
		eventually(t, "one reader waits at the server", func() bool {
			return strings.Contains(client.Info(t.Context(), "clients").Val(), "blocked_clients:1\r")
		})
	}
}

func TestFollowersGoOnWithoutTheirLeader(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		w := newWriter(t, s)
		sub := leading(t, s)
		leader, follower := sub.subscribe("history"), sub.subscribe("inbox")
		end := sub.hold("history", 0, 1)
		sub.hold("inbox", 0, 1)
		w.append(0, 1)
		upTo(t, leader, 1)
		upTo(t, follower, 1)

		// It has one batch in hand and another read ahead, and reads no more.
		for seq := int64(2); seq <= 6; seq++ {
			w.append(0, 1)
			upTo(t, follower, seq)
		}
		end(lease.ErrLost)
		for seq := int64(7); seq <= 9; seq++ {
			w.append(0, 1)
			upTo(t, follower, seq)
		}
	})
}
