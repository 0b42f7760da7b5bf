package main

import (
	"context"
	"io"
	"iter"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"mpim/projections/archive"
	"mpim/projections/archive/segment/segmenttest"
	"mpim/projections/projectionstest"
	"mpim/schema"
	"mpim/streams"
	"mpim/streams/streamstest"
)

// replayedPartition is how many messages each of the partitions holds that are replayed.
const replayedPartition = 1 << 14

// BenchmarkReplay replays an archive of messages of about 200 bytes in 16 partitions as `mpim replay` does, once stored plain and
// once sealed:
//
//   - raw: read, merged by time and filtered; no event is wanted, so none is opened.
//   - decoded: every event is opened and decoded.
//   - printed: every event is opened, and written as a JSON Line.
//
// It reports the events by second of processor time, as one core has them, and by second of the clock. BenchmarkSegment reads one
// segment that is in memory, and so shows the limit.
func BenchmarkReplay(b *testing.B) {
	for name, sealing := range map[string]string{"plain": "off", "sealed": sealingOn} {
		b.Run(name, func(b *testing.B) { benchmarkReplay(b, newReplayed(b, sealing)) })
	}
}

func benchmarkReplay(b *testing.B, s *replayed) {
	b.Helper()
	heads, err := s.Heads(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	total := int64(0)
	for _, head := range heads {
		total += head
	}
	for name, each := range map[string]func(wanted *chosen) error{
		"raw": func(wanted *chosen) error {
			wanted.Type = "conversation.*"
			return drain(s.opened(b.Context(), s.replay(s.invocation, wanted), wanted.match), func(*schema.Record) error { return nil })
		},
		"decoded": func(wanted *chosen) error {
			return drain(s.opened(b.Context(), s.replay(s.invocation, wanted), wanted.match), func(r *schema.Record) error {
				_, err := r.Fact()
				return err
			})
		},
		"printed": func(*chosen) error { return (&replayCommand{JSON: true}).Run(s.invocation) },
	} {
		b.Run(name, func(b *testing.B) {
			began := processorTime(b)
			for b.Loop() {
				wanted, err := filters{}.parse()
				if err == nil {
					err = each(wanted)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
			read := float64(b.N) * float64(total)
			b.ReportMetric(read/(processorTime(b)-began).Seconds(), "events/cpu-s")
			b.ReportMetric(read/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// processorTime is how long this process has worked.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func drain(records iter.Seq2[*schema.Record, error], use func(*schema.Record) error) error {
	for record, err := range records {
		if err == nil {
			err = use(record)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// replayed is a log that is archived, and in Redis no more.
type replayed struct {
	*stores
	streams.Reader

	invocation *invocation
}

func newReplayed(b *testing.B, sealing string) *replayed {
	b.Helper()
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	server := projectionstest.StartMariaDB(b)
	settings := &Settings{
		RedisURL: streamstest.StartRedis(b).URL(), DatabaseURL: server.URL(server.CreateDatabase(b)),
		AuthKey: strings.Repeat("test key ", 4), Seal: sealing, Partitions: 16,
	}
	s, err := openStores(b.Context(), settings, slog.New(slog.DiscardHandler))
	must(err)
	b.Cleanup(func() { _ = s.Close() })
	_, _, err = s.migrate(b.Context(), settings.Partitions)
	must(err)
	must(s.openSeal(settings, false))
	past := make(inMemory, settings.Partitions)
	heads := make([]int64, settings.Partitions)
	texts := segmenttest.NaturalTexts(b, replayedPartition)
	for partition := range past {
		past[partition] = segmenttest.NewLog(partition, uint64(partition)+1)
		if s.sealing {
			past[partition].Ring = s.ring
		}
		past[partition].Messages(b, replayedPartition, texts)
		heads[partition] = replayedPartition
		must(s.redis.HSet(b.Context(), schema.PartitionKey(partition, "meta"), "seq", replayedPartition).Err())
	}
	archiver, err := archive.New(archive.Config{DB: s.db, Stream: past, Partitions: settings.Partitions, Worker: "test"})
	must(err)
	must(archiver.Now(b.Context(), heads))
	return &replayed{stores: s, Reader: s.stored(), invocation: &invocation{
		ctx: b.Context(), settings: settings, stdout: io.Discard, stderr: io.Discard, logger: s.logger,
	}}
}

// inMemory is a log that grows no more, by partition. It implements archive.Stream.
type inMemory []*segmenttest.Log

func (l inMemory) Read(_ context.Context, partition int, after schema.Checkpoint, limit int) ([]*schema.Record, error) {
	records := l[partition].Records[after.Seq:]
	return records[:min(len(records), limit)], nil
}

func (l inMemory) Trim(context.Context, int, schema.Checkpoint, time.Duration) (int64, error) {
	return 0, nil
}
