package audit

import (
	"bytes"
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// conclude says which events are not what was signed.
func (w *walk) conclude(ctx context.Context) error {
	if size := w.edge.size; size < w.signed() {
		by := fmt.Sprintf("head %d", w.newest.Number)
		for _, e := range w.expected {
			if e.kept {
				by = e.by
			}
		}
		w.problems.events(w.partition, size+1, w.signed(), "{were} signed by %s, and the archive ends before them: its end was cut off", by)
	}
	if w.wrong == nil && !w.wrongKept && w.edge.size >= w.signed() && !w.unknown {
		w.concludeSound()
		return nil
	}
	named, err := w.locate(ctx)
	if err == nil && !named && w.wrong != nil {
		w.problems.events(w.partition, w.good+1, w.wrong.N, "{are} not what %s signed; the stored hashes were changed with them or are missing, so it cannot be said which of them", w.wrong.by)
	}
	return err
}

// concludeSound says which stored hashes were changed, of events that are as they were signed.
func (w *walk) concludeSound() {
	for _, t := range w.suspects {
		width := int64(1) << (tileHeight * (t.Level + 1))
		from, to := t.N*width+1, min((t.N+1)*width, w.signed())
		w.problems.events(w.partition, from, to, "{are} as signed, and the stored hashes over them are not (audit_tiles, level %d, n %d): no proof can be made with them", t.Level, t.N)
	}
}

// locate names the events whose hashes are not those below the signed root. It is false where it could name none.
func (w *walk) locate(ctx context.Context) (named bool, err error) {
	if w.newest.Number == 0 {
		return false, nil
	}
	signed := tlog.TileHashReader(w.newest.Trees[w.partition], tileReader{ctx: ctx, store: w.store, partition: w.partition})
	var run [2]int64
	flush := func() {
		if run[0] > 0 {
			named = true
			w.problems.events(w.partition, run[0], run[1], "{differ} from what head %d signed: uuid, metadata, payload or order were changed", w.newest.Number)
		}
	}
	for _, t := range w.suspects {
		if t.Level > 0 {
			continue
		}
		from := t.N * tileWidth
		count := min(int64(len(t.Hashes)/tlog.HashSize), w.signed()-from)
		leaves, ok, err := signedLeaves(ctx, signed, from, count)
		if err != nil {
			return named, err
		}
		for i := range count {
			if ok && bytes.Equal(leaves[i][:], t.Hashes[i*tlog.HashSize:(i+1)*tlog.HashSize]) {
				continue
			}
			seq := from + i + 1
			if !ok { // what is stored is no better than the events
				break
			}
			if run[0] == 0 || run[1]+1 != seq {
				flush()
				run[0] = seq
			}
			run[1] = seq
		}
	}
	flush()
	return named, nil
}

// signedLeaves reads leaves that are below a signed root. It is false where the stored ones are not.
func signedLeaves(ctx context.Context, signed tlog.HashReader, from, count int64) ([]tlog.Hash, bool, error) {
	indexes := make([]int64, count)
	for i := range indexes {
		indexes[i] = tlog.StoredHashIndex(0, from+int64(i))
	}
	leaves, err := signed.ReadHashes(indexes)
	if err != nil {
		return nil, false, ctx.Err() // another error is that the tiles are not the signed ones
	}
	return leaves, true, nil
}
