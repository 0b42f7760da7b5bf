package segment_test

import (
	"testing"

	"mpim/domain"
	"mpim/projections/archive/segment"
	"mpim/projections/archive/segment/segmenttest"
)

// perSegment is how many events a segment of usual size has.
const perSegment = 32768

func BenchmarkSegment(b *testing.B) {
	log := segmenttest.NewLog(3, 1)
	log.Messages(b, perSegment, segmenttest.NaturalTexts(b, perSegment))
	bytes, texts := 0, 0
	for _, r := range log.Records {
		bytes += len(r.ID) + len(r.Metadata) + len(r.Payload)
		fact, err := r.Fact()
		if err != nil {
			b.Fatal(err)
		}
		texts += len(fact.(*domain.MessageSent).Body.Text)
	}
	b.Logf("%.1f bytes an event in the log, of which %.1f are text", float64(bytes)/perSegment, float64(texts)/perSegment)
	var best []byte
	for name, level := range map[string]segment.Level{"fast": segment.Fast, "best": segment.Best} {
		data, err := segment.Encode(log.Records, level)
		if err != nil {
			b.Fatal(err)
		}
		if level == segment.Best {
			best = data
		}
		b.Run("encode "+name, func(b *testing.B) {
			for b.Loop() {
				if _, err := segment.Encode(log.Records, level); err != nil {
					b.Fatal(err)
				}
			}
			events(b)
			b.ReportMetric(float64(len(data))/perSegment, "bytes/event")
		})
	}
	b.Run("decompress only", func(b *testing.B) {
		for b.Loop() {
			if _, err := segment.Decompress(best); err != nil {
				b.Fatal(err)
			}
		}
		events(b)
	})
	b.Run("bodies raw", func(b *testing.B) {
		for b.Loop() {
			if _, err := segment.Decode(best); err != nil {
				b.Fatal(err)
			}
		}
		events(b)
	})
	b.Run("decoded in full", func(b *testing.B) {
		for b.Loop() {
			records, err := segment.Decode(best)
			if err != nil {
				b.Fatal(err)
			}
			for _, r := range records {
				if _, err := r.Fact(); err != nil {
					b.Fatal(err)
				}
			}
		}
		events(b)
	})
}

// events reports the rate of events: those of one core, as a replay of a partition has it.
func events(b *testing.B) {
	b.Helper()
	b.ReportMetric(float64(b.N)*perSegment/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(0, "ns/op")
}
