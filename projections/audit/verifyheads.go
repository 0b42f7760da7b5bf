package audit

import (
	"bytes"
	"context"
	"fmt"

	"mpim/schema"
	"mpim/schema/proof"
)

// checkHeads checks the heads that are in the database by themselves and against each other.
func (v *verification) checkHeads(ctx context.Context) error {
	v.inDatabase = make(map[int64][]byte)
	for _, one := range v.kept {
		if h, err := proof.Untrusted(one.Signed); err == nil {
			v.inDatabase[h.Number] = nil
		}
	}
	// Of the one up to which all was verified before it is seen that it is still there.
	previous, next := v.since, max(v.since.Number, 1)
	for {
		rows, err := v.store.headsAfter(ctx, next-1)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if row.Number > next {
				v.problems.head(next, "to head %d are missing: they were signed and are no longer in the database", row.Number-1)
			}
			next, v.highest = row.Number+1, row.Number
			if _, kept := v.inDatabase[row.Number]; kept {
				v.inDatabase[row.Number] = row.Note
			}
			if row.Number == v.since.Number {
				continue
			}
			if v.checkHead(row, previous) {
				previous = v.newest
			}
		}
		if len(rows) < headsAtOnce {
			return nil
		}
	}
}

// checkHead takes a head for the newest one where it can be trusted, and says what is wrong with it otherwise.
func (v *verification) checkHead(row headRow, previous proof.Head) bool {
	h, err := v.Keys.Open(row.Note)
	if err == nil {
		err = belongs(h, v.Log, v.Partitions)
	}
	switch {
	case err != nil:
		v.problems.head(row.Number, "cannot be trusted: %s", err)
		return false
	case h.Number != row.Number:
		v.problems.head(row.Number, "is not there: its row holds head %d", h.Number)
		return false
	}
	if !row.SignedAt.Equal(h.At) {
		v.problems.head(row.Number, "was signed at %s, and its row says %s", h.At.Format(schema.TimeFormat), row.SignedAt.UTC().Format(schema.TimeFormat))
	}
	if h.At.Before(previous.At) {
		v.problems.head(row.Number, "was signed at %s, before head %d", h.At.Format(schema.TimeFormat), previous.Number)
	}
	for partition, tree := range previous.Trees {
		if n := h.Trees[partition].N; n < tree.N {
			v.problems.add(partition, at(partition, n+1), fmt.Sprintf("head %d signed %d events, and head %d before it %d: both cannot be", h.Number, n, previous.Number, tree.N))
		}
	}
	v.expect(h, expectation{by: fmt.Sprintf("head %d", h.Number)})
	v.newest, v.note = h, row.Note
	return true
}

// checkKept wants the log to extend a head that was kept elsewhere.
func (v *verification) checkKept(one KeptHead) {
	h, err := v.Keys.Open(one.Signed)
	if err == nil {
		err = belongs(h, v.Log, v.Partitions)
	}
	if err != nil {
		v.problems.add(-1, one.Name, fmt.Sprintf("the head of %s cannot be trusted: %s", one.Name, err))
		return
	}
	note := v.inDatabase[h.Number]
	inDatabase := bytes.Equal(textOf(note), textOf(one.Signed))
	switch {
	case h.Number > v.highest:
		v.problems.head(h.Number, "is kept in %s, and the newest in the database is head %d: heads were taken away, or the database was restored from a backup", one.Name, v.highest)
	case note != nil && !inDatabase:
		v.problems.head(h.Number, "of %s is another than head %d in the database: two heads were signed with one number", one.Name, h.Number)
	}
	e := expectation{by: fmt.Sprintf("head %d of %s", h.Number, one.Name), kept: !inDatabase}
	if h.Number > v.newest.Number {
		v.newest, v.note, e.newest = h, one.Signed, true
	}
	v.expect(h, e)
}

// textOf returns what is signed of a note, without the signatures: another key may have signed later.
func textOf(signed []byte) []byte {
	if n := bytes.LastIndex(signed, []byte("\n\n")); n >= 0 {
		return signed[:n+1]
	}
	return signed
}

// expect notes the roots that a head says there are. What the head before it says, too, is left out.
func (v *verification) expect(h proof.Head, e expectation) {
	for partition, tree := range h.Trees {
		list := v.expected[partition]
		if n := len(list); tree.N > 0 && (e.kept || n == 0 || list[n-1].Tree != tree) {
			e.Tree = tree
			v.expected[partition] = append(list, e)
		}
	}
}
