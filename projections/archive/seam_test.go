package archive_test

import (
	"context"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/projections/archive"
	"mpim/projections/database"
	"mpim/projections/projectionstest"
	"mpim/schema"
	"mpim/streams"
	"mpim/streams/streamstest"
)

const seamPartitions = 2

// seam is a log on a real server that is archived and trimmed all the while.
type seam struct {
	*testing.T
	client *redis.Client
	log    *streams.Log
	db     *database.DB
	groups [seamPartitions]domain.Aggregate
	sent   [seamPartitions]int64
}

// newSeam starts it. Events stay in the stream for keep once they are archived.
func newSeam(t *testing.T, keep time.Duration) *seam {
	t.Helper()
	// Small nodes, so that the beginning of the stream moves often.
	server := streamstest.StartRedis(t, streamstest.With("stream-node-max-entries", "5"))
	identity, err := streams.NewIdentity(seamPartitions)
	if err != nil {
		t.Fatal(err)
	}
	s := &seam{T: t, client: server.Client(), db: projectionstest.Open(t, "sqlite://"+filepath.Join(t.TempDir(), "mpim.db"))}
	if err := streams.Create(t.Context(), s.client, identity); err != nil {
		t.Fatal(err)
	}
	if s.log, err = streams.New(streams.Config{Client: s.client, Identity: identity}); err != nil {
		t.Fatal(err)
	}
	archiver, err := archive.New(archive.Config{
		DB: s.db, Stream: streams.Stream{Client: s.client, Identity: func() streams.Identity { return identity }},
		Partitions: seamPartitions, Worker: "a", Every: 5 * time.Millisecond, Keep: func() time.Duration { return keep },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{s.log.Run, archiver.Run} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { cancel(); running.Wait() })
	for i, found := 0, 0; found < seamPartitions; i++ {
		a := identity.Placement().Group("u", strconv.Itoa(i)).Aggregate()
		if p, _ := a.Partition(); s.groups[p] == (domain.Aggregate{}) {
			s.groups[p] = a
			found++
		}
	}
	return s
}

// append appends messages to a partition, many at once.
func (s *seam) append(partition, n int) {
	s.Helper()
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() {
			_, err := s.log.Append(s.Context(), domain.Commit{
				Aggregate: s.groups[partition], Guards: []domain.Guard{{Field: domain.VersionField}},
				Request: &domain.Request{Key: [12]byte{byte(partition), byte(s.sent[partition] >> 8), byte(s.sent[partition]), byte(i >> 8), byte(i)}},
				At:      time.Now(), Actor: "u", Events: []domain.Fact{&domain.MessageSent{ClientID: strconv.Itoa(i), Body: domain.Body{Type: "text", Text: "text"}}},
			})
			if err != nil {
				s.Error(err)
			}
		})
	}
	running.Wait()
	s.sent[partition] += int64(n)
}

func (s *seam) reader() streams.Reader {
	return streams.Reader{Client: s.client, Partitions: seamPartitions, Segments: archive.Archive{DB: s.db}, Page: 7}
}

// wantFrom reads a partition from a position and wants every event behind it, once, in order.
func (s *seam) wantFrom(partition int, from schema.Checkpoint, to int64) {
	next := from.Seq + 1
	for r, err := range s.reader().Partition(s.Context(), partition, from) {
		if err != nil || r.Seq != next || r.ConversationSeq != domain.Seq(next) || r.StreamID == "" || r.Broken != nil {
			s.Errorf("from %d:%d: %v, %v; want %d", partition, from.Seq, r, err, next)
			return
		}
		next++
	}
	if next <= to {
		s.Errorf("from %d:%d the log ends before %d, want %d", partition, from.Seq, next, to)
	}
}

// first returns the lowest sequence that the stream of partition 0 holds.
func (s *seam) first() int64 {
	s.Helper()
	entries, err := s.client.XRangeN(s.Context(), schema.PartitionKey(0, "log"), "-", "+", 1).Result()
	if err != nil || len(entries) != 1 {
		s.Fatalf("the stream begins with %v, %v", entries, err)
	}
	r, err := schema.DecodeRecord(0, entries[0].ID, "", []byte(entries[0].Values["metadata"].(string)), []byte(entries[0].Values["payload"].(string)))
	if err != nil {
		s.Fatal(err)
	}
	return r.Seq
}

