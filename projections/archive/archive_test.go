package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/uptrace/bun"
	"go.uber.org/goleak"

	"mpim/domain"
	"mpim/projections/archive"
	"mpim/projections/archive/segment/segmenttest"
	"mpim/projections/database"
	"mpim/projections/projectionstest"
	"mpim/schema"
)

var mariadb *projectionstest.MariaDBServer

func TestMain(m *testing.M) {
	var err error
	if mariadb, err = projectionstest.NewMariaDB(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := errors.Join(mariadb.Close(), goleak.Find()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// onEachDatabase runs a test on both.
func onEachDatabase(t *testing.T, test func(t *testing.T, db *database.DB)) {
	t.Helper()
	for name, url := range map[string]func(*testing.T) string{
		"mariadb": func(t *testing.T) string { t.Helper(); return mariadb.URL(mariadb.CreateDatabase(t)) },
		"sqlite":  func(t *testing.T) string { t.Helper(); return "sqlite://" + filepath.Join(t.TempDir(), "mpim.db") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, projectionstest.Open(t, url(t)))
		})
	}
}

// stream is the log in memory.
type stream struct {
	mu      sync.Mutex
	log     *segmenttest.Log
	trimmed int64
	keep    time.Duration
	err     error
}

func (s *stream) Read(_ context.Context, partition int, after schema.Checkpoint, limit int) ([]*schema.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || partition != s.log.Partition {
		return nil, s.err
	}
	if after.Seq < s.trimmed || after.Seq > 0 && s.log.Records[after.Seq-1].StreamID != after.StreamID {
		return nil, fmt.Errorf("read behind %+v, trimmed to %d", after, s.trimmed)
	}
	records := s.log.Records[after.Seq:]
	return records[:min(len(records), limit)], nil
}

func (s *stream) Trim(_ context.Context, _ int, to schema.Checkpoint, keep time.Duration) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := to.Seq - 1 - s.trimmed
	s.trimmed, s.keep = to.Seq-1, keep
	return n, nil
}

func (s *stream) add(t *testing.T, n int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log.Messages(t, n, []string{"one text", "another text", "a third one"})
}

func (s *stream) head() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(len(s.log.Records))
}

func newStream() *stream { return &stream{log: segmenttest.NewLog(0, 1)} }

