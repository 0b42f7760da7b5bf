package repair_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"mpim/schema"
)

// What a repair writes back a second, from an archive in memory: a tail, and a partition from nothing.
func BenchmarkRepair(b *testing.B) {
	const events = 20_000
	for _, kind := range []string{"tail", "anew"} {
		b.Run(kind, func(b *testing.B) {
			w := newWorld(b)
			w.say(b, "a")
			w.keep(b)
			first := w.stored(b)[0]
			at, _ := schema.ParseStreamID(first.StreamID)
			for n := range events {
				c := w.message(fmt.Sprint("message ", n, " of two hundred bytes, as people write them when they have something to say that takes a line or two"))
				drafts, err := schema.Drafts(c, nil)
				if err != nil {
					b.Fatal(err)
				}
				seq := int64(n + 2)
				d := drafts[0]
				metadata := slices.Clone(d.Metadata)
				for _, pair := range []string{schema.PartitionSeqKey, schema.SeqKey, schema.OrdinalKey} {
					for _, text := range []string{pair, strconv.FormatInt(seq, 10)} {
						metadata = append(append(metadata, 0xa0|byte(len(text))), text...)
					}
				}
				r, err := schema.DecodeRecord(0, schema.StreamID{Milliseconds: at.Milliseconds, Counter: at.Counter + uint64(n) + 1}.String(), string(d.ID), metadata, d.Payload)
				if err != nil {
					b.Fatal(err)
				}
				if n == 0 {
					w.archive[0] = append(w.archive[0], first)
				}
				w.archive[0] = append(w.archive[0], &r)
			}
			w.page = 2000
			var spent time.Duration
			for b.Loop() {
				w.lose(b)
				if kind == "anew" {
					if err := w.client.FlushAll(b.Context()).Err(); err != nil {
						b.Fatal(err)
					}
				}
				start := time.Now()
				if _, err := w.repairer().Run(b.Context()); err != nil {
					b.Fatal(err)
				}
				spent += time.Since(start)
			}
			b.ReportMetric(float64(b.N)*events/spent.Seconds(), "events/s")
		})
	}
}
