package builds

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"mpim/projections"
	"mpim/schema"
)

// Bounds of the batches that a build reads for itself.
const (
	readSize  = 500
	readBytes = 1 << 20
)

// Waits of a build whose batch failed.
const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// hold is one leased partition.
type hold struct {
	feeder    *Feeder
	partition int
	token     int64
	subscribe func(context.Context)

	mu      sync.Mutex
	running map[int]*feed // by build
}

// feed is the feeding of one build in one partition.
type feed struct {
	build  Build
	cancel context.CancelFunc
	done   chan struct{}
	passed chan *schema.Batch
}

// adjust starts and stops what feeds builds, so that it is what the registry says. One that becomes live, or was, begins
// again in its other way.
func (h *hold) adjust(ctx context.Context, wanted []Build) {
	h.stop(func(running Build) bool {
		for _, b := range wanted {
			if b.Number == running.Number && (b.State == projections.Live) == (running.State == projections.Live) {
				return true
			}
		}
		return false
	})
	for _, b := range wanted {
		h.mu.Lock()
		runs := h.running[b.Number] != nil
		h.mu.Unlock()
		if runs || ctx.Err() != nil {
			continue
		}
		f := &feed{build: b, done: make(chan struct{}), passed: make(chan *schema.Batch, 1)}
		feeding, cancel := context.WithCancel(ctx)
		f.cancel = cancel
		h.mu.Lock()
		h.running[b.Number] = f
		h.mu.Unlock()
		go func() {
			defer close(f.done)
			h.run(feeding, f)
		}()
	}
}

// stop ends the feeding of all builds but those to keep, and waits until it has.
func (h *hold) stop(keep func(Build) bool) {
	h.mu.Lock()
	var ending []*feed
	for number, f := range h.running {
		if keep == nil || !keep(f.build) {
			ending = append(ending, f)
			delete(h.running, number)
		}
	}
	h.mu.Unlock()
	for _, f := range ending {
		f.cancel()
	}
	for _, f := range ending {
		<-f.done
		h.feeder.mu.Lock()
		delete(h.feeder.runners, f.build.Number) // whose kind may be another next time
		h.feeder.mu.Unlock()
	}
}

// pass gives a batch to those who rest. One that has another in hand reads what it misses.
func (h *hold) pass(batch *schema.Batch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.running {
		select {
		case f.passed <- batch:
		default:
		}
	}
}

// run feeds one build until ctx ends.
func (h *hold) run(ctx context.Context, f *feed) {
	r := h.feeder.runner(f.build)
	isLive := f.build.State == projections.Live
	for wait := firstRetry; ctx.Err() == nil; {
		err := h.follow(ctx, f, r, isLive)
		if err == nil && isLive {
			h.feeder.setLead(h.partition, r)
			h.subscribe(ctx)
			h.feeder.setLead(h.partition, nil)
			return
		}
		if ctx.Err() != nil {
			return
		}
		if !errors.Is(err, projections.ErrDeposed) {
			h.feeder.logger.WarnContext(ctx, "build could not be fed", slog.Int("build", f.build.Number),
				slog.Int("partition", h.partition), slog.Duration("retry_in", wait), slog.Any("error", err))
		}
		if pause(ctx, wait) != nil {
			return
		}
		wait = min(2*wait, lastRetry)
	}
}

// follow reads the log from the build's checkpoint to its head. There it returns for the live build; any other stays and
// takes what the live one is given.
func (h *hold) follow(ctx context.Context, f *feed, r *projections.Runner, isLive bool) error {
	at, err := r.Projection().Take(ctx, h.partition, h.token)
	if err != nil {
		return err
	}
	for {
		if at, err = h.catchUp(ctx, r, at, isLive); err != nil || isLive {
			return err
		}
		timer := time.NewTimer(h.feeder.config.Every)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		case batch := <-f.passed:
			timer.Stop()
			if batch.From == at.Seq+1 && batch.Token == h.token {
				if err := r.Apply(ctx, batch); err != nil {
					return err
				}
				at = schema.Checkpoint{Seq: batch.To, StreamID: batch.StreamID}
			}
		}
	}
}

// catchUp reads and applies everything behind a checkpoint and returns where that leads.
func (h *hold) catchUp(ctx context.Context, r *projections.Runner, at schema.Checkpoint, isLive bool) (schema.Checkpoint, error) {
	var records []*schema.Record
	size := 0
	apply := func(full bool) error {
		if len(records) == 0 {
			return nil
		}
		last := records[len(records)-1]
		batch := &schema.Batch{
			Partition: h.partition, Token: h.token, From: at.Seq + 1, To: last.Seq, StreamID: last.StreamID, Records: records,
		}
		if err := h.applyRead(ctx, r, batch, full && !isLive); err != nil {
			return err
		}
		at = schema.Checkpoint{Seq: last.Seq, StreamID: last.StreamID}
		records, size = nil, 0
		return nil
	}
	for record, err := range h.feeder.config.Source.Partition(ctx, h.partition, at) {
		if err != nil {
			return at, err
		}
		records = append(records, record)
		size += len(record.Metadata) + len(record.Payload)
		if len(records) == readSize || size >= readBytes {
			if err := apply(true); err != nil {
				return at, err
			}
		}
	}
	return at, apply(false)
}

// applyRead applies a batch that was read, at the throttle's pace where it is full. What is not stands at the head: to let it
// wait would gain nothing, and while a promotion holds the live build still, which then lags, the next one has to come as far.
func (h *hold) applyRead(ctx context.Context, r *projections.Runner, batch *schema.Batch, full bool) error {
	if full {
		release, err := h.feeder.config.Throttle.Acquire(ctx)
		if err != nil {
			return err
		}
		defer release()
	}
	return r.Apply(ctx, batch)
}
