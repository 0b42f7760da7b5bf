package builds_test

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/builds"
	"mpim/projections/database"
	"mpim/projections/projectionstest"
	"mpim/projections/tables"
	"mpim/schema"
	"mpim/streams/streamstest"
)

const (
	partitions = 3
	alice      = domain.UserID("u0000000000000000000100")
)

// sent is a projection that keeps which messages were sent, and in which version of the code that was written down.
func sent(version int) tables.Definition {
	return tables.Definition{
		Name: "sent", Version: version, Types: []domain.EventType{domain.TypeMessageSent},
		Tables: []tables.Table{{Name: "messages", Columns: `
			place   {name} NOT NULL,
			version INTEGER NOT NULL,
			PRIMARY KEY (place)`}},
		Views: []tables.View{{Name: "sent_messages", Select: "SELECT place, version FROM {messages}"}},
		Fold: func(ctx context.Context, tx *tables.Tx, records []*schema.Record) error {
			rows := make([]sentRow, len(records))
			for i, r := range records {
				rows[i] = sentRow{r.String(), version}
			}
			return tables.Insert(ctx, tx, "messages", rows)
		},
	}
}

type sentRow struct {
	Place   string `bun:"place,pk"`
	Version int    `bun:"version"`
}

// store is where the projection is kept.
type store interface {
	// family returns a version of the projection.
	family(version int) *builds.Family
	// rows returns how many rows the live build has, and of which versions of the code they are.
	rows(ctx context.Context) (n, least, most int, err error)
	// left returns the tables or keys of a build that are there.
	left(ctx context.Context, build int) ([]string, error)
}

// eachStore runs a test on an empty store of each kind.
func eachStore(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	projectionstest.Each(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		test(t, newWorld(t, db))
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(t, newRedisWorld(t, streamstest.StartRedis(t).Client()))
	})
	t.Run("miniredis", func(t *testing.T) {
		t.Parallel()
		client := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
		t.Cleanup(func() { _ = client.Close() })
		test(t, newRedisWorld(t, client))
	})
}

// world is a log that grows, a store, and workers.
type world struct {
	store

	t  *testing.T
	db *database.DB // nil in Redis

	mu      sync.Mutex
	logs    []*projectionstest.Log
	changed chan struct{}
	token   int64
}

func newWorld(t *testing.T, db *database.DB) *world {
	t.Helper()
	w := newLogs(t)
	w.db, w.store = db, inTables{db}
	return w
}

// inTables is the projection in SQL.
type inTables struct{ db *database.DB }

func (s inTables) family(version int) *builds.Family {
	return &builds.Family{Code: tables.Code{DB: s.db, Definition: sent(version)}, Registry: builds.SQL{DB: s.db}}
}

func (s inTables) rows(ctx context.Context) (n, least, most int, err error) {
	err = tables.Read(ctx, s.db, "sent", func(ctx context.Context, tx *tables.Tx) error {
		return tx.NewRaw("SELECT COUNT(*), COALESCE(MIN(version), 0), COALESCE(MAX(version), 0) FROM ?", tx.Table("messages")).Scan(ctx, &n, &least, &most)
	})
	return n, least, most, err
}

func (s inTables) left(ctx context.Context, build int) ([]string, error) {
	return s.db.Tables(ctx, builds.Table("sent", build, ""))
}

func newLogs(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, changed: make(chan struct{})}
	for p := range partitions {
		w.logs = append(w.logs, projectionstest.NewLog(p))
	}
	return w
}

// append appends n messages to each partition.
func (w *world) append(n int) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for p, log := range w.logs {
		group := domain.ConversationID(fmt.Sprintf("g%018d%02d", 1, p))
		for range n {
			r := log.Append(w.t, group.Aggregate(), alice, &domain.MessageSent{ClientID: "c", Body: domain.Body{Type: domain.TextBody, Text: "hello"}})
			r.At = time.Now()
		}
	}
	close(w.changed)
	w.changed = make(chan struct{})
}

