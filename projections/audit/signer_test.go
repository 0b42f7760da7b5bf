package audit_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/mod/sumdb/tlog"

	"mpim/projections/archive"
	"mpim/projections/archive/segment/segmenttest"
	"mpim/projections/audit"
	"mpim/projections/database"
	"mpim/projections/projectionstest"
	"mpim/schema"
	"mpim/schema/proof"
)

func TestMain(m *testing.M) {
	code := projectionstest.Main(m)
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

const logID = "0123456789abcdef0123456789abcdef"

// partitions is how many the logs of the tests have.
const partitions = 2

// fixture is a log that is archived and signed.
type fixture struct {
	*testing.T
	db       *database.DB
	stream   *stream
	witness  *witness
	private  string
	keys     *proof.Keys
	archiver *archive.Archiver
}

func newFixture(t *testing.T, db *database.DB) *fixture {
	t.Helper()
	private, err := proof.NewKey("test")
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{T: t, db: db, stream: newStream(), witness: &witness{}, private: private}
	f.work(private)
	return f
}

// work has another worker archive and sign from here on.
func (f *fixture) work(keys string) {
	f.Helper()
	var err error
	if f.keys, err = proof.ParseKeys(keys); err != nil {
		f.Fatal(err)
	}
	signer, err := audit.NewSigner(audit.Config{DB: f.db, Log: logID, Partitions: partitions, Keys: f.keys, Stream: f.stream, Witness: f.witness, Logger: slog.New(slog.NewTextHandler(f.Output(), nil))})
	if err != nil {
		f.Fatal(err)
	}
	f.archiver, err = archive.New(archive.Config{DB: f.db, Stream: f.stream, Partitions: partitions, Worker: "a", Signer: signer})
	if err != nil {
		f.Fatal(err)
	}
}

// add adds events to a partition, archives and signs them.
func (f *fixture) add(partition, n int) {
	f.Helper()
	f.stream.add(f.T, partition, n)
	f.sign()
}

func (f *fixture) sign() {
	f.Helper()
	if err := f.archiver.Now(f.Context(), nil); err != nil {
		f.Fatal(err)
	}
}

// newest returns the newest signed head.
func (f *fixture) newest() proof.Head {
	f.Helper()
	h, _, err := audit.Heads{DB: f.db}.Newest(f.Context(), f.keys)
	if err != nil {
		f.Fatal(err)
	}
	return h
}

// stream is the log in memory.
type stream struct {
	mu      sync.Mutex
	logs    []*segmenttest.Log
	trimmed [partitions]int64
	// shown changes what a verification sees.
	shown func(partition int, entries []*schema.Record) []*schema.Record
}

func newStream() *stream {
	s := &stream{}
	for partition := range partitions {
		s.logs = append(s.logs, segmenttest.NewLog(partition, uint64(partition)))
	}
	return s
}

func (s *stream) Read(_ context.Context, partition int, after schema.Checkpoint, limit int) ([]*schema.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if after.Seq < s.trimmed[partition] {
		return nil, errors.New("trimmed")
	}
	records := s.logs[partition].Records[after.Seq:]
	return records[:min(len(records), limit)], nil
}

func (s *stream) Trim(_ context.Context, partition int, to schema.Checkpoint, _ time.Duration) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := to.Seq - 1 - s.trimmed[partition]
	s.trimmed[partition] = to.Seq - 1
	return n, nil
}

func (s *stream) add(t *testing.T, partition, n int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logs[partition].Messages(t, n, []string{"one text", "another text", "a third one"})
}

// root is what the tree of a partition's first events has to be.
func (s *stream) root(t *testing.T, partition int, n int64) tlog.Hash {
	t.Helper()
	var hashes []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		list := make([]tlog.Hash, len(indexes))
		for i, n := range indexes {
			list[i] = hashes[n]
		}
		return list, nil
	})
	for i, r := range s.logs[partition].Records[:n] {
		more, err := tlog.StoredHashesForRecordHash(int64(i), new(proof.Hasher).Hash(proof.EventOf(r)), reader)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, more...)
	}
	root, err := tlog.TreeHash(n, reader)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// witness keeps a head in memory.
