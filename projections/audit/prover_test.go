package audit_test

import (
	"testing"

	"mpim/projections/archive"
	"mpim/projections/audit"
	"mpim/projections/database"
	"mpim/projections/projectionstest"
	"mpim/schema"
	"mpim/schema/proof"
)

// Every event of a log is proved by every head that covers it, also after the log went on and its segments were merged.
func TestEveryEventIsProved(t *testing.T) {
	t.Parallel()
	projectionstest.Each(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		f := newFixture(t, db)
		var kept []string
		for round := range 20 {
			f.add(round%2, 1+20*(round%3))
			kept = append(kept, string(f.witness.head))
		}
		for n, signed := range kept {
			h, err := f.keys.Open([]byte(signed))
			if err != nil {
				t.Fatal(err)
			}
			if n%7 == 0 || n == len(kept)-1 {
				f.wantProofs(h, signed)
			}
		}
	})
}

// wantProofs wants a proof of every event that a head covers, and of no other.
func (f *fixture) wantProofs(h proof.Head, signed string) {
	f.Helper()
	prover := audit.NewProver(f.db, h)
	stored := archive.Archive{DB: f.db}
	for partition, log := range f.stream.logs {
		for _, want := range log.Records {
			r, err := stored.At(f.Context(), want.Position)
			if err != nil {
				f.Fatal(err)
			}
			entry, err := prover.Prove(f.Context(), r)
			if covered := r.Seq <= h.Trees[partition].N; !covered || err != nil {
				if covered || err == nil {
					f.Fatalf("event %s by head %d: %v", r.Position, h.Number, err)
				}
				continue
			}
			checked, err := proof.Proof{Format: proof.Format, Entry: entry, Head: signed}.Check(f.keys)
			if err != nil || checked.Record.ID != want.ID || string(checked.Record.Payload) != string(want.Payload) {
				f.Fatalf("event %s by head %d: %v", r.Position, h.Number, err)
			}
		}
	}
}

func TestChangedEventIsNotProved(t *testing.T) {
	t.Parallel()
	f := filled(t, projectionstest.Open(t, "sqlite::memory:"))
	f.rewrite(0, 17, func(r *schema.Record) { r.Payload = swapped(r.Payload) })
	f.changeTile(0, 1, func(hashes []byte) []byte { hashes[0] ^= 1; return hashes })
	prover := audit.NewProver(f.db, f.newest())
	for _, seq := range []int64{16, 17, 18, 300} {
		r := f.rowOf(0, seq).records(t)[seq-f.rowOf(0, seq).From]
		if _, err := prover.Prove(t.Context(), r); err == nil {
			t.Errorf("event 0:%d is proved with hashes that were changed", seq)
		}
	}
	f.recompute()
	if _, err := audit.NewProver(f.db, f.newest()).Prove(t.Context(), f.rowOf(0, 17).records(t)[17-f.rowOf(0, 17).From]); err == nil {
		t.Error("an event that was changed is proved with hashes that were made to fit")
	}
	other := f.rowOf(1, 1).records(t)[0]
	if _, err := prover.Prove(t.Context(), other); err != nil {
		t.Errorf("partition 1 is sound: %v", err)
	}
}
