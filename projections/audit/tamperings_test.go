package audit_test

import (
	"slices"
	"testing"
	"time"

	"mpim/projections/database"
	"mpim/projections/projectionstest"
	"mpim/schema"
	"mpim/schema/proof"
)

// tamperings are what somebody does who can write to the database, and how it is found.
var tamperings = map[string]struct {
	do       func(f *fixture)
	position string
	words    []string
}{
	"a payload is changed": {
		func(f *fixture) { f.rewrite(0, 17, func(r *schema.Record) { r.Payload = swapped(r.Payload) }) }, "0:17", []string{"event 0:17 differs from what head 8 signed"},
	},
	"metadata are changed": {
		func(f *fixture) { f.rewrite(0, 300, func(r *schema.Record) { r.Metadata = swapped(r.Metadata) }) }, "0:300", []string{"event 0:300 differs"},
	},
	"a uuid is changed": {
		func(f *fixture) {
			f.rewrite(1, 40, func(r *schema.Record) { r.ID = r.ID[:10] + r.ID[11:] + r.ID[10:11] })
		}, "1:40", []string{"event 1:40 differs"},
	},
	"two events are swapped": {
		func(f *fixture) {
			row := f.rowOf(0, 100)
			records := row.records(f.T)
			i, j := 100-row.From, 101-row.From
			exchange(records[i], records[j])
			f.put(row, records)
		}, "0:100", []string{"events 0:100 to 0:101 differ"},
	},
	"an event is taken away": {
		func(f *fixture) {
			row := f.rowOf(0, 50)
			f.put(row, renumber(slices.Delete(row.records(f.T), int(50-row.From), int(51-row.From)), row.From))
		}, "0:50", []string{"differ"},
	},
	"the last event is taken away": {
		func(f *fixture) {
			row := f.rowOf(1, 40)
			records := row.records(f.T)
			f.put(row, records[:len(records)-1])
		}, "1:40", []string{"event 1:40 was signed", "cut off"},
	},
	"an event is inserted": {
		func(f *fixture) {
			row := f.rowOf(0, 50)
			records := row.records(f.T)
			copied := *records[0]
			f.put(row, renumber(slices.Insert(records, int(50-row.From), &copied), row.From))
		}, "0:50", []string{"differ"},
	},
	"a segment of no events is inserted": {
		func(f *fixture) {
			row := *f.rowOf(0, 100)
			row.From = 341
			f.put(&row, row.records(f.T))
		}, "0:341", []string{"ends before it begins"},
	},
	"an event is inserted as a segment of its own": {
		func(f *fixture) {
			row := *f.rowOf(0, 100)
			records := row.records(f.T)[100-row.From : 101-row.From]
			records[0].Payload = swapped(records[0].Payload)
			row.From = 100
			f.put(&row, records)
		}, "0:100", []string{"overlaps"},
	},
	"bytes of a segment are changed": {
		func(f *fixture) {
			row := f.rowOf(0, 12)
			row.Data[len(row.Data)/2] ^= 1
			execute(f.T, f.db, "UPDATE archive_segments SET data = ? WHERE log_partition = 0 AND from_seq = ?", row.Data, row.From)
		}, "0:11", []string{"events 0:11 to 0:30", "damaged"},
	},
	"the hash of a segment is changed": {
		func(f *fixture) {
			execute(f.T, f.db, "UPDATE archive_segments SET sha256 = ? WHERE log_partition = 1 AND from_seq = 11", make([]byte, 32))
		}, "1:11", []string{"events 1:11 to 1:20", "damaged"},
	},
	"a time beside a segment is changed": {
		func(f *fixture) {
			execute(f.T, f.db, "UPDATE archive_segments SET first_at = ? WHERE log_partition = 1 AND from_seq = 11", time.Unix(0, 0).UTC())
		}, "1:11", []string{"events 1:11 to 1:20", "first_at"},
	},
	"a segment is taken away": {
		func(f *fixture) {
			execute(f.T, f.db, "DELETE FROM archive_segments WHERE log_partition = 0 AND from_seq = 11")
		}, "0:11", []string{"events 0:11 to 0:30 are not in the archive"},
	},
	"two segments are swapped between partitions": {
		func(f *fixture) {
			execute(f.T, f.db, "UPDATE archive_segments SET log_partition = 99 WHERE log_partition = 0 AND from_seq = 1")
			execute(f.T, f.db, "UPDATE archive_segments SET log_partition = 0 WHERE log_partition = 1 AND from_seq = 1")
			execute(f.T, f.db, "UPDATE archive_segments SET log_partition = 1 WHERE log_partition = 99")
		}, "1:1", []string{"events 1:1 to 1:10", "damaged"},
	},
	"two segments are swapped between partitions, cleverly": {
		func(f *fixture) {
			a, b := f.rowOf(0, 1), f.rowOf(1, 1)
			records, others := a.records(f.T), b.records(f.T)
			for i := range records {
				exchange(records[i], others[i])
			}
			f.put(a, records)
			f.put(b, others)
		}, "0:1", []string{"events 0:1 to 0:10 differ"},
	},
	"the end of the archive is cut, and where it ends": {
		func(f *fixture) {
			execute(f.T, f.db, "DELETE FROM archive_segments WHERE log_partition = 0 AND from_seq > 11")
			execute(f.T, f.db, "UPDATE archive_partitions SET archived_to = 30, verified_to = 30 WHERE log_partition = 0")
		}, "0:31", []string{"events 0:31 to 0:340 were signed", "cut off"},
	},
	"where the archive ends is changed": {
		func(f *fixture) {
			execute(f.T, f.db, "UPDATE archive_partitions SET archived_to = 30, verified_to = 30 WHERE log_partition = 0")
		}, "0:31", []string{"archive_partitions says 0:30"},
	},
	"an event is changed, and all hashes are made to fit": {
		func(f *fixture) {
			f.rewrite(0, 17, func(r *schema.Record) { r.Payload = swapped(r.Payload) })
			f.recompute()
		}, "0:11", []string{"events 0:11 to 0:30 are not what head 3 signed"},
	},
	"a stored hash of an event is changed": {
		func(f *fixture) {
			f.changeTile(0, 0, func(hashes []byte) []byte { hashes[16*32] ^= 1; return hashes })
		}, "0:1", []string{"are as signed", "stored hashes"},
	},
	"a stored hash above is changed": {
		func(f *fixture) {
			f.changeTile(1, 0, func(hashes []byte) []byte { hashes[3] ^= 1; return hashes })
		}, "0:1", []string{"are as signed", "level 1, n 0"},
	},
	"a tile is taken away": {
		func(f *fixture) { execute(f.T, f.db, "DELETE FROM audit_tiles WHERE log_partition = 0 AND n = 1") }, "0:257", []string{"stored hashes"},
	},
	"an event is changed, and a tile is taken away": {
		func(f *fixture) {
			f.rewrite(0, 17, func(r *schema.Record) { r.Payload = swapped(r.Payload) })
			execute(f.T, f.db, "DELETE FROM audit_tiles WHERE log_partition = 0 AND level = 0 AND n = 0")
		}, "0:11", []string{"events 0:11 to 0:30 are not what head 3 signed"},
	},
	"a head is taken away": {
		func(f *fixture) { execute(f.T, f.db, "DELETE FROM audit_heads WHERE number = 4") }, "head 4", []string{"head 4 to head 4 are missing"},
	},
	"the first heads are taken away": {
		func(f *fixture) { execute(f.T, f.db, "DELETE FROM audit_heads WHERE number < 4") }, "head 1", []string{"head 1 to head 3 are missing"},
	},
	"the newest head is taken away": {
		func(f *fixture) { execute(f.T, f.db, "DELETE FROM audit_heads WHERE number = 8") }, "head 8", []string{"kept in Redis", "newest in the database is head 7"},
	},
	"all heads are taken away": {
		func(f *fixture) { execute(f.T, f.db, "DELETE FROM audit_heads") }, "head 8", []string{"kept in Redis", "head 0"},
	},
	"a head is changed": {
		func(f *fixture) {
			execute(f.T, f.db, "UPDATE audit_heads SET note = REPLACE(note, '\n0 30 ', '\n0 31 ') WHERE number = 3")
		}, "head 3", []string{"cannot be trusted"},
	},
	"a time beside a head is changed": {
		func(f *fixture) {
			execute(f.T, f.db, "UPDATE audit_heads SET signed_at = ? WHERE number = 3", time.Unix(0, 0).UTC())
		}, "head 3", []string{"its row says"},
	},
	"two heads are swapped": {
		func(f *fixture) {
			execute(f.T, f.db, "UPDATE audit_heads SET number = 99 WHERE number = 3")
			execute(f.T, f.db, "UPDATE audit_heads SET number = 3 WHERE number = 4")
			execute(f.T, f.db, "UPDATE audit_heads SET number = 4 WHERE number = 99")
		}, "head 3", []string{"its row holds head 4"},
	},
	"all is rewritten, and signed by a stranger": {
		func(f *fixture) {
			f.rewrite(0, 17, func(r *schema.Record) { r.Payload = swapped(r.Payload) })
			f.recompute()
			h := f.newest()
			h.Trees[0] = f.treeOf(0)
			private, err := proof.NewKey("test")
			if err != nil {
				f.Fatal(err)
			}
			stranger, err := proof.ParseKeys(private)
			if err != nil {
				f.Fatal(err)
			}
			signed, err := stranger.Sign(&h)
			if err != nil {
				f.Fatal(err)
			}
			execute(f.T, f.db, "UPDATE audit_heads SET note = ? WHERE number = ?", signed, h.Number)
		}, "head 8", []string{"none of the keys that are trusted"},
	},
}

