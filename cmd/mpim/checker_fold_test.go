package main_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/projections"
	"mpim/projections/activity"
	"mpim/projections/contacts"
	"mpim/projections/database"
	"mpim/projections/history"
	"mpim/projections/inbox"
	"mpim/projections/members"
	"mpim/projections/notices"
	"mpim/projections/presence"
	"mpim/projections/projectionstest"
	"mpim/projections/receipts"
	"mpim/projections/recent"
	"mpim/projections/search"
	"mpim/schema"
	"mpim/schema/migrations"
	"mpim/streams"
)

// dumper is a projection in Redis that can be compared.
type dumper interface {
	projections.Projection
	Dump(ctx context.Context, partition int) (map[string]string, error)
}

// liveInRedis returns the live projections that Redis holds.
func liveInRedis(client *redis.Client, partitions int) []dumper {
	return []dumper{
		presence.New(presence.Config{Client: client, Partitions: partitions}), members.New(members.Config{Client: client, Partitions: partitions}),
		inbox.New(inbox.Config{Client: client, Partitions: partitions}), recent.New(recent.Config{Client: client, Partitions: partitions}),
	}
}

// inSQL returns the projections whose rows a database holds.
func inSQL(db *database.DB) []projections.Projection {
	return []projections.Projection{history.New(db), contacts.New(db), search.New(db), receipts.New(db), notices.New(db), activity.New(db)}
}

// verifyNothingSetBack lets late writes arrive, and watches that no checkpoint goes back. It has to be seen at once: whoever
// takes a partition after that reads on from the checkpoint, and heals what was broken.
func (r *checkerRun) verifyNothingSetBack(ctx context.Context, release func()) {
	client := r.d.redis.Client()
	identity, err := streams.ReadIdentity(ctx, client)
	if err != nil {
		r.t.Fatal(err)
	}
	live := liveInRedis(client, identity.Partitions)
	positions := func() map[string]int64 {
		found := make(map[string]int64)
		for _, p := range live {
			status, err := p.Status(ctx)
			if err != nil {
				r.t.Fatal(err)
			}
			for _, partition := range status.Partitions {
				found[fmt.Sprintf("%s in partition %d", p.Name(), partition.Partition)] = partition.Checkpoint.Seq
			}
		}
		return found
	}
	before, setBack := positions(), make(map[string]bool)
	release()
	for range 100 {
		for name, seq := range positions() {
			if seq < before[name] && !setBack[name] {
				setBack[name] = true
				r.fail("%s was set back from %d to %d by a deposed worker", name, before[name], seq)
			}
		}
		pause(ctx, 10*time.Millisecond)
	}
}

// verifyProjections folds the whole log anew, beside the live projections, and compares.
func (r *checkerRun) verifyProjections(ctx context.Context) {
	client := r.d.redis.Client()
	identity, err := streams.ReadIdentity(ctx, client)
	if err != nil {
		r.t.Fatal(err)
	}
	all := identity.Partitions
	const space = "fresh:"
	live := liveInRedis(client, all)
	fresh := []dumper{
		presence.New(presence.Config{Client: client, Partitions: all, Space: space}), members.New(members.Config{Client: client, Partitions: all, Space: space}),
		inbox.New(inbox.Config{Client: client, Partitions: all, Space: space}), recent.New(recent.Config{Client: client, Partitions: all, Space: space}),
	}
	liveDB, freshDB := r.databases(ctx)
	liveSQL, freshSQL := inSQL(liveDB), inSQL(freshDB)
	reader := streams.Reader{Client: client, Partitions: all, Opener: openerOf(r.t, liveDB)}
	for partition := range all {
		for n, p := range fresh {
			r.compare(ctx, reader, live[n], p, partition)
			r.verifyCheckpoint(ctx, reader, live[n], partition)
		}
		for n, p := range freshSQL {
			r.verifyCheckpoint(ctx, reader, liveSQL[n], partition)
			r.fold(ctx, reader, p, partition)
		}
	}
	for _, p := range freshSQL {
		r.compareTables(ctx, p.Name(), liveDB, freshDB)
	}
}

