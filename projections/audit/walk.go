package audit

import (
	"bytes"
	"context"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"mpim/projections/archive"
	"mpim/schema"
	"mpim/schema/proof"
)

// walk computes the tree of one partition from its events.
type walk struct {
	*verification
	partition int
	state     archive.PartitionState
	edge      *edge
	hasher    proof.Hasher
	leaves    storedLeaves
	stream    *streamWalk
	// expected are the roots that are still to come; good is the largest size whose root was right, wrong the first that was not.
	expected []expectation
	good     int64
	// goodKept is the largest size at which a head that was kept elsewhere was right.
	goodKept int64
	wrong    *expectation
	// wrongKept says that the newest head, which was kept elsewhere, was not right.
	wrongKept bool
	// root is that of the events that the newest head covers.
	root tlog.Hash
	// full are tiles that were computed and not compared yet, suspects those that the database has otherwise.
	full, suspects []tileRow
	// unknown says that the hash of some event could not even be guessed.
	unknown bool
	// reached is the latest time of an event so far, as the segments say.
	reached time.Time
}

// mostSuspects bounds the tiles that are looked at closely.
const mostSuspects = 256

// verify verifies one partition.
func (v *verification) verify(ctx context.Context, partition int) (Verified, error) {
	w := &walk{verification: v, partition: partition, expected: v.expected[partition], leaves: storedLeaves{store: v.store, partition: partition}}
	result := Verified{Partition: partition, Head: v.counters[partition]}
	if err := w.begin(ctx); err != nil {
		return result, err
	}
	if err := w.archived(ctx); err != nil {
		return result, err
	}
	if err := w.stream.beyond(ctx, w.edge.size); err != nil {
		return result, err
	}
	if err := w.conclude(ctx); err != nil {
		return result, err
	}
	result.Archived, result.Events, result.Root = w.edge.size, w.signed(), w.root
	if w.edge.size < w.signed() {
		result.Events, result.Root = w.edge.size, w.edge.root()
	}
	return result, nil
}

// signed is how many events the newest head covers.
func (w *walk) signed() int64 {
	if w.newest.Number == 0 {
		return 0
	}
	return w.newest.Trees[w.partition].N
}

// begin looks at what the rows say, and goes on from the head up to which all was verified before.
func (w *walk) begin(ctx context.Context) error {
	extent, err := w.archive.Extent(ctx, w.partition)
	if err != nil {
		return err
	}
	w.state = extent.State
	w.checkExtent(extent)
	w.edge = &edge{}
	var after string
	if w.since.Number > 0 && w.since.Trees[w.partition].N > 0 {
		if after, err = w.goOn(ctx); err != nil {
			return err
		}
	}
	w.edge.full = func(level int, n int64, hashes []byte) {
		w.full = append(w.full, tileRow{Partition: w.partition, Level: level, N: n, Hashes: hashes})
	}
	w.good, w.root = w.edge.size, w.edge.root()
	w.stream = &streamWalk{walk: w, after: after}
	return w.stream.begin(ctx)
}

// checkExtent wants the segments to follow each other, up to where the archive says that it goes.
func (w *walk) checkExtent(extent archive.Extent) {
	end := int64(0)
	for _, r := range extent.Segments {
		if r.To < r.From {
			w.problems.add(w.partition, at(w.partition, r.From), "a segment stands at "+at(w.partition, r.From)+" that ends before it begins: one was inserted")
			continue
		}
		if r.From <= end {
			w.problems.events(w.partition, r.From, r.To, "{stand} in a segment that overlaps another: one was inserted")
		}
		end = max(end, r.To)
	}
	if end != w.state.ArchivedTo {
		w.problems.add(w.partition, at(w.partition, min(end, w.state.ArchivedTo)+1), "the segments of partition "+
			at(w.partition, end)+" end there, and archive_partitions says "+at(w.partition, w.state.ArchivedTo))
	}
	if w.state.VerifiedTo > w.state.ArchivedTo {
		w.problems.add(w.partition, at(w.partition, w.state.VerifiedTo), "archive_partitions says that more was verified than archived")
	}
	// What the rows have is what is verified.
	w.state.ArchivedTo = max(end, w.state.ArchivedTo)
}

