package push_test

import (
	"fmt"
	"testing"

	"github.com/klauspost/compress/s2"

	"mpim/domain"
	"mpim/handlers/push"
	"mpim/schema"
)

// BenchmarkBytes measures how many bytes of Pub/Sub a message of 200 bytes takes to reach a group, half of which is
// connected to each of two gateways, with one message an envelope and with 64. Beside it stands what the same would take
// without compression, and with a frame for each connection instead of one for all. The numbers do not depend on the
// machine.
func BenchmarkBytes(b *testing.B) {
	for _, members := range []int{2, 20, 1000} {
		for _, batch := range []int{1, 64} {
			b.Run(fmt.Sprintf("members=%d/batch=%d", members, batch), func(b *testing.B) { benchmarkBytes(b, members, batch) })
		}
	}
}

func benchmarkBytes(b *testing.B, members, batch int) {
	b.Helper()
	const size = 64
	m, s := newMemory(), newStory(1)
	var users []domain.UserID
	for n := range members {
		users = append(users, user(n))
		m.connect(users[n], fmt.Sprint("g", n%2), uint32(n/2+1))
	}
	s.append(b, conversationIn(1, 0).Aggregate(), users[0], created(users...))
	for n := range size {
		s.append(b, conversationIn(1, 0).Aggregate(), users[n%members], text(prose(n)))
	}
	s.publishState(m)
	o, stop := start(b, push.Config{Bus: m})
	defer stop()
	take(b, o, 1, 1)
	if err := handle(o, s.batch(1, 1, 1)); err != nil {
		b.Fatal(err)
	}
	m.sent(b)
	for from := int64(2); from <= size+1; from += int64(batch) {
		if err := handle(o, s.batch(1, from, min(from+int64(batch)-1, size+1))); err != nil {
			b.Fatal(err)
		}
	}
	sent, plain, each := weigh(b, m)
	for b.Loop() {
		// Bytes are counted, and not timed.
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(sent)/size, "bytes/message")
	b.ReportMetric(float64(plain)/size, "uncompressed")
	b.ReportMetric(float64(each)/size, "frame-per-connection")
}

// weigh returns the bytes that were published, those before compression, and those of all frames.
func weigh(b *testing.B, m *memory) (sent, plain, each int) {
	b.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, message := range m.published {
		decoded, err := schema.DecodePush(message.Payload)
		envelope, ok := decoded.(*schema.Envelope)
		if err != nil || !ok {
			continue
		}
		sent += len(message.Payload)
		length, err := s2.DecodedLen(message.Payload[1:])
		if err != nil || length < len(message.Payload) {
			length = len(message.Payload) - 1
		}
		plain += 1 + length
		for _, item := range envelope.Items {
			each += len(item.Frame) * len(item.Connections)
		}
	}
	return sent, plain, each
}