// verifyCheckpoint waits until a live projection stands at the end of the log: one that a deposed worker set back stays
// behind.
func (r *checkerRun) verifyCheckpoint(ctx context.Context, reader streams.Reader, live projections.Projection, partition int) {
	var got, want int64
	for range 50 {
		heads, err := reader.Heads(ctx)
		if err != nil {
			r.t.Fatal(err)
		}
		status, err := live.Status(ctx)
		if err != nil {
			r.t.Fatal(err)
		}
		want, got = heads[partition], 0
		for _, p := range status.Partitions {
			if p.Partition == partition {
				got = p.Checkpoint.Seq
			}
		}
		if got == want {
			return
		}
		pause(ctx, 100*time.Millisecond)
	}
	r.fail("%s stands at %d:%d, the log ends at %d:%d", live.Name(), partition, got, partition, want)
}

// databases opens the deployment's database and an empty one beside it.
func (r *checkerRun) databases(ctx context.Context) (live, fresh *database.DB) {
	open := func(url string) *database.DB {
		db, err := database.Open(ctx, url)
		if err != nil {
			r.t.Fatal(err)
		}
		r.t.Cleanup(func() { _ = db.Close() })
		return db
	}
	for _, setting := range r.d.env {
		if url, ok := strings.CutPrefix(setting, "MPIM_DATABASE_URL="); ok {
			live = open(url)
		}
	}
	fresh = open(r.d.database.URL(r.d.database.CreateDatabase(r.t))) //nolint:contextcheck // it takes the test's
	list, err := database.NewMigrations(fresh, migrations.Files)
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := list.Up(ctx); err != nil {
		r.t.Fatal(err)
	}
	return live, fresh
}

// fold applies what a projection has not seen of a partition, in batches of other sizes than the live one had.
func (r *checkerRun) fold(ctx context.Context, reader streams.Reader, p projections.Projection, partition int) {
	const token = 1
	at, err := p.Take(ctx, partition, token)
	if err != nil {
		r.t.Fatalf("take %s: %v", p.Name(), err)
	}
	var records []*schema.Record
	for record, err := range reader.Partition(ctx, partition, at) {
		if err != nil {
			r.t.Fatal(err)
		}
		records = append(records, record)
	}
	for chunk := range slices.Chunk(records, 333) {
		first, last := chunk[0], chunk[len(chunk)-1]
		step := projections.Step{
			Batch: schema.Batch{Partition: partition, Token: token, From: first.Seq, To: last.Seq, StreamID: last.StreamID, Records: chunk},
			At:    last.At,
		}
		if err := p.Apply(ctx, step); err != nil {
			r.t.Fatalf("fold %s: %v", p.Name(), err)
		}
	}
}

// compare waits until the live projection is what a fresh fold makes. Both go on meanwhile: the connections of the gateway
// that was killed end a minute after it.
func (r *checkerRun) compare(ctx context.Context, reader streams.Reader, live, fresh dumper, partition int) {
	var got, want map[string]string
	for range 100 {
		r.fold(ctx, reader, fresh, partition)
		var err error
		if want, err = fresh.Dump(ctx, partition); err != nil {
			r.t.Fatal(err)
		}
		if got, err = live.Dump(ctx, partition); err != nil {
			r.t.Fatal(err)
		}
		if maps.Equal(got, want) {
			return
		}
		pause(ctx, 100*time.Millisecond)
	}
	for key, value := range want {
		if got[key] != value {
			r.fail("%s, partition %d: %s is %q, a fresh fold gives %q", live.Name(), partition, key, got[key], value)
		}
	}
	for key, value := range got {
		if _, ok := want[key]; !ok {
			r.fail("%s, partition %d: %s is %q, a fresh fold has none", live.Name(), partition, key, value)
		}
	}
}

func (r *checkerRun) compareTables(ctx context.Context, projection string, live, fresh *database.DB) {
	tables := projectionstest.Rows(ctx, r.t, fresh, "SELECT table_name AS t FROM information_schema.tables "+
		"WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' AND table_name LIKE ? ORDER BY 1", projection+"\\_1\\_%")
	if len(tables) == 0 {
		r.t.Fatalf("a fresh fold of %s made no tables", projection)
	}
	for _, line := range tables {
		table := strings.Trim(strings.TrimPrefix(line, "t="), `"`)
		query := "SELECT * FROM " + table
		got, want := projectionstest.Rows(ctx, r.t, live, query), projectionstest.Rows(ctx, r.t, fresh, query)
		slices.Sort(got)
		slices.Sort(want)
		r.t.Logf("%s: %d rows", table, len(want))
		for n := range max(len(got), len(want)) {
			if n >= len(got) || n >= len(want) || got[n] != want[n] {
				r.fail("%s: %d rows live, %d in a fresh fold; the first difference is at row %d", table, len(got), len(want), n)
				break
			}
		}
	}
}
