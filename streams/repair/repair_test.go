package repair_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/schema"
	"mpim/streams"
	"mpim/streams/fold"
	"mpim/streams/repair"
	"mpim/streams/streamstest"
)

const partitions = 2

// world is a log on a server that can lose its tail, and what stands around it, in memory.
type world struct {
	*streamstest.RedisServer

	client   *redis.Client
	identity streams.Identity
	copied   string

	// archive holds the records of each partition from the first; fails says after how many reads it fails, 0 for never.
	archive map[int][]*schema.Record
	fails   int
	// page is how many records one read of the archive returns.
	page int64
	// The ledger.
	epoch     int64
	repairing bool
	plans     map[int64][]repair.Plan
	cutOff    bool // when the plan was kept
	tokens    int64
	// The consumers.
	seen     []repair.Seen
	replaced int
	common   map[int]int64
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{
		RedisServer: streamstest.StartRedis(tb, streamstest.With("appendfsync", "always")),
		page:        3, archive: make(map[int][]*schema.Record), plans: make(map[int64][]repair.Plan), common: make(map[int]int64),
	}
	w.client = w.Client()
	var err error
	if w.identity, err = streams.NewIdentity(partitions); err != nil {
		tb.Fatal(err)
	}
	w.epoch = 1
	if err := streams.Create(tb.Context(), w.client, w.identity); err != nil {
		tb.Fatal(err)
	}
	return w
}

// say appends messages to a group of partition 0.
func (w *world) say(tb testing.TB, texts ...string) {
	tb.Helper()
	w.identity.Epoch = w.epoch
	log, err := streams.New(streams.Config{Client: w.client, Identity: w.identity, Sole: true})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	done := make(chan error, 1)
	go func() { done <- log.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			tb.Error(err)
		}
	}()
	for _, text := range texts {
		limit, stop := context.WithTimeout(tb.Context(), 20*time.Second)
		_, err := log.Append(limit, w.message(text))
		stop()
		if err != nil {
			tb.Fatalf("append %q: %v", text, err)
		}
	}
}

func (w *world) group() domain.Aggregate {
	for i := 0; ; i++ {
		a := w.identity.Placement().Group("u", strconv.Itoa(i)).Aggregate()
		if p, _ := a.Partition(); p == 0 {
			return a
		}
	}
}

func (w *world) message(text string) domain.Commit {
	sum := sha256.Sum256([]byte(text))
	return domain.Commit{
		Aggregate: w.group(), At: time.UnixMilli(time.Now().UnixMilli()).UTC(), Actor: "u",
		Request: &domain.Request{Key: [12]byte(sum[:12]), Content: [8]byte(sum[12:20])},
		Guards:  []domain.Guard{{Field: domain.VersionField}},
		Events:  []domain.Fact{&domain.MessageSent{ClientID: text, Body: domain.Body{Type: domain.TextBody, Text: text}}},
	}
}