type witness struct {
	head []byte
	err  error
}

func (w *witness) Kept(context.Context) ([]byte, error) { return w.head, w.err }

func (w *witness) Keep(_ context.Context, head []byte) error {
	if w.err == nil {
		w.head = slices.Clone(head)
	}
	return w.err
}

// wantTree wants the newest head to sign exactly the events that there are.
func (f *fixture) wantTree(sizes ...int64) {
	f.Helper()
	h := f.newest()
	for partition, n := range sizes {
		if got := h.Trees[partition]; got.N != n || got.Hash != f.stream.root(f.T, partition, n) {
			f.Fatalf("head %d has %d events of partition %d, root %s; want %d", h.Number, got.N, partition, got.Hash, n)
		}
	}
}

// Whatever is added at once, and whoever goes on, the heads sign the tree of the events.
func TestSignerSignsTheTreeOfTheEvents(t *testing.T) {
	t.Parallel()
	projectionstest.Each(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		f := newFixture(t, db)
		f.sign()
		if h, ok, err := (audit.Heads{DB: db}).Newest(t.Context(), f.keys); ok || err != nil {
			t.Fatalf("head %+v of no events, %v", h, err)
		}
		total := [partitions]int64{}
		for round, n := range []int{1, 2, 253, 1, 600, 5, 1, 40} {
			partition := round / 3 % 2
			f.add(partition, n)
			total[partition] += int64(n)
			f.wantTree(total[:]...)
			if round%2 == 1 {
				f.work(f.private)
			}
		}
		before := f.newest()
		f.sign()
		if h := f.newest(); h.Number != before.Number || h.Number != 8 {
			t.Errorf("head %d follows head %d without new events", h.Number, before.Number)
		}
	})
}

// A log that was archived before anybody signed is signed from its first event on.
func TestSignerSignsWhatWasArchivedBefore(t *testing.T) {
	t.Parallel()
	projectionstest.Each(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		f := newFixture(t, db)
		signing := f.archiver
		unsigned, err := archive.New(archive.Config{DB: db, Stream: f.stream, Partitions: partitions, Worker: "b"})
		if err != nil {
			t.Fatal(err)
		}
		f.archiver = unsigned
		for range 20 {
			f.add(0, 30)
		}
		f.archiver = signing
		f.add(1, 3)
		f.wantTree(600, 3)
	})
}

// What the database lost, and Redis kept, is signed again only where the events are those that were signed.
func TestSignerGoesOnBehindARestoredDatabase(t *testing.T) {
	t.Parallel()
	projectionstest.Each(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		f := newFixture(t, db)
		f.add(0, 10)
		f.add(0, 10)
		f.add(1, 10)
		execute(t, db, "DELETE FROM audit_heads WHERE number > 1")
		execute(t, db, "DELETE FROM audit_tiles WHERE log_partition = 1")
		f.work(f.private)
		f.add(1, 1)
		if h := f.newest(); h.Number != 4 {
			t.Errorf("the newest head is %d", h.Number)
		}
		f.wantTree(20, 11)
	})
}