// after returns the records of a partition behind a sequence, and a channel that is closed when there are more.
func (w *world) after(partition int, seq int64) ([]*schema.Record, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.logs[partition].Records
	return all[min(seq, int64(len(all))):len(all):len(all)], w.changed
}

func (w *world) heads(context.Context) ([]int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	heads := make([]int64, partitions)
	for p, log := range w.logs {
		heads[p] = int64(len(log.Records))
	}
	return heads, nil
}

// Partition implements builds.Source.
func (w *world) Partition(ctx context.Context, partition int, after schema.Checkpoint) iter.Seq2[*schema.Record, error] {
	return func(yield func(*schema.Record, error) bool) {
		records, _ := w.after(partition, after.Seq)
		for _, r := range records {
			if ctx.Err() != nil {
				yield(nil, ctx.Err())
				return
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// family returns a version of the projection.
func (w *world) family(version int) *builds.Family {
	f := w.store.family(version)
	f.Heads, f.Keep = w.heads, time.Millisecond
	return f
}

// work runs a worker that knows one version, until the returned function is called.
func (w *world) work(version int) (stop func()) {
	w.t.Helper()
	f, err := builds.NewFeeder(builds.FeederConfig{
		Family: w.family(version), Source: w, Throttle: builds.NewThrottle(), Every: 20 * time.Millisecond,
		Runner: projections.Config{Logger: slog.New(slog.NewTextHandler(w.t.Output(), nil))},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	w.mu.Lock()
	w.token++
	token := w.token
	w.mu.Unlock()
	var group sync.WaitGroup
	for p := range partitions {
		group.Go(func() {
			f.Hold(ctx, p, token, func(ctx context.Context) { w.subscribe(ctx, f, p, token) })
		})
	}
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			group.Wait()
		})
	}
	w.t.Cleanup(stop)
	return stop
}

// subscribe does what the batch subscriber does.
func (w *world) subscribe(ctx context.Context, f *builds.Feeder, partition int, token int64) {
	for ctx.Err() == nil {
		at, err := f.Take(ctx, partition, token)
		for err == nil && ctx.Err() == nil {
			records, changed := w.after(partition, at.Seq)
			if len(records) == 0 {
				select {
				case <-ctx.Done():
				case <-changed:
				}
				continue
			}
			records = records[:min(len(records), 50)]
			last := records[len(records)-1]
			batch := &schema.Batch{
				Partition: partition, Token: token, From: records[0].Seq, To: last.Seq, StreamID: last.StreamID, Records: records,
			}
			msg := message.NewMessageWithContext(schema.WithBatch(ctx, batch), "", nil)
			if err = f.Handle(msg); err == nil { //nolint:contextcheck // the message carries it
				at = schema.Checkpoint{Seq: last.Seq, StreamID: last.StreamID}
			}
		}
	}
}

// await waits until a condition holds.
func (w *world) await(what string, holds func() bool) {
	w.t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			standing, err := w.family(1).Standing(w.t.Context())
			w.t.Fatalf("not in time: %s; builds are %+v, %v", what, standing.Builds, err)
		case <-ticker.C:
		}
	}
}

// state returns the state of a build.
func (w *world) state(number int) projections.State {
	standing, err := w.family(1).Standing(w.t.Context())
	if err != nil {
		w.t.Error(err)
	}
	b, _ := standing.Find(number)
	return b.State
}

// total returns how many messages there are.
func (w *world) total() int {
	heads, _ := w.heads(w.t.Context())
	var n int64
	for _, head := range heads {
		n += head
	}
	return int(n)
}

// pending returns the views that do not show the live build.
func (w *world) pending(version int) ([]string, error) {
	code := tables.Code{DB: w.db, Definition: sent(version)}
	standing, err := w.family(version).Standing(w.t.Context())
	if err != nil {
		return nil, err
	}
	live, ok := standing.Live()
	if !ok {
		return []string{"all"}, nil
	}
	return code.Pending(w.t.Context(), live)
}
