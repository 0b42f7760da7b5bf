package batch_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"

	"mpim/schema"
	"mpim/streams/batch"
)

// segments is an archive in memory, of seven events each.
type segments struct {
	mu      sync.Mutex
	records map[int][]*schema.Record
	err     error
	asked   int
}

func (s *segments) After(_ context.Context, partition int, seq int64) ([]*schema.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.err != nil {
		err := s.err
		s.err = nil
		return nil, err
	}
	all := s.records[partition]
	if seq >= int64(len(all)) {
		return nil, nil
	}
	return slices.Clone(all[seq:min(len(all), int(seq/7*7)+7)]), nil
}

// archive archives the stream of a partition from where the archive ends, and trims it so that keep events stay.
func (s *segments) archive(t *testing.T, w *writer, partition, keep int) {
	t.Helper()
	entries, err := w.client.XRange(context.Background(), logKey(partition), "-", "+").Result()
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	for _, e := range entries {
		r, err := schema.DecodeRecord(partition, e.ID, e.Values[schema.UUIDField].(string), []byte(e.Values[schema.MetadataField].(string)), []byte(e.Values[schema.PayloadField].(string)))
		if err != nil {
			t.Error(err)
		}
		if r.Seq == int64(len(s.records[partition]))+1 {
			s.records[partition] = append(s.records[partition], &r)
		}
	}
	s.mu.Unlock()
	if len(entries) > keep {
		if err := w.client.XTrimMinID(context.Background(), logKey(partition), entries[len(entries)-keep].ID).Err(); err != nil {
			t.Fatal(err)
		}
	}
	w.client.HSet(context.Background(), schema.PartitionKey(partition, "meta"), "seq", strconv.FormatInt(w.last[partition], 10))
}

// A consumer whose checkpoint is behind what the stream still has goes on from the archive, wherever it stands.
func TestConsumerGoesOnFromTheArchive(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		w, archive, l := newWriter(s.t, s), &segments{records: make(map[int][]*schema.Record)}, newLedger()
		w.append(0, 100)
		archive.archive(s.t, w, 0, 1)
		w.append(0, 30)
		w.append(1, 20) // all of it trimmed but one, and nothing new
		archive.archive(s.t, w, 1, 1)
		w.append(2, 50)
		archive.archive(s.t, w, 2, 10)
		archive.mu.Lock()
		for n, r := range archive.records[2][:43] { // it stands in the middle of a segment, and of what was trimmed
			l.applied[2] = append(l.applied[2], int64(n)+1)
			l.at[2] = schema.Checkpoint{Seq: r.Seq, StreamID: r.StreamID}
		}
		archive.err = errors.New("the archive is down")
		archive.mu.Unlock()
		sub := newSubscriber(s.t, s, l, func(c *batch.Config) { c.Segments = archive })
		sub.consume(sub.subscribe("history"), nil)
		for partition := range 3 {
			sub.hold("history", partition, 1)
		}
		l.await(s.t, 0, 130)
		l.await(s.t, 1, 20)
		l.await(s.t, 2, 50)
		w.append(1, 5)
		l.await(s.t, 1, 25)
	})
}

// What is trimmed while a consumer reads, it reads from the archive; and one that keeps up never asks.
func TestConsumerReadsWhileTheStreamIsTrimmed(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		w, archive, l := newWriter(s.t, s), &segments{records: make(map[int][]*schema.Record)}, newLedger()
		sub := newSubscriber(s.t, s, l, func(c *batch.Config) { c.Segments, c.Consumers[0].Size = archive, 5 })
		var turn sync.Mutex
		sub.consume(sub.subscribe("history"), func(b *schema.Batch) error {
			turn.Lock()
			defer turn.Unlock()
			return l.apply(b, -1)
		})
		w.append(0, 10)
		sub.hold("history", 0, 1)
		l.await(s.t, 0, 10)
		archive.mu.Lock()
		asked := archive.asked
		archive.mu.Unlock()
		if asked > 0 {
			s.t.Errorf("the archive was asked %d times by one who keeps up", asked)
		}
		total := int64(10)
		for range 5 {
			turn.Lock()
			w.append(0, 60)
			total += 60
			archive.archive(s.t, w, 0, 3)
			turn.Unlock()
			w.append(0, 2)
			total += 2
			l.await(s.t, 0, total)
		}
		archive.mu.Lock()
		defer archive.mu.Unlock()
		if archive.asked == 0 {
			s.t.Error("the archive was never asked")
		}
	})
}
