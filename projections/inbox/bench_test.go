package inbox_test

import (
	"fmt"
	"strings"
	"testing"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/checkpoint/checkpointtest"
	"mpim/projections/inbox"
	"mpim/projections/projectionstest"
	"mpim/streams/streamstest"
)

func conversations(n int) []domain.ConversationID {
	ids := make([]domain.ConversationID, n)
	for i := range ids {
		ids[i] = domain.ConversationID(fmt.Sprintf("g%020d03", i))
	}
	return ids
}

// traffic is messages of 100 bytes by 1,000 users; with receipts, every third event is one, and every tenth an edit.
func traffic(b *testing.B, n, groups int, receipts bool) *projectionstest.Log {
	b.Helper()
	log := projectionstest.NewLog(3)
	ids := conversations(groups)
	for i := range n {
		c := ids[i*7919%groups].Aggregate()
		user := domain.UserID(fmt.Sprintf("u%020d03", i%1000))
		switch {
		case receipts && i%3 == 2 && log.Seq(c) > 0:
			log.Append(b, c, user, &domain.ReceiptMoved{
				Session: "s0123456789abcdefghja03", DeliveredSeq: log.Seq(c), DeliveredOrdinal: int64(log.Seq(c)),
				ReadSeq: log.Seq(c), ReadOrdinal: int64(log.Seq(c)),
			})
		case receipts && i%10 == 9 && log.Seq(c) > 0:
			log.Append(b, c, user, &domain.MessageEdited{
				Message: log.Seq(c), Body: domain.Body{Type: domain.TextBody, Text: strings.Repeat("word ", 20)},
			})
		default:
			log.Append(b, c, user, sent(strings.Repeat("word ", 20)))
		}
	}
	return log
}

// BenchmarkApply folds events of 100 conversations.
func BenchmarkApply(b *testing.B) {
	b.Run("sent", func(b *testing.B) {
		checkpointtest.Apply(b, streamstest.Server.Client(), open, traffic(b, 20000, 100, false))
	})
	b.Run("mixed", func(b *testing.B) {
		checkpointtest.Apply(b, streamstest.Server.Client(), open, traffic(b, 20000, 100, true))
	})
}

// BenchmarkEntries reads a list of 200 conversations.
func BenchmarkEntries(b *testing.B) {
	client := streamstest.Server.Client()
	p := inbox.New(inbox.Config{Client: client, Partitions: 16})
	log := traffic(b, 5000, 200, true)
	if _, err := p.Take(b.Context(), 3, 1); err != nil {
		b.Fatal(err)
	}
	if err := p.Apply(b.Context(), projections.Step{Batch: *log.Batch(1, 1, 5000)}); err != nil {
		b.Fatal(err)
	}
	q, ids := inbox.NewQueries(client), conversations(200)
	b.ReportAllocs()
	for b.Loop() {
		entries, err := q.Entries(b.Context(), "u00000000000000000000703", "s0123456789abcdefghja03", ids)
		if err != nil || entries[0].Last == nil {
			b.Fatal(entries[0], err)
		}
	}
}