// Whatever is changed in the database is found, at its place.
func TestTamperingIsFound(t *testing.T) {
	t.Parallel()
	projectionstest.Each(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		for name, tampering := range tamperings {
			t.Run(name, func(t *testing.T) {
				empty(t, db)
				f := filled(t, db)
				f.wantOK(f.verifier())
				for p := range f.stream.trimmed { // it is found in the archive alone
					f.stream.trimmed[p] = int64(len(f.stream.logs[p].Records)) - 1
				}
				tampering.do(f)
				wantProblem(t, f.verify(f.verifier()), tampering.position, tampering.words...)
			})
		}
	})
}

// swapped returns other bytes of the same length.
func swapped(b []byte) []byte {
	b = slices.Clone(b)
	for i := len(b) / 2; i < len(b)-1; i++ {
		if b[i] != b[i+1] {
			b[i], b[i+1] = b[i+1], b[i]
			return b
		}
	}
	b[len(b)/2] ^= 1
	return b
}

func exchange(a, b *schema.Record) {
	a.ID, b.ID = b.ID, a.ID
	a.Metadata, b.Metadata = b.Metadata, a.Metadata
	a.Payload, b.Payload = b.Payload, a.Payload
	a.At, b.At = b.At, a.At
}

// renumber gives records the places that they stand at.
func renumber(records []*schema.Record, from int64) []*schema.Record {
	for i, r := range records {
		r.Seq = from + int64(i)
	}
	return records
}
