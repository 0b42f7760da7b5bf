package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mpim/domain"
	"mpim/handlers/webhook"
	"mpim/projections"
	"mpim/projections/deadletters"
	"mpim/projections/webhooks"
	"mpim/schema"
)

// world is a log of one partition, the table of webhooks and a receiver, in memory.
type world struct {
	t *testing.T

	mu      sync.Mutex
	records []*schema.Record
	hooks   []webhooks.Webhook
	at      map[string]webhooks.Checkpoint
	letters []deadletters.Letter
	saves   int
	// requests are those that came, each with the partition sequences of its events; answer says what each gets.
	requests []received
	answer   func(r received) error
}

type received struct {
	webhook.Request

	at   time.Time
	seqs []int64
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return &world{t: t, at: make(map[string]webhooks.Checkpoint)}
}

// hook adds a webhook at the beginning of the log.
func (w *world) hook(id, types string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hooks = append(w.hooks, webhooks.Webhook{ID: id, URL: "https://example.org/" + id, Types: types, Secret: []byte("secret")})
	w.at[id] = webhooks.Checkpoint{Webhook: id}
}

// append adds events of a type.
func (w *world) append(n int, eventType domain.EventType) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for range n {
		seq := int64(len(w.records) + 1)
		r := &schema.Record{
			ID: domain.EventID(fmt.Sprintf("e%d", seq)), Type: eventType, Version: 1, At: time.Now(), Data: json.RawMessage(`{"user":"u1"}`),
			Aggregate: domain.Aggregate{Kind: domain.Group, ID: "g1"},
		}
		r.Seq = seq
		w.records = append(w.records, r)
	}
}

// run runs a worker that holds the partition, until stop is called.
func (w *world) run(config webhook.Config) (stop func()) {
	w.t.Helper()
	config.Store, config.Reader, config.Poster = w, w, w
	worker, err := webhook.New(config)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	var wait sync.WaitGroup
	wait.Go(func() { _ = worker.Run(ctx) })
	wait.Go(func() { worker.Hold(ctx, 0, 1) })
	return func() {
		cancel()
		wait.Wait()
	}
}

func (w *world) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.requests)
}

func (w *world) stands(id string) webhooks.Checkpoint {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at[id]
}

// sent returns the sequences of all events in the order of their coming.
func (w *world) sent() (seqs []int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.requests {
		seqs = append(seqs, r.seqs...)
	}
	return seqs
}

func (w *world) Partition(_ context.Context, _ int, after schema.Checkpoint) iter.Seq2[*schema.Record, error] {
	w.mu.Lock()
	records := slices.Clone(w.records[after.Seq:])
	w.mu.Unlock()
	return func(yield func(*schema.Record, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (w *world) Heads(context.Context) ([]int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return []int64{int64(len(w.records))}, nil
}

func (w *world) List(context.Context) ([]webhooks.Webhook, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.hooks), nil
}

func (w *world) Take(_ context.Context, id string, _ int, token int64) (webhooks.Checkpoint, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, ok := w.at[id]
	if !ok {
		return c, webhooks.ErrGone
	}
	c.Token = token
	w.at[id] = c
	return c, nil
}

func (w *world) change(c webhooks.Checkpoint, change func(*webhooks.Checkpoint)) (webhooks.Checkpoint, error) {
	kept := w.at[c.Webhook]
	if kept.Seq != c.Seq || kept.Token != c.Token || kept.Rewinds != c.Rewinds {
		return c, projections.ErrDeposed
	}
	change(&kept)
	w.at[c.Webhook] = kept
	w.saves++
	return kept, nil
}

func (w *world) Advance(_ context.Context, c webhooks.Checkpoint, to int64, _ int, letters ...deadletters.Letter) (webhooks.Checkpoint, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, err := w.change(c, func(c *webhooks.Checkpoint) { c.Seq, c.Failing = to, webhooks.Failing{} })
	if err == nil {
		w.letters = append(w.letters, letters...)
	}
	return c, err
}

func (w *world) Fail(_ context.Context, c webhooks.Checkpoint, f webhooks.Failing) (webhooks.Checkpoint, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.change(c, func(c *webhooks.Checkpoint) { c.Failing = f })
}

func (w *world) Send(ctx context.Context, r webhook.Request) error {
	var body struct {
		Type string
		Data struct {
			Webhook string
			Events  []schema.Line
		}
	}
	if err := json.Unmarshal(r.Body, &body); err != nil {
		w.t.Error(err)
	}
	got := received{Request: r, at: time.Now()}
	for _, e := range body.Data.Events {
		got.seqs = append(got.seqs, e.PartitionSeq)
	}
	w.mu.Lock()
	w.requests = append(w.requests, got)
	answer := w.answer
	w.mu.Unlock()
	if answer == nil {
		return ctx.Err()
	}
	return answer(got)
}

func bubble(t *testing.T, test func(w *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { test(newWorld(t)) })
}

// after lets time pass.
func after(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	<-timer.C
	synctest.Wait()
}

func upTo(n int64) (seqs []int64) {
	for seq := int64(1); seq <= n; seq++ {
		seqs = append(seqs, seq)
	}
	return seqs
}

var errDown = errors.New("connection refused")