// goOn takes the tree up where a head signed it: the stored tiles are the right ones where they come to its root. It returns the
// address of the last event.
func (w *walk) goOn(ctx context.Context) (after string, err error) {
	signed := w.since.Trees[w.partition]
	e, err := w.store.edge(ctx, w.partition, signed.N)
	if err != nil || e.root() != signed.Hash {
		w.problems.events(w.partition, 1, signed.N, "cannot be gone on from: the stored hashes are not those that %s signed; verify without --since", w.Since.Name)
		e = &edge{}
	}
	w.edge = e
	for len(w.expected) > 0 && w.expected[0].N < w.edge.size {
		w.compareOlder(ctx, signed, w.expected[0])
		w.expected = w.expected[1:]
	}
	w.compareRoots()
	if w.edge.size == 0 || w.edge.size == w.state.VerifiedTo {
		return w.state.StreamID, nil // where the stream begins only: an entry that is passed over is missing later
	}
	stored, err := w.archive.StoredAt(ctx, w.partition, w.edge.size)
	if err != nil || stored == nil || stored.From > w.edge.size || stored.To < w.edge.size {
		return "", err
	}
	records, err := stored.Records()
	if err != nil {
		return "", nil //nolint:nilerr // what was verified before is not looked at again; what comes behind is, and is said
	}
	return records[w.edge.size-stored.From].StreamID, nil
}

// compareOlder compares the root that a head has with that of the same size in a tree that was verified before.
func (w *walk) compareOlder(ctx context.Context, verified tlog.Tree, e expectation) {
	root, err := tlog.TreeHash(e.N, tlog.TileHashReader(verified, tileReader{ctx: ctx, store: w.store, partition: w.partition}))
	if err != nil {
		w.problems.events(w.partition, 1, e.N, "cannot be compared with %s: %s", e.by, err)
	} else if root != e.Hash {
		w.problems.events(w.partition, 1, e.N, "{are} not what %s signed", e.by)
	}
}

// archived walks over the archive.
func (w *walk) archived(ctx context.Context) error {
	for w.edge.size < w.state.ArchivedTo {
		stored, err := w.archive.StoredAt(ctx, w.partition, w.edge.size+1)
		if err != nil {
			return err
		}
		if stored == nil {
			return nil // that the archive ends early was said
		}
		if from := w.edge.size + 1; stored.From > from {
			w.problems.events(w.partition, from, stored.From-1, "{are} not in the archive: a segment was taken away")
			if err := w.guess(ctx, stored.From-1); err != nil {
				return err
			}
		}
		if err := w.segment(ctx, stored); err != nil {
			return err
		}
	}
	return nil
}

