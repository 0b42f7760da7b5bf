package repair

import (
	"context"
	"crypto/rand"
	"fmt"
	"iter"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"mpim/domain"
	"mpim/schema"
	"mpim/streams"
	"mpim/streams/fold"
)

// partition writes back what a partition lacks, and says so in the log.
func (w *work) partition(ctx context.Context, p Plan) error {
	metas, err := w.metas(ctx, w.identity.Partitions)
	if err != nil {
		return err
	}
	head := metas[p.Partition].seq
	anew := p.Anew
	if !anew && head < p.End {
		err := w.extend(ctx, p, head)
		if anew = isBehind(err); err != nil && !anew {
			return err
		}
	}
	if anew {
		if err := w.anew(ctx, p); err != nil {
			return err
		}
	}
	return w.announce(ctx, p)
}

// isBehind says whether a stream refuses addresses because it had later ones, as it does when somebody else wrote into it.
func isBehind(err error) bool {
	return err != nil && strings.Contains(err.Error(), "equal or smaller than the target stream top item")
}

// Bounds of what one call of the script writes. A commit is never parted.
const (
	portionEvents = 500
	portionBytes  = 1 << 20
)

// extend writes what the archive has behind head, together with what stands beside the log, which goes on from what is stored.
func (w *work) extend(ctx context.Context, p Plan, head int64) error {
	states := streams.States{Client: w.Client}
	folded := fold.Resume(head, func(a domain.Aggregate) (domain.Fields, error) {
		fields, _, err := states.State(ctx, a)
		return fields, err
	})
	since, err := w.remembered(ctx)
	if err != nil {
		return err
	}
	next := portion{from: head, to: head}
	size := 0
	flush := func() error {
		next.changes = folded.Changes()
		err := w.write(ctx, p.Partition, next)
		w.step(len(next.entries))
		next, size = portion{from: next.to, to: next.to}, 0
		return err
	}
	for commit, err := range fold.Commits(w.archived(ctx, p.Partition, head, p.End)) {
		if err != nil {
			return err
		}
		for _, r := range commit {
			if err := folded.Add(r); err != nil {
				return err
			}
			next.entries = append(next.entries, entryOf(r))
			size += len(r.Metadata) + len(r.Payload)
			next.to = r.Seq
		}
		if remembered, ok := w.recall(commit, since); ok {
			next.requests = append(next.requests, remembered)
		}
		if len(next.entries) >= portionEvents || size >= portionBytes {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if next.to != p.End && len(next.entries) == 0 {
		return fmt.Errorf("the archive ends at event %d, and not at %d", next.to, p.End)
	}
	return flush()
}

func entryOf(r *schema.Record) entry {
	return entry{address: r.StreamID, id: r.ID, metadata: r.Metadata, payload: r.Payload}
}

// archived yields the records of a partition behind a sequence up to another from the archive, opened.
func (r *Repairer) archived(ctx context.Context, partition int, after, to int64) iter.Seq2[*schema.Record, error] {
	return func(yield func(*schema.Record, error) bool) {
		for after < to {
			page, err := r.Archive.After(ctx, partition, after)
			if err == nil && len(page) == 0 {
				err = fmt.Errorf("the archive ends at event %d, and not at %d", after, to)
			}
			if err == nil && r.Opener != nil {
				err = r.Opener.Open(ctx, page)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			for _, record := range page {
				if record.Seq > to {
					return
				}
				if !yield(record, nil) {
					return
				}
				after = record.Seq
			}
		}
	}
}

// remembered returns since when requests are remembered, by the server's clock.
func (r *Repairer) remembered(ctx context.Context) (time.Time, error) {
	now, err := r.Client.Time(ctx).Result()
	if err != nil {
		return time.Time{}, fmt.Errorf("ask redis for the time: %w", err)
	}
	return now.Add(-streams.RequestLife), nil
}

// recall returns what is to be remembered of the request that a commit came from.
func (r *Repairer) recall(commit []*schema.Record, since time.Time) (streams.Remembered, bool) {
	if commit[0].At.Before(since) {
		return streams.Remembered{}, false
	}
	request, ok := r.Requests.Recall(commit)
	if !ok {
		return streams.Remembered{}, false
	}
	remembered := streams.Remembered{Request: request, At: commit[0].At}
	for _, record := range commit {
		if record.ConversationSeq > 0 {
			remembered.Seq = record.ConversationSeq
			break
		}
	}
	return remembered, true
}

func (r *Repairer) step(events int) { r.Progress(r.done.Add(int64(events)), r.total.Load()) }

// announce appends log.repaired, once.
func (w *work) announce(ctx context.Context, p Plan) error {
	next := portion{from: p.End, to: p.End, meta: []domain.Field{{Name: "repaired", Value: strconv.FormatInt(w.identity.Epoch, 10)}, {Name: "forked"}}}
	var entropy [16]byte
	_, _ = rand.Read(entropy[:]) // never fails, as crypto/rand says
	commit := domain.Commit{At: time.UnixMilli(time.Now().UnixMilli()).UTC(), Entropy: entropy[:]}
	for _, l := range p.Losses {
		commit.Events = append(commit.Events, &domain.LogRepaired{From: l.From, To: l.To, Lost: l.Lost})
	}
	drafts, err := schema.Drafts(commit, nil)
	if err != nil {
		return err
	}
	for _, d := range drafts {
		next.to++
		next.entries = append(next.entries, entry{address: "*", id: d.ID, metadata: d.Placed(next.to), payload: d.Payload})
	}
	if err := w.write(ctx, p.Partition, next); err != nil {
		return err
	}
	for _, l := range p.Losses {
		w.Logger.WarnContext(ctx, "partition repaired", slog.Int("partition", p.Partition),
			slog.Int64("from", l.From), slog.Int64("to", l.To), slog.Int64("lost", l.Lost))
	}
	return nil
}
