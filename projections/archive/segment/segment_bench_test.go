package segment_test

import (
	"testing"

	"mpim/domain"
	"mpim/projections/archive/segment"
	"mpim/projections/archive/segment/segmenttest"
	"mpim/schema"
	"mpim/schema/seal"
)

// perSegment is how many events a segment of usual size has.
const perSegment = 32768

// BenchmarkSegment measures segments of the same messages, stored plain and sealed: what an event takes there, and how fast it is
// archived and read.
func BenchmarkSegment(b *testing.B) {
	texts := segmenttest.NaturalTexts(b, perSegment)
	for name, ring := range map[string]*seal.Ring{"plain": nil, "sealed": segmenttest.NewRing(b)} {
		b.Run(name, func(b *testing.B) {
			log := segmenttest.NewLog(3, 1)
			log.Ring = ring
			log.Messages(b, perSegment, texts)
			benchmark(b, log)
		})
	}
}

func benchmark(b *testing.B, log *segmenttest.Log) {
	b.Helper()
	bytes := 0
	for _, r := range log.Records {
		bytes += len(r.ID) + len(r.Metadata) + len(r.Payload)
	}
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
			b.ReportMetric(float64(bytes)/perSegment, "bytes-in-log/event")
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
		texts := 0
		for b.Loop() {
			texts = 0
			for _, r := range opened(b, best, log.Ring) {
				fact, err := r.Fact()
				if err != nil {
					b.Fatal(err)
				}
				texts += len(fact.(*domain.MessageSent).Body.Text)
			}
		}
		events(b)
		b.ReportMetric(float64(texts)/perSegment, "bytes-of-text/event")
	})
}

// opened returns the records of a segment, with what is sealed in them opened.
func opened(b *testing.B, data []byte, ring *seal.Ring) []*schema.Record {
	b.Helper()
	records, err := segment.Decode(data)
	if err == nil && ring != nil {
		err = ring.Open(b.Context(), records)
	}
	if err != nil {
		b.Fatal(err)
	}
	return records
}

// events reports the rate of events: those of one core, as a replay of a partition has it.
func events(b *testing.B) {
	b.Helper()
	b.ReportMetric(float64(b.N)*perSegment/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(0, "ns/op")
}
