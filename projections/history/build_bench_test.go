package history_test

import (
	"context"
	"database/sql"
	"iter"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"mpim/projections"
	"mpim/projections/builds"
	"mpim/projections/history"
	"mpim/projections/projectionstest"
	definitions "mpim/projections/tables"
	"mpim/schema"
)

// past is a log that grows no more.
type past []*projectionstest.Log

// Partition implements builds.Source.
func (p past) Partition(_ context.Context, partition int, after schema.Checkpoint) iter.Seq2[*schema.Record, error] {
	return func(yield func(*schema.Record, error) bool) {
		for _, r := range p[partition].Records[after.Seq:] {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (p past) heads(context.Context) ([]int64, error) {
	heads := make([]int64, len(p))
	for i, log := range p {
		heads[i] = int64(len(log.Records))
	}
	return heads, nil
}

// BenchmarkBuild builds history from a past of messages, as a worker does that holds all partitions, and inserts the same
// rows into an equal table by as many connections as the throttle lets a build have, in statements made beforehand.
func BenchmarkBuild(b *testing.B) {
	const partitions, batches = 4, 40
	name := projectionstest.Server.CreateDatabase(b)
	db := projectionstest.Open(b, projectionstest.Server.URL(name))
	logs := make(past, partitions)
	var statements []string
	for p := range logs {
		logs[p] = projectionstest.NewLog(p)
		for range batches {
			statements = append(statements, benchInsert(b, benchMessages(b, logs[p])))
		}
	}
	family := &builds.Family{
		Code: definitions.Code{DB: db, Definition: history.Definition}, Registry: builds.SQL{DB: db}, Heads: logs.heads,
	}
	raw, err := sql.Open("mysql", projectionstest.Server.DSN(name))
	if err != nil {
		b.Fatal(err)
	}
	defer raw.Close()
	var building, inserting time.Duration
	for b.Loop() {
		build, _, err := family.Start(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		feed(b, family, logs, build)
		building += time.Since(began)
		for _, statement := range []string{"DROP TABLE IF EXISTS raw_messages", "CREATE TABLE raw_messages LIKE " + build.Table("messages")} {
			if _, err := raw.ExecContext(b.Context(), statement); err != nil {
				b.Fatal(err)
			}
		}
		inserting += insertAll(b, raw, statements)
		if err := family.Registry.Change(b.Context(), build, projections.Dropped); err != nil {
			b.Fatal(err)
		}
	}
	n := float64(b.N) * partitions * batches * benchBatch
	b.ReportMetric(n/building.Seconds(), "rows/s")
	b.ReportMetric(n/inserting.Seconds(), "raw-rows/s")
	b.ReportMetric(100*inserting.Seconds()/building.Seconds(), "%-of-raw")
}

// feed runs a worker until the build has seen everything.
func feed(b *testing.B, family *builds.Family, logs past, build builds.Build) {
	b.Helper()
	f, err := builds.NewFeeder(builds.FeederConfig{
		Family: family, Source: logs, Throttle: builds.NewThrottle(), Every: 10 * time.Millisecond,
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	var group sync.WaitGroup
	for p := range logs {
		group.Go(func() { f.Hold(ctx, p, 1, func(ctx context.Context) { <-ctx.Done() }) })
	}
	heads, _ := logs.heads(ctx) // never fails
	for {
		status, err := family.Open(build).Status(ctx)
		if err != nil {
			b.Fatal(err)
		}
		if status.Remaining(heads) == 0 {
			break
		}
		<-time.After(2 * time.Millisecond)
	}
	cancel()
	group.Wait()
}

// insertAll runs the statements two at a time.
func insertAll(b *testing.B, raw *sql.DB, statements []string) time.Duration {
	b.Helper()
	var group errgroup.Group
	group.SetLimit(2)
	began := time.Now()
	for _, statement := range statements {
		group.Go(func() error {
			_, err := raw.ExecContext(b.Context(), statement)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}
