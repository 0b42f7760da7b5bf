package webhook

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"mpim/projections/webhooks"
)

// Worker delivers the partitions that are held to all webhooks.
type Worker struct {
	config  Config
	metrics *metrics

	mu sync.Mutex
	// hooks are those that were read last, nil before. Changed is closed when they, or the heads, are others.
	hooks   []webhooks.Webhook
	heads   []int64
	changed chan struct{}
	// running are the deliverers, for the metrics.
	running map[*deliverer]bool
	active  atomic.Int64
}

// New returns a worker that does nothing before Run and Hold.
func New(config Config) (*Worker, error) {
	if err := config.complete(); err != nil {
		return nil, err
	}
	w := &Worker{config: config, changed: make(chan struct{}), running: make(map[*deliverer]bool)}
	var err error
	w.metrics, err = newMetrics(w, config.Registerer)
	return w, err
}

// Run looks for new webhooks and new events until ctx ends.
func (w *Worker) Run(ctx context.Context) error {
	var wait sync.WaitGroup
	wait.Go(func() { w.every(ctx, w.config.Refresh, "webhooks cannot be read", w.refresh) })
	wait.Go(func() { w.every(ctx, w.config.Look, "the log's heads cannot be read", w.look) })
	wait.Wait()
	return nil
}

// every does something again and again. Of failures in a row it logs the first.
func (w *Worker) every(ctx context.Context, pause time.Duration, what string, do func(context.Context) error) {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	failing := false
	for {
		err := do(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			w.config.Logger.WarnContext(ctx, "webhooks wait", slog.String("because", what), slog.Any("error", err))
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (w *Worker) refresh(ctx context.Context) error {
	hooks, err := w.config.Store.List(ctx)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !same(w.hooks, hooks) {
		w.hooks = hooks
		w.wake()
	}
	return nil
}

func same(a, b []webhooks.Webhook) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !unchanged(a[i], b[i]) {
			return false
		}
	}
	return true
}

// unchanged says whether who delivers to a webhook can go on.
func unchanged(a, b webhooks.Webhook) bool {
	return a.ID == b.ID && a.Rewinds == b.Rewinds && a.URL == b.URL && a.Types == b.Types
}

// look reads the heads, which nobody needs while nothing is delivered.
func (w *Worker) look(ctx context.Context) error {
	if w.active.Load() == 0 {
		return nil
	}
	heads, err := w.config.Reader.Heads(ctx)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for partition, head := range heads {
		if len(w.heads) != len(heads) || w.heads[partition] != head {
			w.heads = heads
			w.wake()
			break
		}
	}
	return nil
}

// wake tells who waits that something is new. The mutex is held.
func (w *Worker) wake() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// known returns the webhooks, and a channel that is closed when there may be others.
func (w *Worker) known() ([]webhooks.Webhook, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hooks, w.changed
}

// head returns where a partition ends, and a channel that is closed when it may end later.
func (w *Worker) head(partition int) (int64, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if partition >= len(w.heads) {
		return 0, w.changed
	}
	return w.heads[partition], w.changed
}

// Hold delivers a leased partition to all webhooks until ctx ends.
func (w *Worker) Hold(ctx context.Context, partition int, token int64) {
	type delivery struct {
		webhook webhooks.Webhook
		cancel  context.CancelFunc
		done    chan struct{}
	}
	running := make(map[string]delivery)
	var all sync.WaitGroup
	defer all.Wait()
	for ctx.Err() == nil {
		hooks, changed := w.known()
		wanted := make(map[string]webhooks.Webhook, len(hooks))
		for _, hook := range hooks {
			wanted[hook.ID] = hook
		}
		for id, d := range running {
			if hook, still := wanted[id]; !still || !unchanged(hook, d.webhook) {
				d.cancel()
				if !still {
					delete(running, id)
				}
			}
		}
		for id, hook := range wanted {
			before, runs := running[id]
			if runs && unchanged(hook, before.webhook) {
				continue
			}
			own, cancel := context.WithCancel(ctx)
			d := delivery{webhook: hook, cancel: cancel, done: make(chan struct{})}
			running[id] = d
			all.Go(func() {
				defer close(d.done)
				defer cancel()
				if runs { // two of one webhook would send in any order
					<-before.done
				}
				w.deliver(own, hook, partition, token)
			})
		}
		select {
		case <-ctx.Done():
		case <-changed:
		}
	}
}

// deliver runs one deliverer.
func (w *Worker) deliver(ctx context.Context, hook webhooks.Webhook, partition int, token int64) {
	d := &deliverer{Worker: w, webhook: hook, partition: partition, token: token, most: w.config.BatchEvents}
	d.logger = w.config.Logger.With(slog.String("webhook", hook.ID), slog.Int("partition", partition))
	w.mu.Lock()
	w.running[d] = true
	w.mu.Unlock()
	w.active.Add(1)
	d.run(ctx)
	w.active.Add(-1)
	w.mu.Lock()
	delete(w.running, d)
	w.mu.Unlock()
}
