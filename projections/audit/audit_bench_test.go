package audit_test

import (
	"context"
	"crypto/sha256"
	"syscall"
	"testing"
	"time"

	"mpim/projections/archive"
	"mpim/projections/archive/segment"
	"mpim/projections/archive/segment/segmenttest"
	"mpim/projections/audit"
	"mpim/projections/database"
	"mpim/projections/projectionstest"
	"mpim/schema"
	"mpim/schema/proof"
)

// benchEvents is how many events the logs of the benchmarks have.
const benchEvents = 100_000

// benchLog returns a database with a log of natural texts, archived and signed, and what is left of its stream: the last event.
func benchLog(b *testing.B, signs bool) (*database.DB, *stream, *proof.Keys) {
	b.Helper()
	s := newStream()
	s.logs[0].Messages(b, benchEvents, segmenttest.NaturalTexts(b, 20_000))
	db := projectionstest.Databases["sqlite"](b)
	private, err := proof.NewKey("bench")
	if err != nil {
		b.Fatal(err)
	}
	keys, err := proof.ParseKeys(private)
	if err != nil {
		b.Fatal(err)
	}
	config := archive.Config{DB: db, Stream: s, Partitions: partitions, Worker: "a"}
	if signs {
		if config.Signer, err = audit.NewSigner(audit.Config{DB: db, Log: logID, Partitions: partitions, Keys: keys}); err != nil {
			b.Fatal(err)
		}
	}
	archiver, err := archive.New(config)
	if err != nil {
		b.Fatal(err)
	}
	if err := archiver.Now(b.Context(), nil); err != nil {
		b.Fatal(err)
	}
	s.trimmed[0] = benchEvents - 1
	return db, s, keys
}

// BenchmarkVerify verifies a log, and beside it decompresses its segments and hashes their bytes: what verifying cannot be faster
// than. One processor does each.
func BenchmarkVerify(b *testing.B) {
	db, s, keys := benchLog(b, true)
	v := audit.Verifier{DB: db, Log: logID, Partitions: partitions, Keys: keys, Stream: s}
	b.Run("verify", func(b *testing.B) {
		before := processorTime(b)
		for b.Loop() {
			report, err := v.Verify(b.Context())
			if err != nil || !report.OK() {
				b.Fatalf("%+v, %v", report, err)
			}
		}
		perEvent(b, before)
	})
	b.Run("limit", func(b *testing.B) {
		f, before := &fixture{db: db}, processorTime(b)
		for b.Loop() {
			limit(b, f)
		}
		perEvent(b, before)
	})
	b.Run("since", func(b *testing.B) {
		_, note, err := newestNote(b.Context(), db)
		if err != nil {
			b.Fatal(err)
		}
		again := v
		again.Since = &audit.KeptHead{Name: "file", Signed: note}
		for b.Loop() {
			if report, err := again.Verify(b.Context()); err != nil || !report.OK() {
				b.Fatalf("%+v, %v", report, err)
			}
		}
	})
}

func newestNote(ctx context.Context, db *database.DB) (proof.Head, []byte, error) {
	note, err := audit.Heads{DB: db}.Note(ctx)
	if err != nil {
		return proof.Head{}, nil, err
	}
	h, err := proof.Untrusted(note)
	return h, note, err
}

// limit reads every segment, decompresses it, and hashes what came out.
func limit(b *testing.B, f *fixture) {
	b.Helper()
	stored := archive.Archive{DB: f.db}
	extent, err := stored.Extent(b.Context(), 0)
	if err != nil {
		b.Fatal(err)
	}
	var scratch [1 << 16]byte
	for _, r := range extent.Segments {
		row, err := stored.StoredAt(b.Context(), 0, r.From)
		if err != nil {
			b.Fatal(err)
		}
		raw, err := segment.Decompress(row.Data())
		if err != nil {
			b.Fatal(err)
		}
		// As many bytes as the events have, an event's at once.
		for left, each := row.Bytes(), row.Bytes()/(r.To-r.From+1); left > 0; left -= each {
			sha256.Sum256(scratch[:min(each, left)])
		}
		_ = raw
	}
}

// perEvent reports events for each second, and for each second of a processor, which others that run beside do not change. It is
// called with what was used before the first round.
func perEvent(b *testing.B, before time.Duration) {
	b.Helper()
	events := float64(benchEvents) * float64(b.N)
	b.ReportMetric(events/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(events/(processorTime(b)-before).Seconds(), "events/cpu-s")
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkBuild adds leaves to a tree: what signing costs an archiver for each event.
func BenchmarkBuild(b *testing.B) {
	db, _, keys := benchLog(b, false)
	records, err := archive.Archive{DB: db}.After(b.Context(), 0, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("leaves", func(b *testing.B) {
		var hasher proof.Hasher
		for n := 0; b.Loop(); n++ {
			hasher.Hash(proof.EventOf(records[n%len(records)]))
		}
	})
	b.Run("archived log", func(b *testing.B) {
		before := processorTime(b)
		for b.Loop() {
			b.StopTimer()
			signer, err := audit.NewSigner(audit.Config{DB: db, Log: logID, Partitions: partitions, Keys: keys})
			if err != nil {
				b.Fatal(err)
			}
			for _, table := range []string{"audit_heads", "audit_tiles"} {
				if err := db.Define(b.Context(), "DELETE FROM "+table); err != nil {
					b.Fatal(err)
				}
			}
			b.StartTimer()
			signer.Sign(b.Context(), true)
		}
		perEvent(b, before)
	})
}

// BenchmarkProve proves single events of a log, and all in order.
func BenchmarkProve(b *testing.B) {
	db, s, _ := benchLog(b, true)
	h, _, err := newestNote(b.Context(), db)
	if err != nil {
		b.Fatal(err)
	}
	records := s.logs[0].Records
	b.Run("one", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			prove(b, audit.NewProver(db, h), records[n*7919%len(records)])
		}
	})
	b.Run("in order", func(b *testing.B) {
		prover := audit.NewProver(db, h)
		for n := 0; b.Loop(); n++ {
			prove(b, prover, records[n%len(records)])
		}
	})
}

func prove(b *testing.B, prover *audit.Prover, r *schema.Record) {
	b.Helper()
	if _, err := prover.Prove(b.Context(), r); err != nil {
		b.Fatal(err)
	}
}
