package builds

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"mpim/projections"
	"mpim/schema"
)

// Difference is where live state is not what a fresh fold of the log makes.
type Difference struct {
	// Where names the row or key.
	Where string `json:"where"`
	// Live and Fresh are what stands there; empty for nothing.
	Live  string `json:"live"`
	Fresh string `json:"fresh"`
}

// Comparer is code whose builds can be compared.
type Comparer interface {
	// Compare compares two builds at one moment of the first: follow is called with how far that is in each partition, and
	// brings the second one there. It ends early where report fails.
	Compare(ctx context.Context, live, fresh Build,
		follow func(ctx context.Context, positions map[int]int64) error, report func(Difference) error) error
}

// Aside is the number of the build that Verify makes, beyond all others. It is not registered, so nobody feeds or reads it.
const Aside = 999_999

// Verify folds the log into a build of its own and compares the live build with that. Seen is told how many events were
// folded, report each difference. Nothing but the fold's own tables or keys is written.
func (f *Family) Verify(ctx context.Context, source Source, seen func(events int64), report func(Difference) error) (err error) {
	comparer, ok := f.Code.(Comparer)
	if !ok {
		return fmt.Errorf("builds of %s cannot be compared", f.Name())
	}
	standing, err := f.Standing(ctx)
	if err != nil {
		return err
	}
	live, ok := standing.Live()
	switch {
	case !ok:
		return fmt.Errorf("%s has no live build", f.Name())
	case live.Version != f.Version():
		return fmt.Errorf("%s has version %d, and this mpim makes version %d: promote a build of it first", live, live.Version, f.Version())
	}
	fresh := Build{Name: f.Name(), Number: Aside, Version: f.Version(), State: projections.Backfilling}
	if err := f.Drop(ctx, fresh); err != nil { // what one that was killed has left
		return err
	}
	if err := f.Define(ctx, Aside); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Drop(context.WithoutCancel(ctx), fresh)) }()
	runner, err := projections.NewRunner(f.Open(fresh), projections.Config{})
	if err != nil {
		return err
	}
	fold := Folding{Runner: runner, Source: source, Token: time.Now().UnixMilli(), Seen: seen}
	// Most of the log before the moment that is compared, so that it need not be held for long.
	status, err := f.Open(live).Status(ctx)
	if err != nil {
		return err
	}
	first := make(map[int]int64)
	for _, p := range status.Partitions {
		first[p.Partition] = p.Checkpoint.Seq
	}
	if err := fold.To(ctx, first); err != nil {
		return err
	}
	return comparer.Compare(ctx, live, fresh, fold.To, report)
}

// Folding folds the log into one build, which nobody else feeds.
type Folding struct {
	Runner *projections.Runner
	Source Source
	// Token is the one to take partitions with.
	Token int64
	// Seen is told how many events were folded.
	Seen func(events int64)
}

// To folds each partition up to exactly the given sequence.
func (f *Folding) To(ctx context.Context, positions map[int]int64) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for partition, seq := range positions {
		group.Go(func() error { return f.partition(ctx, partition, seq) })
	}
	return group.Wait()
}

func (f *Folding) partition(ctx context.Context, partition int, to int64) error {
	at, err := f.Runner.Projection().Take(ctx, partition, f.Token)
	if err != nil || at.Seq >= to {
		return err
	}
	records := make([]*schema.Record, 0, readSize)
	for record, err := range f.Source.Partition(ctx, partition, at) {
		if err != nil {
			return err
		}
		records = append(records, record)
		if len(records) < readSize && record.Seq < to {
			continue
		}
		batch := &schema.Batch{
			Partition: partition, Token: f.Token, From: at.Seq + 1, To: record.Seq, StreamID: record.StreamID, Records: records,
		}
		if err := f.Runner.Apply(ctx, batch); err != nil {
			return err
		}
		f.Seen(int64(len(records)))
		at, records = schema.Checkpoint{Seq: record.Seq, StreamID: record.StreamID}, records[:0:0]
		if at.Seq >= to {
			return nil
		}
	}
	return fmt.Errorf("partition %d ends at %d, and the live build has seen %d: the log has lost events", partition, at.Seq, to)
}