func TestSignerRefusesWhatWasNotSigned(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(f *fixture){
		"all heads are gone, and the events are others": func(f *fixture) {
			execute(f.T, f.db, "DELETE FROM audit_heads")
			execute(f.T, f.db, "DELETE FROM audit_tiles")
			f.rewrite(0, 5, func(r *schema.Record) { r.Payload = append(slices.Clone(r.Payload[:len(r.Payload)-1]), " }"...) })
		},
		"a stored hash is another": func(f *fixture) {
			f.changeTile(0, 0, func(hashes []byte) []byte { hashes[7] ^= 1; return hashes })
		},
		"a stored hash is missing": func(f *fixture) {
			f.changeTile(0, 0, func(hashes []byte) []byte { return hashes[32:] })
		},
		"the archive was cut": func(f *fixture) {
			execute(f.T, f.db, "UPDATE archive_partitions SET archived_to = 3, verified_to = 3 WHERE log_partition = 0")
		},
		"the newest head was signed by a stranger": func(f *fixture) {
			stranger, err := proof.NewKey("test")
			if err != nil {
				f.Fatal(err)
			}
			keys, err := proof.ParseKeys(stranger)
			if err != nil {
				f.Fatal(err)
			}
			h := f.newest()
			h.Number++
			signed, err := keys.Sign(&h)
			if err != nil {
				f.Fatal(err)
			}
			f.insertHead(h, signed)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, projectionstest.Open(t, "sqlite::memory:"))
			f.add(0, 10)
			spoil(f)
			f.work(f.private)
			rows := f.heads()
			if name != "the archive was cut" { // then it cannot go on either
				f.add(1, 5)
			}
			f.sign()
			if after := f.heads(); after != rows {
				t.Errorf("%d heads before, %d after", rows, after)
			}
		})
	}
}

func TestSignerGivesTheWitnessBackWhatItLost(t *testing.T) {
	t.Parallel()
	f := newFixture(t, projectionstest.Open(t, "sqlite::memory:"))
	f.add(0, 10)
	kept := f.witness.head
	f.witness.head = nil
	f.work(f.private)
	f.sign()
	if !slices.Equal(f.witness.head, kept) || f.heads() != 1 {
		t.Errorf("the witness has %q, not %q", f.witness.head, kept)
	}
}

// Who can write to the database keeps heads from being written, changes what waits, and lets it be signed.
func TestSignerComparesWhatWaitsWithTheStream(t *testing.T) {
	t.Parallel()
	projectionstest.Each(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		f := newFixture(t, db)
		f.add(0, 10)
		h := f.newest()
		h.Number++
		f.insertHead(h, []byte("none"))
		f.add(0, 10)
		original := f.rowOf(0, 15).records(t)[15-f.rowOf(0, 15).From].Payload
		f.rewrite(0, 15, func(r *schema.Record) { r.Payload = swapped(r.Payload) })
		execute(t, db, "DELETE FROM audit_heads WHERE number = ?", h.Number)
		f.sign()
		f.add(1, 5)
		if n := f.newest().Number; n != 1 {
			t.Fatalf("head %d signs an event that was changed", n)
		}
		f.rewrite(0, 15, func(r *schema.Record) { r.Payload = original })
		f.sign()
		f.wantTree(20, 5)
	})
}

// Who replaces the key says which one it was before.
func TestSignerTakesAnotherKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t, projectionstest.Open(t, "sqlite::memory:"))
	f.add(0, 10)
	old := f.keys.Public()[0]
	next, err := proof.NewKey("next")
	if err != nil {
		t.Fatal(err)
	}
	f.work(next)
	f.add(0, 10)
	if n := f.heads(); n != 1 {
		t.Fatalf("%d heads: a new key signs on its own", n)
	}
	f.work(next + "," + old)
	f.add(0, 10)
	f.wantTree(30, 0)
	if h := f.newest(); len(h.Keys) != 1 || h.Keys[0] == old || h.Number != 2 {
		t.Errorf("head %+v", h)
	}
}

// A Redis that cannot be reached keeps a new worker from signing, and never from archiving.
func TestSignerWaitsForTheWitness(t *testing.T) {
	t.Parallel()
	f := newFixture(t, projectionstest.Open(t, "sqlite::memory:"))
	f.add(0, 10)
	f.work(f.private)
	f.witness.err = errors.New("no answer")
	f.add(0, 10)
	if n := f.heads(); n != 1 {
		t.Errorf("%d heads", n)
	}
	states, err := archive.Archive{DB: f.db}.States(t.Context())
	if err != nil || states[0].VerifiedTo != 20 {
		t.Errorf("%+v, %v", states, err)
	}
	f.witness.err = nil
	f.sign()
	f.wantTree(20, 0)
}
