package recent_test

import (
	"fmt"
	"strings"
	"testing"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/checkpoint/checkpointtest"
	"mpim/projections/projectionstest"
	"mpim/projections/recent"
	"mpim/streams/streamstest"
)

// conversations returns the ids of n groups.
func conversations(n int) []domain.ConversationID {
	ids := make([]domain.ConversationID, n)
	for i := range ids {
		ids[i] = domain.ConversationID(fmt.Sprintf("g%020d03", i))
	}
	return ids
}

func traffic(b *testing.B, groups, recalls int) *projectionstest.Log {
	b.Helper()
	log := projectionstest.NewLog(3)
	ids := conversations(groups)
	for i := range 20000 {
		c := ids[i*7919%groups].Aggregate()
		if recalls > 0 && i%recalls == recalls-1 && log.Seq(c) > 3 {
			log.Append(b, c, alice, &domain.MessageRecalled{Message: log.Seq(c) - 2})
			continue
		}
		log.Append(b, c, alice, sent(strings.Repeat("word ", 20)))
	}
	return log
}

// BenchmarkApply folds messages of 100 bytes in 100 conversations: all sent, and with every twentieth recalled.
func BenchmarkApply(b *testing.B) {
	b.Run("sent", func(b *testing.B) {
		checkpointtest.Apply(b, streamstest.Server.Client(), open, traffic(b, 100, 0))
	})
	b.Run("recalled", func(b *testing.B) {
		checkpointtest.Apply(b, streamstest.Server.Client(), open, traffic(b, 100, 20))
	})
}

// BenchmarkRanges reads 100 events of each of 20 conversations, a page of a client that catches up.
func BenchmarkRanges(b *testing.B) {
	client := streamstest.Server.Client()
	p := recent.New(recent.Config{Client: client, Partitions: 16})
	log := traffic(b, 20, 0)
	if _, err := p.Take(b.Context(), 3, 1); err != nil {
		b.Fatal(err)
	}
	if err := p.Apply(b.Context(), projections.Step{Batch: *log.Batch(1, 1, 20000)}); err != nil {
		b.Fatal(err)
	}
	var ranges []recent.Range
	for _, id := range conversations(20) {
		ranges = append(ranges, recent.Range{Conversation: id, After: 500, Limit: 100})
	}
	q := recent.NewQueries(client)
	b.ReportAllocs()
	for b.Loop() {
		all, err := q.Ranges(b.Context(), ranges)
		if err != nil {
			b.Fatal(err)
		}
		for _, found := range all {
			if len(found.Events) != 100 {
				b.Fatal(len(found.Events))
			}
			for _, e := range found.Events {
				_ = e.JSON()
			}
		}
	}
}

// BenchmarkRawPush is the limit that BenchmarkApply stands beside: the same bytes pushed to the same lists in pipelines of
// as many commands, with nothing else done.
func BenchmarkRawPush(b *testing.B) {
	client := streamstest.Server.Client()
	log := traffic(b, 100, 0)
	elements := make([]string, len(log.Records))
	for i, r := range log.Records {
		elements[i] = fmt.Sprintf(`%d %d 0 "event":"%s","type":"%s","at":"2026-01-02T03:04:05.678Z","actor":"%s","data":%s}`,
			r.ConversationSeq, r.Ordinal, r.ID, r.Type, r.Actor, r.Data)
	}
	var before float64
	events := 0
	for b.Loop() {
		if events == 0 {
			before = checkpointtest.ServerTime(b, client)
		}
		pipeline := client.Pipeline()
		for range checkpointtest.BatchSize {
			r := log.Records[events%len(log.Records)]
			pipeline.RPush(b.Context(), "raw:"+string(r.Conversation()), elements[events%len(log.Records)])
			events++
		}
		if _, err := pipeline.Exec(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric((checkpointtest.ServerTime(b, client)-before)*1e6/float64(events), "server-µs/event")
	b.ReportMetric(0, "ns/op")
}
