package webhook

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"mpim/projections"
	"mpim/projections/deadletters"
	"mpim/projections/webhooks"
)

// deliverer delivers one partition to one webhook, under one lease.
type deliverer struct {
	*Worker

	webhook   webhooks.Webhook
	partition int
	token     int64
	logger    *slog.Logger

	// at is the checkpoint as it is kept.
	at webhooks.Checkpoint
	// most is how many events go into the next batch.
	most int
	// passed is how far the log was read; what lies between it and at was not asked for.
	passed  atomic.Int64
	failing atomic.Bool
}

// tryAgain is the wait after SQL or the log could not be asked, and saveAfter that after which passing over events is kept.
const (
	tryAgain  = time.Second
	saveAfter = time.Second
	// saveEvents is after how many events it is kept in any case.
	saveEvents = 5000
)

// run delivers until ctx ends or the webhook is gone.
func (d *deliverer) run(ctx context.Context) {
	logged := false
	for ctx.Err() == nil {
		err := d.follow(ctx)
		switch {
		case ctx.Err() != nil, errors.Is(err, webhooks.ErrGone):
			return
		case errors.Is(err, projections.ErrDeposed): // set to another place, or another worker's: see which
			logged = false
		case !logged:
			logged = true
			d.logger.WarnContext(ctx, "webhook waits", slog.Any("error", err))
		}
		_ = pause(ctx, tryAgain) // the loop looks whether the context has ended
	}
}

// follow takes the checkpoint and goes on from there until something fails that is not the receiver.
func (d *deliverer) follow(ctx context.Context) (err error) {
	if d.at, err = d.config.Store.Take(ctx, d.webhook.ID, d.partition, d.token); err != nil {
		return err
	}
	d.passed.Store(d.at.Seq)
	d.failing.Store(!d.at.Failing.Since.IsZero())
	for {
		if err := d.await(ctx); err != nil {
			return err
		}
		b, err := d.gather(ctx)
		switch {
		case err != nil:
			return err
		case b.broken != nil:
			err = d.setAside(ctx, b)
		case len(b.events) > 0:
			err = d.send(ctx, b)
		default:
			d.passed.Store(b.to)
			err = d.save(ctx, saveEvents)
		}
		if err != nil {
			return err
		}
	}
}

// await waits until the log has more. When nothing comes for a while it keeps how far it was read.
func (d *deliverer) await(ctx context.Context) error {
	timer := time.NewTimer(saveAfter)
	defer timer.Stop()
	for {
		head, changed := d.head(d.partition)
		if head > d.passed.Load() {
			return ctx.Err()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case <-timer.C:
			if err := d.save(ctx, 1); err != nil {
				return err
			}
		}
	}
}

// save keeps how far the log was read where that is at least so many events.
func (d *deliverer) save(ctx context.Context, least int64) (err error) {
	if passed := d.passed.Load(); passed-d.at.Seq >= least {
		d.at, err = d.config.Store.Advance(ctx, d.at, passed, 0)
	}
	return err
}

// send sends a batch until it is taken, given up, or to be sent in other pieces.
func (d *deliverer) send(ctx context.Context, b batch) error {
	request := Request{URL: d.webhook.URL, Secret: d.webhook.Secret, ID: b.id(d.webhook.ID, d.at), Body: b.body(d.webhook.ID, d.partition)}
	for {
		if err := pause(ctx, time.Until(d.at.Failing.NextAt)); err != nil {
			return err
		}
		again, err := d.attempt(ctx, b, request)
		if !again || err != nil {
			return err
		}
	}
}

// attempt sends a batch once and keeps what came of it. Again says that the same batch has to be sent once more.
func (d *deliverer) attempt(ctx context.Context, b batch, request Request) (again bool, err error) {
	ctx, cancel := d.finishing(ctx)
	defer cancel()
	began := time.Now()
	failure := d.config.Poster.Send(ctx, request)
	d.metrics.attempt(d.webhook.ID, failure, time.Since(began))
	if failure == nil {
		if d.at, err = d.config.Store.Advance(ctx, d.at, b.to, len(b.events)); err != nil {
			return false, err
		}
		d.passed.Store(b.to)
		d.failing.Store(false)
		d.metrics.delivered.WithLabelValues(d.webhook.ID).Add(float64(len(b.events)))
		d.most = min(2*d.most, d.config.BatchEvents)
		return false, nil
	}
	if ctx.Err() != nil { // it was cut off by this worker
		return false, ctx.Err()
	}
	d.failing.Store(true)
	f := d.at.Failing
	if f.Since.IsZero() {
		f.Since = began
		d.logger.WarnContext(ctx, "webhook fails", slog.Any("error", failure))
	}
	f.Attempts++
	f.Reason = failure.Error()
	left := d.patience(b, failure) - time.Since(f.Since)
	if left <= 0 {
		return false, d.giveUp(ctx, b, f, failure)
	}
	f.NextAt = time.Now().Add(min(d.config.Wait(f.Attempts, failure), left))
	if d.at, err = d.config.Store.Fail(ctx, d.at, f); err != nil {
		return false, err
	}
	if refusal, ok := errors.AsType[*RefusedError](failure); ok && !refusal.busy() && len(b.events) > 1 {
		d.most = len(b.events) / 2
		return false, nil
	}
	return true, nil
}

// patience is how long a batch is sent again.
func (d *deliverer) patience(b batch, failure error) time.Duration {
	if refusal, ok := errors.AsType[*RefusedError](failure); ok && refusal.About() && len(b.events) == 1 {
		return d.config.GiveUpRefused
	}
	return d.config.GiveUp
}

// giveUp puts a batch to the dead letters and goes on behind it.
func (d *deliverer) giveUp(ctx context.Context, b batch, f webhooks.Failing, failure error) (err error) {
	letters := make([]deadletters.Letter, len(b.events))
	for i, e := range b.events {
		letters[i] = deadletters.Of(d.webhook.Handler(), e.record, failure, f.Attempts, f.Since, time.Now())
	}
	if d.at, err = d.config.Store.Advance(ctx, d.at, b.to, 0, letters...); err != nil {
		return err
	}
	d.passed.Store(b.to)
	d.metrics.dead.WithLabelValues(d.webhook.ID).Add(float64(len(letters)))
	d.logger.ErrorContext(ctx, "webhook gave events up", slog.Int("events", len(letters)),
		slog.String("first", letters[0].Position().String()), slog.Int("attempts", f.Attempts), slog.Any("error", failure))
	return nil
}

// setAside puts an event that cannot be shown to the dead letters.
func (d *deliverer) setAside(ctx context.Context, b batch) (err error) {
	now := time.Now()
	letter := deadletters.Of(d.webhook.Handler(), b.broken, b.why, 1, now, now)
	if d.at, err = d.config.Store.Advance(ctx, d.at, b.to, 0, letter); err != nil {
		return err
	}
	d.passed.Store(b.to)
	d.metrics.dead.WithLabelValues(d.webhook.ID).Inc()
	d.logger.ErrorContext(ctx, "webhook cannot show an event", slog.String("position", letter.Position().String()), slog.Any("error", b.why))
	return nil
}

// finishing returns a context for what is under way: when ctx ends it has a little time left, but none where the lease is lost.
func (d *deliverer) finishing(ctx context.Context) (context.Context, context.CancelFunc) {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if !d.config.Lost(ctx) {
			_ = pause(own, d.config.Grace) // either way it is time
		}
		cancel()
	})
	return own, func() {
		stop()
		cancel()
	}
}

// pause waits, and returns the context's error where that ends first.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
