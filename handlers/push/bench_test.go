package push_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"mpim/domain"
	"mpim/handlers/push"
)

// prose returns 200 bytes of words that do not come in the same order twice.
func prose(n int) string {
	words := strings.Fields("the quick delivery of bread is what people in small towns along rivers remember when winter comes " +
		"and nobody knows whether ferries run before spring or if bridges hold under snow again this year")
	random := rand.New(rand.NewPCG(uint64(n), 1))
	var b strings.Builder
	for b.Len() < 200 {
		b.WriteString(words[random.IntN(len(words))] + " ")
	}
	return b.String()[:200]
}

// BenchmarkOwner pushes batches of 64 messages of 200 bytes, of eight conversations, to two gateways, without Redis: what the
// owner itself costs, with encoding and compression of the envelopes.
func BenchmarkOwner(b *testing.B) {
	for _, members := range []int{1, 2, 20, 1000} {
		b.Run(fmt.Sprintf("members=%d", members), func(b *testing.B) {
			m, s := newMemory(), newStory(1)
			m.discard = true
			var users []domain.UserID
			for n := range members {
				users = append(users, user(n))
				m.connect(users[n], fmt.Sprint("g", n%2), uint32(n/2+1))
			}
			const conversations, size = 8, 64
			for n := range conversations {
				s.append(b, conversationIn(1, n).Aggregate(), users[0], created(users...))
			}
			for n := range size {
				s.append(b, conversationIn(1, n%conversations).Aggregate(), users[n%members], text(prose(n)))
			}
			s.publishState(m)
			o, stop := start(b, push.Config{Bus: m})
			defer stop()
			take(b, o, 1, 1)
			if err := handle(o, s.batch(1, 1, conversations)); err != nil {
				b.Fatal(err)
			}
			batch := s.batch(1, conversations+1, conversations+size)
			m.set(func() { m.bytes = 0 })
			for b.Loop() {
				if err := handle(o, batch); err != nil {
					b.Fatal(err)
				}
				batch.From, batch.To = batch.To+1, batch.To+size
			}
			events := float64(b.N * size)
			b.ReportMetric(events/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(events*float64(members)/b.Elapsed().Seconds(), "deliveries/s")
			b.ReportMetric(float64(m.bytes)/events, "bytes/event")
		})
	}
}