func newArchiver(t *testing.T, db *database.DB, s archive.Stream, worker string) *archive.Archiver {
	t.Helper()
	a, err := archive.New(archive.Config{DB: db, Stream: s, Partitions: 2, Worker: worker, Every: 2 * time.Millisecond, Lease: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// wantAll wants exactly the records in the archive, from every position on.
func wantAll(t *testing.T, db *database.DB, want []*schema.Record, step int) {
	t.Helper()
	stored := archive.Archive{DB: db}
	for from := 0; from <= len(want); from += step {
		seq := int64(from)
		for {
			records, err := stored.After(t.Context(), 0, seq)
			if err != nil {
				t.Fatal(err)
			}
			if len(records) == 0 {
				break
			}
			for _, r := range records {
				w := want[seq]
				if r.Position != w.Position || r.ID != w.ID || r.StreamID != w.StreamID || !bytes.Equal(r.Metadata, w.Metadata) || !bytes.Equal(r.Payload, w.Payload) {
					t.Fatalf("from %d: %s is %+v, want %+v", from, r.Position, r, w)
				}
				seq++
			}
			if step > 1 {
				break
			}
		}
		if step == 1 && seq != int64(len(want)) {
			t.Fatalf("from %d the archive ends at %d, want %d", from, seq, len(want))
		}
	}
}

func TestArchiveHoldsEveryEventOnce(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		s := newStream()
		a := newArchiver(t, db, s, "a")
		for round := range 40 { // more than twice what is merged at once
			s.add(t, 1+round%3)
			if round == 7 {
				s.log.Add(t, "5-0", "broken", []byte("no metadata"), []byte("no payload"))
			}
			if err := a.Now(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
		}
		wantAll(t, db, s.log.Records, 1)
		size, err := archive.Archive{DB: db}.Size(t.Context())
		if err != nil || size.Events != s.head() || size.Segments >= 40 || size.Segments < 3 {
			t.Errorf("the archive is %+v, %v; want %d events in a few segments", size, err, s.head())
		}
		states, err := archive.Archive{DB: db}.States(t.Context())
		if err != nil || len(states) != 2 || states[0].VerifiedTo != s.head() || states[0].ArchivedTo != s.head() {
			t.Errorf("states are %+v, %v", states, err)
		}
		if n, err := a.Trim(t.Context()); err != nil || n != s.head()-1 || s.keep != archive.DefaultKeep {
			t.Errorf("trimmed %d, %v, keeping %s", n, err, s.keep)
		}
	})
}

func TestArchiveFindsEventsByIDAndTime(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		s := newStream()
		a := newArchiver(t, db, s, "a")
		for range 20 {
			s.add(t, 9)
			if err := a.Now(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
		}
		stored := archive.Archive{DB: db}
		for _, r := range s.log.Records {
			found, err := stored.Event(t.Context(), r.ID)
			if err != nil || found.Position != r.Position {
				t.Fatalf("%s: %v, %v", r.Position, found, err)
			}
			found, err = stored.Message(t.Context(), r.Conversation(), r.ConversationSeq)
			if err != nil || found.Position != r.Position {
				t.Fatalf("message at %s: %v, %v", r.Position, found, err)
			}
			before, err := stored.Before(t.Context(), 0, r.At)
			if err != nil || before >= r.Seq || before > 0 && !s.log.Records[before-1].At.Before(r.At) {
				t.Fatalf("before %s: %d, %v", r.Position, before, err)
			}
		}
		last := s.log.Records[len(s.log.Records)-1]
		if _, err := stored.Event(t.Context(), last.ID.Behind(1)); domain.CodeOf(err) != domain.NotFound {
			t.Errorf("an event that is not there: %v", err)
		}
		if _, err := stored.Message(t.Context(), last.Conversation(), last.ConversationSeq+1); domain.CodeOf(err) != domain.NotFound {
			t.Errorf("a message that is not there: %v", err)
		}
		if before, err := stored.Before(t.Context(), 0, last.At.Add(time.Hour)); err != nil || before != last.Seq {
			t.Errorf("before an hour later: %d, %v", before, err)
		}
	})
}

// Several workers archive, each is stopped now and then, and events come all the while.
func TestArchiversTakeTurns(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		s := newStream()
		stop := make(chan struct{})
		var running sync.WaitGroup
		for i := range 3 {
			running.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(20+10*i)*time.Millisecond)
					if err := newArchiver(t, db, s, fmt.Sprint("w", i)).Run(ctx); err != nil {
						t.Error(err)
					}
					cancel()
				}
			})
		}
		for range 30 {
			s.add(t, 5)
			await(t, db, s.head()-20)
		}
		await(t, db, s.head())
		close(stop)
		running.Wait()
		wantAll(t, db, s.log.Records, 1)
	})
}

// await waits until the archive has come to a sequence.
func await(t *testing.T, db *database.DB, seq int64) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for {
		states, err := archive.Archive{DB: db}.States(context.Background())
		if err == nil && (seq <= 0 || len(states) > 0 && states[0].VerifiedTo >= seq) {
			return
		}
		select {
		case <-deadline.C:
			t.Fatalf("the archive is %+v, %v; want %d", states, err, seq)
		case <-ticker.C:
		}
	}
}

func TestDamagedSegmentIsRefused(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		s := newStream()
		s.add(t, 50)
		if err := newArchiver(t, db, s, "a").Now(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if err := db.Write(t.Context(), func(ctx context.Context, tx bun.Tx) error {
			_, err := tx.ExecContext(ctx, "UPDATE archive_segments SET from_seq = 2, to_seq = 51")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		var damaged *archive.DamagedError
		if _, err := (archive.Archive{DB: db}).After(t.Context(), 0, 20); !errors.As(err, &damaged) || damaged.From != 2 {
			t.Errorf("a segment in another place: %v", err)
		}
		if err := db.Write(t.Context(), func(ctx context.Context, tx bun.Tx) error {
			_, err := tx.ExecContext(ctx, "UPDATE archive_segments SET from_seq = 1, to_seq = 50, sha256 = 'x'")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := (archive.Archive{DB: db}).After(t.Context(), 0, 20); !errors.As(err, &damaged) {
			t.Errorf("a segment with another hash: %v", err)
		}
	})
}