// At every offset around the seam, with the address and without, while the seam moves.
func TestReaderHasNoSeam(t *testing.T) {
	t.Parallel()
	s := newSeam(t, 0)
	var addresses []string
	for round := range 6 {
		s.append(0, 40)
		s.append(1, 3)
		if round == 0 {
			await(t, s.db, 40)
		}
		addresses = addresses[:0]
		for r, err := range s.reader().Partition(t.Context(), 0, schema.Checkpoint{}) {
			if err != nil {
				t.Fatal(err)
			}
			addresses = append(addresses, r.StreamID)
		}
		first := s.first()
		var running sync.WaitGroup
		for from := max(0, first-30); from < s.sent[0]; from++ {
			running.Go(func() { s.wantFrom(0, schema.Checkpoint{Seq: from}, s.sent[0]) })
			if from > 0 {
				running.Go(func() { s.wantFrom(0, schema.Checkpoint{Seq: from, StreamID: addresses[from-1]}, s.sent[0]) })
			}
		}
		running.Go(func() { s.append(1, 20) })
		running.Wait()
	}
	if first := s.first(); first < 2 {
		t.Errorf("nothing was trimmed: the stream begins with %d", first)
	}
	reader := s.reader()
	for seq := int64(1); seq <= s.sent[0]; seq += 7 {
		r, err := reader.At(t.Context(), domain.Position{Seq: seq})
		if err != nil || r.Seq != seq {
			t.Fatalf("at 0:%d: %v, %v", seq, r, err)
		}
		found, err := reader.Event(t.Context(), r.ID)
		if err != nil || found.Position != r.Position {
			t.Fatalf("event %s: %v, %v", r.ID, found, err)
		}
	}
	if _, err := reader.At(t.Context(), domain.Position{Seq: s.sent[0] + 1}); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("behind the end: %v", err)
	}
	merged := int64(0)
	for _, err := range reader.Merged(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		merged++
	}
	if want := s.sent[0] + s.sent[1]; merged != want {
		t.Errorf("merged reading gives %d events, want %d", merged, want)
	}
	if newest, err := reader.Latest(t.Context(), 0, 200); err != nil || len(newest) != 200 || newest[199].Seq != s.sent[0] {
		t.Errorf("the newest are %d, %v", len(newest), err)
	}
	followed := int64(0)
	for r, err := range reader.Follow(t.Context(), make([]schema.Checkpoint, seamPartitions)) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Partition == 0 {
			if followed++; r.Seq != followed {
				t.Fatalf("following gives %d, want %d", r.Seq, followed)
			}
			if followed == s.sent[0] {
				break
			}
		}
	}
	var gap *streams.GapError
	alone := streams.Reader{Client: s.client, Partitions: seamPartitions}
	for _, err := range alone.Partition(t.Context(), 0, schema.Checkpoint{}) {
		if gap, _ = err.(*streams.GapError); err != nil { //nolint:errorlint // it is not wrapped
			break
		}
	}
	if gap == nil || !gap.NoArchive {
		t.Errorf("without an archive: %v", gap)
	}
}

// Ten times what the window holds is written: Redis holds no more than the window, and nothing is missing.
func TestSoakKeepsRedisBounded(t *testing.T) {
	t.Parallel()
	const rounds, each = 40, 250
	const window = 100 * time.Millisecond
	s := newSeam(t, window)
	most, memory := int64(0), int64(0)
	for round := range rounds {
		s.append(0, each)
		await(t, s.db, s.sent[0])
		// Rounds are as long as the window is.
		select {
		case <-time.After(window / 4):
		case <-t.Context().Done():
		}
		length := s.client.XLen(t.Context(), schema.PartitionKey(0, "log")).Val()
		if most = max(most, length); round == rounds/4 {
			memory = s.client.MemoryUsage(t.Context(), schema.PartitionKey(0, "log")).Val()
		}
	}
	t.Logf("%d events were written, at most %d were in Redis", rounds*each, most)
	if most > rounds*each/2 {
		t.Errorf("Redis held %d of %d events", most, rounds*each)
	}
	if after := s.client.MemoryUsage(t.Context(), schema.PartitionKey(0, "log")).Val(); after > 3*memory {
		t.Errorf("the stream took %d bytes after a quarter and %d at the end", memory, after)
	}
	s.wantFrom(0, schema.Checkpoint{}, s.sent[0])
}
