package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"mpim/domain"
	"mpim/handlers/webhook"
	"mpim/projections/deadletters"
	"mpim/projections/webhooks"
	"mpim/schema"
	"mpim/streams"
	"mpim/streams/lease"
)

// webhookPage is how many events are read at once for a webhook: about what goes into one request.
const webhookPage = 100

// agreedWebhooks are webhooks that are read from no database of another log.
type agreedWebhooks struct {
	webhooks.Store

	stores *stores
}

// List returns all webhooks.
func (w agreedWebhooks) List(ctx context.Context) ([]webhooks.Webhook, error) {
	if err := w.stores.agree(ctx); err != nil {
		return nil, err
	}
	return w.Store.List(ctx)
}

// newWebhooks wires the delivery to webhooks. It starts nothing.
func (s *stores) newWebhooks(settings *Settings) (*webhook.Worker, error) {
	reader := s.reader()
	reader.Page = webhookPage
	return webhook.New(webhook.Config{
		Store:  agreedWebhooks{webhooks.Store{DB: s.db}, s},
		Reader: reader,
		Poster: webhook.NewSender(webhook.SenderConfig{AllowPrivate: settings.WebhookAllowPrivate}),
		GiveUp: settings.WebhookGiveUp,
		Lost:   func(ctx context.Context) bool { return errors.Is(context.Cause(ctx), lease.ErrLost) },
		Logger: s.logger, Registerer: s.registry,
	})
}

// newWebhook checks what an operator asked for.
func newWebhook(url string, types []string, secret string, allowPrivate bool, now time.Time) (webhooks.Webhook, error) {
	w := webhooks.Webhook{ID: "wh" + hex.EncodeToString(random(8)), URL: url, Types: strings.Join(types, ","), CreatedAt: now}
	if err := webhook.CheckURL(url, allowPrivate); err != nil {
		return w, usageError{err}
	}
	for _, pattern := range types {
		matches := func(t domain.EventType) bool {
			ok, err := path.Match(pattern, string(t))
			return ok && err == nil
		}
		if !slices.ContainsFunc(schema.Types(), matches) {
			return w, usagef("--types %q matches no type of event: write something like message.* or *", pattern)
		}
	}
	w.Secret = make([]byte, 32)
	_, _ = rand.Read(w.Secret) // never fails, as crypto/rand says
	if secret != "" {
		var err error
		if w.Secret, err = webhook.ParseSecret(secret); err != nil {
			return w, usageError{err}
		}
	}
	return w, nil
}

// startsAt returns after which sequence of each partition to begin so that the first event is that at the position, or the
// first at the time or later; in the other partitions of a position, the first at the time of its event or later. With neither,
// it is where the log ends now.
func (s *stores) startsAt(ctx context.Context, at time.Time, position *domain.Position) (map[int]int64, error) {
	reader := s.reader()
	heads, err := reader.Heads(ctx)
	if err != nil {
		return nil, err
	}
	if position != nil && at.IsZero() {
		record, err := reader.At(ctx, *position)
		if err != nil {
			return nil, err
		}
		at = record.At
	}
	after := make(map[int]int64, len(heads))
	for partition, head := range heads {
		switch {
		case position != nil && position.Partition == partition:
			after[partition] = position.Seq - 1
		case at.IsZero():
			after[partition] = head
		default:
			if after[partition], err = before(ctx, reader, partition, head, at); err != nil {
				return nil, err
			}
		}
	}
	return after, nil
}

// clockBound is more than clocks that append to one log differ by: see streams.CheckClock.
const clockBound = time.Hour

// before returns the last sequence of a partition before the first event at a time or later, by effective time: the latest
// that the partition has come to. Times of events rise but for what clocks differ by, so it halves to some way before, and
// reads on from there.
func before(ctx context.Context, reader streams.Reader, partition int, head int64, at time.Time) (int64, error) {
	low, high := int64(0), head // low is early enough
	for low < high {
		middle := low + (high-low+1)/2
		record, err := reader.At(ctx, domain.Position{Partition: partition, Seq: middle})
		switch {
		case domain.CodeOf(err) == domain.NotFound, err == nil && record.At.Before(at.Add(-clockBound)):
			low = middle // what is not there any more was earlier
		case err != nil:
			return 0, err
		default:
			high = middle - 1
		}
	}
	last := low
	for record, err := range reader.Partition(ctx, partition, schema.Checkpoint{Seq: low}) {
		if err != nil {
			return 0, err
		}
		if !record.At.Before(at) {
			break
		}
		last = record.Seq
	}
	return last, nil
}

// webhookState is a webhook as lists and the doctor show it.
type webhookState struct {
	webhooks.Webhook

	progress []webhooks.Progress
	behind   int64
	// failing is that of the partition that fails for longest.
	failing   webhooks.Failing
	delivered int64
	dead      int
}

// webhookStates returns all webhooks and how far they are.
func (s *stores) webhookStates(ctx context.Context) ([]webhookState, error) {
	store := webhooks.Store{DB: s.db}
	all, err := store.List(ctx)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	progress, err := store.Progress(ctx)
	if err != nil {
		return nil, err
	}
	dead, err := deadletters.Store{DB: s.db}.Counts(ctx)
	if err != nil {
		return nil, err
	}
	heads, err := s.reader().Heads(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the log's heads: %w", err)
	}
	states := make([]webhookState, len(all))
	for i, w := range all {
		states[i] = webhookState{Webhook: w, dead: dead[w.Handler()]}
		for _, p := range progress {
			if p.Webhook == w.ID {
				states[i].add(p, heads)
			}
		}
	}
	return states, nil
}

func (w *webhookState) add(p webhooks.Progress, heads []int64) {
	w.progress = append(w.progress, p)
	w.delivered += p.Delivered
	if p.Partition < len(heads) {
		w.behind += max(0, heads[p.Partition]-p.Seq)
	}
	if f := p.Failing; !f.Since.IsZero() && (w.failing.Since.IsZero() || f.Since.Before(w.failing.Since)) {
		w.failing = f
	}
}
