package audit

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"mpim/projections/archive"
	"mpim/projections/database"
	"mpim/schema"
	"mpim/schema/proof"
)

// Stream is the log in Redis as it is, for who checks it.
type Stream interface {
	// Heads returns the counters of all partitions.
	Heads(ctx context.Context) ([]int64, error)
	// Entries returns the next entries of a partition behind a stream id, "" for the first, at most limit; none at the end. One that
	// has no place in the log comes as a broken record without a sequence.
	Entries(ctx context.Context, partition int, after string, limit int) ([]*schema.Record, error)
}

// KeptHead is a signed head that was kept elsewhere.
type KeptHead struct {
	// Name says where.
	Name   string
	Signed []byte
}

// Verifier recomputes every hash from the events to the signed heads.
type Verifier struct {
	DB *database.DB
	// Log and Partitions are the log's.
	Log        string
	Partitions int
	// Keys are those that are trusted to have signed.
	Keys   *proof.Keys
	Stream Stream
	// Witness has the newest head, too; nil for none.
	Witness Witness
	// Against are heads that the log has to extend.
	Against []KeptHead
	// Since is a head up to which all was verified before: only what came later is read. nil verifies all.
	Since *KeptHead
	// Late is how long an event that is archived may be without a signature, since it was appended; 0 for ever.
	Late time.Duration
	// Step is told how many events were verified since it was called last; several goroutines call it. nil for none.
	Step func(n int64)
}

// expectation is a root that a partition's tree has to have at a size.
type expectation struct {
	tlog.Tree
	// by names the head that says so.
	by string
	// kept says that it was kept elsewhere and is not in the database, newest that it is newer than all that are.
	kept, newest bool
}

// verification is one run of a Verifier.
type verification struct {
	*Verifier
	store    store
	archive  archive.Archive
	problems problems
	// since is the head of that name, or one of no events. newest is the newest head that can be trusted.
	since, newest proof.Head
	note          []byte
	// kept are the heads that were kept elsewhere, inDatabase those of them that the database has too, highest is the highest
	// number that it has.
	kept       []KeptHead
	inDatabase map[int64][]byte
	highest    int64
	// expected are the roots that have to be, by partition.
	expected [][]expectation
	counters []int64
}

// Verify verifies the log. The error says that something could not be read; what is wrong is in the report.
func (v *Verifier) Verify(ctx context.Context) (*Report, error) {
	run := &verification{Verifier: v, store: store{v.DB}, archive: archive.Archive{DB: v.DB}, expected: make([][]expectation, v.Partitions)}
	if err := run.begin(ctx); err != nil {
		return nil, err
	}
	report := &Report{Partitions: make([]Verified, v.Partitions)}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, runtime.GOMAXPROCS(0)))
	for partition := range v.Partitions {
		group.Go(func() (err error) {
			report.Partitions[partition], err = run.verify(groupCtx, partition)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	report.Problems = run.problems.found
	slices.SortStableFunc(report.Problems, func(a, b Problem) int { return cmp.Compare(a.Partition, b.Partition) })
	if run.newest.Number > 0 {
		report.Newest, report.Note = &run.newest, run.note
	}
	return report, nil
}

// begin reads the heads, then how far the log is: in this order, so that no head can be ahead of the events.
func (v *verification) begin(ctx context.Context) error {
	if v.Since != nil {
		h, err := v.Keys.Open(v.Since.Signed)
		if err == nil {
			err = belongs(h, v.Log, v.Partitions)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", v.Since.Name, err)
		}
		v.since, v.kept = h, append(v.kept, *v.Since)
	}
	if v.Witness != nil {
		signed, err := v.Witness.Kept(ctx)
		if err != nil {
			return err
		}
		if signed != nil {
			v.kept = append(v.kept, KeptHead{Name: "Redis", Signed: signed})
		}
	}
	v.kept = append(v.kept, v.Against...)
	if err := v.checkHeads(ctx); err != nil {
		return err
	}
	for _, one := range v.kept {
		v.checkKept(one)
	}
	for partition := range v.expected {
		slices.SortStableFunc(v.expected[partition], func(a, b expectation) int { return cmp.Compare(a.N, b.N) })
	}
	var err error
	v.counters, err = v.Stream.Heads(ctx)
	if err == nil && len(v.counters) != v.Partitions {
		err = fmt.Errorf("the log has %d partitions, not %d", len(v.counters), v.Partitions)
	}
	return err
}