// stored returns the records that Redis has of partition 0.
func (w *world) stored(tb testing.TB) (all []*schema.Record) {
	tb.Helper()
	for r, err := range (streams.Reader{Client: w.client, Partitions: partitions}).Partition(tb.Context(), 0, schema.Checkpoint{}) {
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// archived archives everything.
func (w *world) archived(t *testing.T) { t.Helper(); w.archive[0] = w.stored(t) }

func (w *world) file() string { return filepath.Join(w.Dir(), "appendonlydir") }

func (w *world) keep(tb testing.TB) {
	tb.Helper()
	w.copied = tb.TempDir()
	if err := os.CopyFS(w.copied, os.DirFS(w.file())); err != nil {
		tb.Fatal(err)
	}
}

func (w *world) lose(tb testing.TB) {
	tb.Helper()
	err := errors.Join(w.Kill(), os.RemoveAll(w.file()), os.CopyFS(w.file(), os.DirFS(w.copied)))
	if err == nil {
		err = w.Restart()
	}
	if err != nil {
		tb.Fatal(err)
	}
}

func (w *world) repairer() *repair.Repairer {
	return repair.New(repair.Config{
		Client: w.client, Server: streams.RedisServer{Client: w.client}, Archive: w, Ledger: w, Consumers: w, Requests: w,
	})
}

var errFails = errors.New("the archive fails")

func (w *world) After(_ context.Context, partition int, seq int64) ([]*schema.Record, error) {
	if w.fails > 0 {
		if w.fails--; w.fails == 0 {
			return nil, errFails
		}
	}
	all := w.archive[partition]
	if seq >= int64(len(all)) {
		return nil, nil
	}
	return all[seq:min(seq+w.page, int64(len(all)))], nil
}

func (w *world) Before(context.Context, int, time.Time) (int64, error) { return 0, nil }

func (w *world) Ends(context.Context) (map[int]int64, error) {
	return map[int]int64{0: int64(len(w.archive[0]))}, nil
}

func (w *world) Lease(ctx context.Context) (context.Context, int64, func(), error) {
	w.tokens++
	return ctx, w.tokens, func() {}, nil
}

func (w *world) Known(context.Context) (streams.Identity, bool, error) {
	i := w.identity
	i.Epoch = w.epoch
	return i, w.repairing, nil
}

func (w *world) Begin(_ context.Context, from streams.Identity) (streams.Identity, error) {
	w.repairing, w.epoch = true, from.Epoch+1
	from.Epoch++
	return from, nil
}

func (w *world) Plans(_ context.Context, epoch int64) ([]repair.Plan, bool, error) {
	plans := slices.DeleteFunc(slices.Clone(w.plans[epoch]), func(p repair.Plan) bool { return !p.Damaged() })
	return plans, len(plans) > 0, nil
}

func (w *world) Keep(_ context.Context, epoch int64, plans []repair.Plan) error {
	w.plans[epoch] = plans
	if w.cutOff {
		return errFails
	}
	return nil
}

func (w *world) Complete(context.Context, int64) error { w.repairing = false; return nil }

func (w *world) Depose(context.Context, int64) error { return nil }

func (w *world) Seen(context.Context) ([]repair.Seen, error) { return w.seen, nil }

func (w *world) Replace(_ context.Context, lacks func(int, schema.Checkpoint) (bool, error)) error {
	var still []repair.Seen
	replaced := 0
	for _, s := range w.seen {
		lost, err := lacks(s.Partition, s.Checkpoint)
		if err != nil {
			return err
		}
		if lost {
			replaced++
		} else {
			still = append(still, s)
		}
	}
	w.seen, w.replaced = still, w.replaced+replaced
	return nil
}

func (w *world) Retreat(_ context.Context, partition int, common int64, _ func(int64, domain.EventID) (bool, error)) error {
	w.common[partition] = common
	return nil
}

func (w *world) Refresh(context.Context) error { return nil }

func (w *world) Recall(commit []*schema.Record) (domain.Request, bool) {
	fact, err := commit[0].Fact()
	sent, ok := fact.(*domain.MessageSent)
	if err != nil || !ok {
		return domain.Request{}, false
	}
	return *w.message(sent.ClientID).Request, true
}

// texts returns what partition 0 says, and what log.repaired says.
func (w *world) texts(t *testing.T) (texts []string, repaired []domain.LogRepaired) {
	t.Helper()
	for _, r := range w.stored(t) {
		fact, err := r.Fact()
		if err != nil {
			t.Fatal(err)
		}
		switch fact := fact.(type) {
		case *domain.MessageSent:
			texts = append(texts, fact.ClientID)
		case *domain.LogRepaired:
			repaired = append(repaired, *fact)
		default:
		}
	}
	return texts, repaired
}

// sound wants what stands beside the log to be what the events come to, and the log to go on: what is there is not appended again.
func (w *world) sound(t *testing.T, want ...string) {
	t.Helper()
	_, found, err := fold.Verify(t.Context(), streams.Reader{Client: w.client, Partitions: partitions}, streams.States{Client: w.client}, 0, func(int64) {})
	if err != nil || len(found) > 0 {
		t.Errorf("%v, %v", found, err)
	}
	w.say(t, append(slices.Clone(want), "and on")...)
	got, _ := w.texts(t)
	if !slices.Equal(got, append(slices.Clone(want), "and on")) {
		t.Errorf("the log says %v, want %v and on", got, want)
	}
	if finding, err := w.repairer().Look(t.Context()); err != nil || !finding.Sound() {
		t.Errorf("after the repair: %+v, %v", finding, err)
	}
}

func numbered(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprint(prefix, i)
	}
	return all
}

func TestRepair(t *testing.T) {
	t.Parallel()
	old, branch := numbered("old", 7), numbered("branch", 4)
	first := []string{"a", "b", "c"}
	last := func(t *testing.T, w *world) repair.Seen {
		t.Helper()
		all := w.stored(t)
		r := all[len(all)-1]
		return repair.Seen{Partition: 0, Checkpoint: schema.Checkpoint{Seq: r.Seq, StreamID: r.StreamID}}
	}
	for name, test := range map[string]struct {
		happens  func(t *testing.T, w *world)
		want     []string
		repaired []domain.LogRepaired
		replaced int
		common   int64
	}{
		"the archive has the tail": {
			func(t *testing.T, w *world) {
				t.Helper()
				w.say(t, old...)
				w.archived(t)
				w.seen = append(w.seen, last(t, w))
				w.lose(t)
			}, append(slices.Clone(first), old...), []domain.LogRepaired{{From: 4, To: 10, Lost: 0}}, 0, 10,
		},
		"the archive has some of it": {
			func(t *testing.T, w *world) {
				t.Helper()
				w.say(t, old[:5]...)
				w.archived(t)
				w.say(t, old[5:]...)
				w.seen = append(w.seen, last(t, w))
				w.lose(t)
			}, append(slices.Clone(first), old[:5]...), []domain.LogRepaired{{From: 4, To: 10, Lost: 2}}, 1, 8,
		},
		"a projection alone saw it": {
			func(t *testing.T, w *world) {
				t.Helper()
				w.archived(t)
				w.say(t, old...)
				w.seen = append(w.seen, last(t, w))
				w.lose(t)
			}, first, []domain.LogRepaired{{From: 4, To: 10, Lost: 7}}, 1, 3,
		},
		"the log went on, and the archive has the branch before": {
			func(t *testing.T, w *world) {
				t.Helper()
				w.say(t, old...)
				w.archived(t)
				w.lose(t)
				w.say(t, branch...)
				w.seen = append(w.seen, last(t, w))
			}, append(slices.Clone(first), old...), []domain.LogRepaired{{From: 4, To: 10, Lost: 0}, {From: 4, To: 7, Lost: 4}}, 1, 3,
		},
		"the log went on, and nobody has the branch before": {
			func(t *testing.T, w *world) {
				t.Helper()
				w.archived(t)
				w.say(t, old...)
				w.seen = append(w.seen, last(t, w))
				w.lose(t)
				w.say(t, branch...)
				w.archived(t)
				w.seen = append(w.seen, last(t, w))
			}, append(slices.Clone(first), branch...), []domain.LogRepaired{{From: 4, To: 10, Lost: 7}}, 1, 3,
		},
		"someone who was away saw more": {
			func(t *testing.T, w *world) {
				t.Helper()
				w.say(t, old...)
				w.lose(t)
				w.say(t, branch...)
				if err := streams.MarkForked(t.Context(), w.client, streams.RedisServer{Client: w.client}, w.identity, 0, 10); err != nil {
					t.Fatal(err)
				}
			}, append(slices.Clone(first), branch...), []domain.LogRepaired{{From: 4, To: 10, Lost: 7}}, 0, 3,
		},
		"everything is gone": {
			func(t *testing.T, w *world) {
				t.Helper()
				w.say(t, old...)
				w.archived(t)
				if err := w.client.FlushAll(t.Context()).Err(); err != nil {
					t.Fatal(err)
				}
			}, append(slices.Clone(first), old...), []domain.LogRepaired{{From: 1, To: 10, Lost: 0}}, 0, 10,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.say(t, first...)
			w.keep(t)
			test.happens(t, w)
			original := w.archive[0]
			// It is cut off again and again, each time a little later.
			for fails := 1; ; fails++ {
				w.fails = fails
				_, err := w.repairer().Run(t.Context())
				if err == nil {
					break
				}
				if !errors.Is(err, errFails) {
					t.Fatal(err)
				}
			}
			w.fails = 0
			got, repaired := w.texts(t)
			if !slices.Equal(got, test.want) || !slices.Equal(repaired, test.repaired) {
				t.Errorf("the log says %v, and was repaired by %+v; want %v, %+v", got, repaired, test.want, test.repaired)
			}
			if w.replaced != test.replaced || w.common[0] != test.common {
				t.Errorf("%d replaced, set back to %d; want %d, %d", w.replaced, w.common[0], test.replaced, test.common)
			}
			for i, r := range w.stored(t)[:min(len(original), len(test.want))] {
				if o := original[i]; r.ID != o.ID || r.StreamID != o.StreamID || string(r.Metadata) != string(o.Metadata) || string(r.Payload) != string(o.Payload) {
					t.Errorf("event %d is not to the byte what it was: %+v, %+v", i+1, r, o)
				}
			}
			w.sound(t, test.want...)
		})
	}
}
