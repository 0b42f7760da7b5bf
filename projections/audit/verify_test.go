package audit_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun"
	"golang.org/x/mod/sumdb/tlog"

	"mpim/projections/archive"
	"mpim/projections/audit"
	"mpim/projections/database"
	"mpim/projections/projectionstest"
	"mpim/schema"
	"mpim/schema/proof"
)

// Heads and Entries let the stream be verified.
func (s *stream) Heads(context.Context) ([]int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	heads := make([]int64, len(s.logs))
	for partition, log := range s.logs {
		heads[partition] = s.trimmed[partition] + int64(len(log.Records)-int(s.trimmed[partition]))
	}
	return heads, nil
}

func (s *stream) Entries(_ context.Context, partition int, after string, limit int) ([]*schema.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entries := s.logs[partition].Records[s.trimmed[partition]:]
	if s.shown != nil {
		entries = s.shown(partition, entries)
	}
	if after != "" {
		entries = entries[1+slices.IndexFunc(entries, func(r *schema.Record) bool { return r.StreamID == after }):]
	}
	return entries[:min(len(entries), limit)], nil
}

func (f *fixture) verifier() *audit.Verifier {
	return &audit.Verifier{DB: f.db, Log: logID, Partitions: partitions, Keys: f.keys, Stream: f.stream, Witness: f.witness}
}

func (f *fixture) verify(v *audit.Verifier) *audit.Report {
	f.Helper()
	report, err := v.Verify(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	return report
}

// wantOK wants a verification to find nothing.
func (f *fixture) wantOK(v *audit.Verifier) *audit.Report {
	f.Helper()
	report := f.verify(v)
	if !report.OK() {
		f.Fatalf("problems: %+v", report.Problems)
	}
	h := f.newest()
	if len(h.Trees) == 0 { // of no events
		h.Trees = make([]tlog.Tree, partitions)
		for n := range h.Trees {
			h.Trees[n].Hash = report.Partitions[n].Root
		}
	}
	for partition, p := range report.Partitions {
		if p.Partition != partition || p.Events != h.Trees[partition].N || p.Root != h.Trees[partition].Hash {
			f.Fatalf("partition %d: %+v, want %+v", partition, p, h.Trees[partition])
		}
	}
	return report
}

// wantProblem wants a verification to find a problem at a position, with some words in it, and no other.
func wantProblem(t *testing.T, report *audit.Report, position string, words ...string) {
	t.Helper()
	found := false
	for _, p := range report.Problems {
		match := p.Position == position
		for _, w := range words {
			match = match && strings.Contains(p.What, w)
		}
		found = found || match
		if place, _, ok := strings.Cut(p.Position, ":"); ok && strconv.Itoa(p.Partition) != place {
			t.Errorf("partition %d at %s", p.Partition, p.Position)
		}
	}
	if !found {
		t.Errorf("no problem at %s with %q: %+v", position, words, report.Problems)
	}
}

// wantOnly is wantProblem where nothing else may be found.
func wantOnly(t *testing.T, report *audit.Report, position string, words ...string) {
	t.Helper()
	wantProblem(t, report, position, words...)
	if len(report.Problems) != 1 {
		t.Errorf("%d problems: %+v", len(report.Problems), report.Problems)
	}
}

// filled returns a log of some heads and segments: partition 0 has 340 events, partition 1 has 40.
func filled(t *testing.T, db *database.DB) *fixture {
	t.Helper()
	f := newFixture(t, db)
	for _, n := range []int{10, 20, 30, 280} {
		f.add(0, n)
		f.add(1, 10)
	}
	return f
}

func TestSoundLogVerifies(t *testing.T) {
	t.Parallel()
	projectionstest.Each(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		f := newFixture(t, db)
		f.wantOK(f.verifier())
		kept := []audit.KeptHead{}
		steps := int64(0)
		for round, n := range []int{1, 255, 1, 3, 700, 2} {
			f.add(round%2, n)
			f.stream.add(t, 1, round) // not archived yet
			v := f.verifier()
			v.Against = kept
			v.Step = func(n int64) { steps += n }
			kept = append(kept, audit.KeptHead{Name: fmt.Sprintf("file %d", round), Signed: f.wantOK(v).Note})
		}
		if steps == 0 {
			t.Error("nothing is told of the progress")
		}
		f.sign()
		for n := range kept {
			v := f.verifier()
			v.Since, v.Against = &kept[n], kept
			read := int64(0)
			v.Step = func(n int64) { read += n }
			f.wantOK(v)
			h, err := f.keys.Open(kept[n].Signed)
			if err != nil {
				t.Fatal(err)
			}
			fresh := int64(0)
			for partition, tree := range f.newest().Trees {
				fresh += tree.N - h.Trees[partition].N
			}
			v.Step = func(n int64) { read += n }
			if read = 0; fresh != 0 {
				f.wantOK(v)
			}
			if read > fresh {
				t.Errorf("since file %d %d events were read, and %d are new", n, read, fresh)
			}
		}
		for _, p := range []int{0, 1} {
			f.stream.trimmed[p] = 5
		}
		f.wantOK(f.verifier())
	})
}