// segment walks over one segment, from the event that is next.
func (w *walk) segment(ctx context.Context, stored *archive.Stored) error {
	from := w.edge.size + 1
	defer func() {
		if w.Step != nil {
			w.Step(w.edge.size + 1 - from)
		}
	}()
	records, err := stored.Records()
	if err != nil {
		w.problems.add(w.partition, at(w.partition, from), err.Error())
		w.reached = time.Time{}
		return w.guess(ctx, stored.To)
	}
	before := w.reached
	if from > stored.From {
		before = time.Time{}
	}
	if column := stored.Differs(records, before); column != "" {
		w.problems.events(w.partition, stored.From, stored.To, "{stand} in a segment whose row says something else than they do: the column %s", column)
	}
	w.reached = stored.ReachedAt
	for _, r := range records[from-stored.From:] {
		if err := w.event(ctx, r); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// event adds one event.
func (w *walk) event(ctx context.Context, r *schema.Record) error {
	if r.Seq == w.state.VerifiedTo && r.StreamID != w.state.StreamID {
		w.problems.events(w.partition, r.Seq, r.Seq, "has another address than archive_partitions says")
	}
	if r.Seq == w.signed()+1 {
		w.checkLate(r)
	}
	if err := w.stream.compare(ctx, r); err != nil {
		return err
	}
	return w.add(ctx, w.hasher.Hash(proof.EventOf(r)))
}

// checkLate looks how long the first event that no head covers is waiting for one. Its address says when it was appended: an event
// that was imported has a time of its own.
func (w *walk) checkLate(r *schema.Record) {
	id, err := schema.ParseStreamID(r.StreamID)
	if err != nil || w.Late == 0 {
		return
	}
	if appended := time.UnixMilli(int64(id.Milliseconds)); time.Since(appended) > w.Late { //nolint:gosec // a time
		w.problems.events(w.partition, r.Seq, w.state.ArchivedTo, "{are} archived, and no head signs them, though the first was appended at %s: does a worker archive that has a key?",
			appended.UTC().Format(time.DateTime))
	}
}

// add adds a leaf and compares what it completes.
func (w *walk) add(ctx context.Context, leaf tlog.Hash) error {
	if err := w.leaves.load(ctx, w.edge.size/tileWidth); err != nil {
		return err
	}
	w.edge.add(leaf)
	w.compareRoots()
	if err := w.compareFull(ctx); err != nil || w.edge.size != w.signed() {
		return err
	}
	w.root = w.edge.root()
	return w.compareEdge(ctx)
}

// guess takes the stored hashes for those of events that cannot be read, so that what follows can be checked: where the root is right,
// so was the guess.
func (w *walk) guess(ctx context.Context, to int64) error {
	for w.edge.size < to {
		if err := w.leaves.load(ctx, w.edge.size/tileWidth); err != nil {
			return err
		}
		leaf, ok := w.leaves.leaf(w.edge.size)
		w.unknown = w.unknown || !ok
		if err := w.add(ctx, leaf); err != nil {
			return err
		}
	}
	return nil
}

// compareRoots compares the root with those that heads signed at this size.
func (w *walk) compareRoots() {
	for len(w.expected) > 0 && w.expected[0].N <= w.edge.size {
		e := w.expected[0]
		w.expected = w.expected[1:]
		switch {
		case w.unknown:
		case e.N == w.edge.size && w.edge.root() == e.Hash:
			w.good = max(w.good, e.N)
			if e.kept {
				w.goodKept = e.N
			}
		case e.kept:
			w.problems.events(w.partition, w.goodKept+1, e.N, "{are} not what %s signed", e.by)
			w.wrongKept = w.wrongKept || e.newest
		case w.wrong == nil:
			w.wrong = &e
		}
	}
}

// compareFull compares the tiles that became full with the stored ones, as far as the newest head covers them.
func (w *walk) compareFull(ctx context.Context) error {
	for _, t := range w.full {
		if (t.N+1)<<(tileHeight*(t.Level+1)) > w.signed() {
			continue
		}
		stored := w.leaves.tile(t.N)
		if t.Level > 0 {
			var err error
			if stored, err = w.tile(ctx, tlog.Tile{L: t.Level, N: t.N}); err != nil {
				return err
			}
		}
		if !bytes.Equal(stored, t.Hashes) {
			w.suspect(t)
		}
	}
	w.full = w.full[:0]
	return nil
}

// compareEdge compares the tiles at the edge of the tree that the newest head covers. They may have grown since.
func (w *walk) compareEdge(ctx context.Context) error {
	for _, t := range edgeTiles(w.edge.size) {
		stored, err := w.tile(ctx, t)
		if err != nil {
			return err
		}
		if !bytes.HasPrefix(stored, w.edge.tiles[t.L]) || len(stored) > tileBytes || len(stored)%tlog.HashSize != 0 {
			w.suspect(tileRow{Partition: w.partition, Level: t.L, N: t.N, Hashes: bytes.Clone(w.edge.tiles[t.L])})
		}
	}
	return nil
}

// tile returns a tile as it is stored, nil where there is none.
func (w *walk) tile(ctx context.Context, t tlog.Tile) ([]byte, error) {
	rows, err := w.store.tiles(ctx, w.partition, []tlog.Tile{t})
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0].Hashes, nil
}

func (w *walk) suspect(t tileRow) {
	if len(w.suspects) < mostSuspects {
		w.suspects = append(w.suspects, t)
	}
}