// Merging segments changes no hash.
func TestMergedLogVerifies(t *testing.T) {
	t.Parallel()
	projectionstest.Each(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		f := newFixture(t, db)
		for range 15 {
			f.add(0, 3)
		}
		before, segments := f.wantOK(f.verifier()), len(f.segments(0))
		for range 3 {
			f.add(0, 3)
		}
		if n := len(f.segments(0)); n >= segments {
			t.Fatalf("%d segments before, %d now: nothing was merged", segments, n)
		}
		v := f.verifier()
		v.Against = []audit.KeptHead{{Name: "file", Signed: before.Note}}
		f.wantOK(v)
	})
}

// Who has a head from before sees that the end was cut, though what is left is a sound log.
func TestCutLogIsFoundByAKeptHead(t *testing.T) {
	t.Parallel()
	projectionstest.Each(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		f := newFixture(t, db)
		f.add(0, 10)
		early := audit.KeptHead{Name: "early.txt", Signed: slices.Clone(f.witness.head)}
		f.add(0, 10)
		late := audit.KeptHead{Name: "late.txt", Signed: slices.Clone(f.witness.head)}
		f.stream.logs[0].Records = f.stream.logs[0].Records[:10] // Redis lost them as well
		f.witness.head = nil
		execute(t, db, "DELETE FROM archive_segments WHERE from_seq > 10")
		execute(t, db, "UPDATE archive_partitions SET archived_to = 10, verified_to = 10, stream_id = ? WHERE log_partition = 0", f.stream.logs[0].Records[9].StreamID)
		execute(t, db, "DELETE FROM audit_heads WHERE number > 1")
		f.recompute()
		f.wantOK(f.verifier())
		v := f.verifier()
		v.Against = []audit.KeptHead{early}
		f.wantOK(v)
		v.Against = []audit.KeptHead{late}
		report := f.verify(v)
		wantProblem(t, report, "0:11", "events 0:11 to 0:20 were signed by head 2 of late.txt")
		wantProblem(t, report, "head 2", "is kept in late.txt")
		v = f.verifier()
		v.Since = &late
		wantProblem(t, f.verify(v), "head 2", "kept in late.txt")
	})
}

// A log that is a sound one of its own is no continuation of another's head.
func TestRewrittenLogIsFoundByAKeptHead(t *testing.T) {
	t.Parallel()
	f := filled(t, projectionstest.Open(t, "sqlite::memory:"))
	kept := audit.KeptHead{Name: "kept.txt", Signed: slices.Clone(f.witness.head)}
	// Whoever has the signing key can make another history.
	g := newFixture(t, projectionstest.Open(t, "sqlite::memory:"))
	g.work(f.private)
	for range 8 {
		g.add(0, 50)
		g.add(1, 10)
	}
	g.wantOK(g.verifier())
	v := g.verifier()
	v.Against = []audit.KeptHead{kept}
	report := g.verify(v)
	wantProblem(t, report, "0:1", "are not what head 8 of kept.txt signed")
	wantProblem(t, report, "head 8", "two heads were signed with one number")
	v = g.verifier()
	v.Since = &kept
	wantProblem(t, g.verify(v), "0:1", "cannot be gone on from")
}

// What is verified since a head does not read what was verified before, and finds what came later.
func TestVerifySinceFindsWhatIsNew(t *testing.T) {
	t.Parallel()
	f := filled(t, projectionstest.Open(t, "sqlite::memory:"))
	since := audit.KeptHead{Name: "kept.txt", Signed: slices.Clone(f.witness.head)}
	f.add(0, 10)
	f.rewrite(0, 345, func(r *schema.Record) { r.Payload = swapped(r.Payload) })
	v := f.verifier()
	v.Since = &since
	report := f.verify(v)
	wantProblem(t, report, "0:345", "differs from what head 9 signed")
	wantProblem(t, report, "0:345", "has another payload in Redis than in the archive")
	if len(report.Problems) != 2 {
		t.Errorf("problems: %+v", report.Problems)
	}
	stranger := newFixture(t, projectionstest.Open(t, "sqlite::memory:"))
	v.Keys = stranger.keys
	if _, err := v.Verify(t.Context()); err == nil {
		t.Error("a head that nobody trusted signed is gone on from")
	}
}

// The stream has to be what the archive is, and to go on without a hole.
func TestStreamIsVerified(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		shown    func(partition int, entries []*schema.Record) []*schema.Record
		position string
		words    string
	}{
		"another payload": {func(_ int, e []*schema.Record) []*schema.Record {
			changed := *e[16]
			changed.Payload = swapped(changed.Payload)
			e[16] = &changed
			return e
		}, "0:17", "another payload in Redis"},
		"a hole where it is archived": {func(_ int, e []*schema.Record) []*schema.Record { return slices.Delete(e, 16, 18) }, "0:17", "events 0:17 to 0:18 are archived, and missing"},
		"a hole behind the archive":   {func(_ int, e []*schema.Record) []*schema.Record { return slices.Delete(e, 342, 343) }, "0:343", "event 0:343 is neither"},
		"the end is missing":          {func(_ int, e []*schema.Record) []*schema.Record { return e[:343] }, "0:344", "events 0:344 to 0:345 are neither"},
		"all is missing":              {func(int, []*schema.Record) []*schema.Record { return nil }, "0:341", "events 0:341 to 0:345 are neither"},
		"an entry of somebody else": {func(_ int, e []*schema.Record) []*schema.Record {
			return slices.Insert(e, 20, &schema.Record{StreamID: "1-1"})
		}, "0:21", "entry 1-1 of the stream is no event"},
		"an event twice": {func(_ int, e []*schema.Record) []*schema.Record {
			again := *e[5]
			again.StreamID += "1"
			return slices.Insert(e, 20, &again)
		}, "0:6", "stands in Redis behind event 0:20"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := filled(t, projectionstest.Open(t, "sqlite::memory:"))
			f.stream.add(t, 0, 5)
			f.wantOK(f.verifier())
			f.stream.shown = func(partition int, entries []*schema.Record) []*schema.Record {
				if partition != 0 {
					return entries
				}
				return test.shown(partition, slices.Clone(entries))
			}
			wantOnly(t, f.verify(f.verifier()), test.position, test.words)
		})
	}
}

// empty empties the tables, so that many tests share a database.
func empty(t *testing.T, db *database.DB) {
	t.Helper()
	for _, table := range []string{"archive_segments", "archive_partitions", "archive_lease", "audit_heads", "audit_tiles"} {
		execute(t, db, "DELETE FROM "+table)
	}
}

func (f *fixture) rowOf(partition int, seq int64) *segmentRow {
	f.Helper()
	for _, row := range f.segments(partition) {
		if row.From <= seq && seq <= row.To {
			return row
		}
	}
	f.Fatalf("event %d:%d is not there", partition, seq)
	return nil
}

// forest returns the hashes of a partition's tree as package tlog stores them, of the events that are archived now.
func (f *fixture) forest(partition int) (hashes []tlog.Hash, size int64) {
	f.Helper()
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		list := make([]tlog.Hash, len(indexes))
		for i, n := range indexes {
			list[i] = hashes[n]
		}
		return list, nil
	})
	for _, row := range f.segments(partition) {
		for _, r := range row.records(f.T) {
			more, err := tlog.StoredHashesForRecordHash(size, new(proof.Hasher).Hash(proof.EventOf(r)), reader)
			if err != nil {
				f.Fatal(err)
			}
			hashes, size = append(hashes, more...), size+1
		}
	}
	return hashes, size
}

func reading(hashes []tlog.Hash) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		list := make([]tlog.Hash, len(indexes))
		for i, n := range indexes {
			list[i] = hashes[n]
		}
		return list, nil
	})
}

func (f *fixture) treeOf(partition int) tlog.Tree {
	f.Helper()
	hashes, size := f.forest(partition)
	root, err := tlog.TreeHash(size, reading(hashes))
	if err != nil {
		f.Fatal(err)
	}
	return tlog.Tree{N: size, Hash: root}
}

// recompute makes the stored hashes of partition 0 fit its events, as who knows the code would.
func (f *fixture) recompute() {
	f.Helper()
	const partition = 0
	hashes, size := f.forest(partition)
	execute(f.T, f.db, "DELETE FROM audit_tiles WHERE log_partition = ?", partition)
	err := f.db.Write(f.Context(), func(ctx context.Context, tx bun.Tx) error {
		for _, tile := range tlog.NewTiles(8, 0, size) {
			data, err := tlog.ReadTileData(tile, reading(hashes))
			if err != nil {
				return err
			}
			if _, err := tx.NewRaw("INSERT INTO audit_tiles (log_partition, level, n, hashes) VALUES (?, ?, ?, ?)", partition, tile.L, tile.N, data).Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		f.Fatal(err)
	}
}

// Events that nobody signs for long are a problem, though they are as they were.
func TestUnsignedEventsAreFound(t *testing.T) {
	t.Parallel()
	f := filled(t, projectionstest.Open(t, "sqlite::memory:"))
	unsigned, err := archive.New(archive.Config{DB: f.db, Stream: f.stream, Partitions: partitions, Worker: "b"})
	if err != nil {
		t.Fatal(err)
	}
	f.archiver = unsigned
	f.add(0, 3)
	v := f.verifier()
	f.wantOK(v)
	v.Late = time.Minute
	wantOnly(t, f.verify(v), "0:341", "events 0:341 to 0:343 are archived, and no head signs them")
}
