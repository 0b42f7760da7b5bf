package batch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"mpim/schema"
	"mpim/streams/lease"
)

// deliver delivers a batch until it is done. It returns nil then, errRetake when the checkpoint was moved by another, and the
// context's error when that ended.
func (p *partition) deliver(ctx context.Context, b *schema.Batch) error {
	for wait := p.backoff(); ; {
		acked, err := p.attempt(ctx, b)
		if err != nil {
			return err
		}
		if acked {
			p.stopped.Set(0)
			p.metrics.batches.WithLabelValues(p.Consumer).Inc()
			p.metrics.records.WithLabelValues(p.Consumer).Add(float64(len(b.Records)))
			return nil
		}
		p.metrics.nacks.WithLabelValues(p.Consumer).Inc()
		pause(ctx, wait.next())
		checkpoint, ok := p.take(ctx)
		switch {
		case !ok:
			return ctx.Err()
		case checkpoint.Seq == b.To:
			return nil // it was applied, and only the answer was lost
		case checkpoint.Seq < b.From-1 || checkpoint.Seq > b.To:
			return errRetake
		}
		b = rest(b, checkpoint.Seq)
	}
}

// rest returns the part of a batch behind a sequence.
func rest(b *schema.Batch, after int64) *schema.Batch {
	if after == b.From-1 {
		return b
	}
	part := *b
	part.Records = b.Records[after+1-b.From:]
	part.From = after + 1
	return &part
}

// attempt delivers a batch once and waits for its answer.
func (p *partition) attempt(ctx context.Context, b *schema.Batch) (acked bool, err error) {
	msg := message.NewMessage(fmt.Sprintf("%d:%d-%d", b.Partition, b.From, b.To), nil)
	// The batch outlives ctx by Config.Drain, so that what was begun can be finished.
	working, abort := context.WithCancelCause(context.WithoutCancel(ctx))
	defer abort(nil)
	msg.SetContext(schema.WithBatch(working, b))
	select {
	case p.out <- msg:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	acked, answered := answer(msg, ctx.Done())
	if answered {
		return acked, nil
	}
	if !errors.Is(context.Cause(ctx), lease.ErrLost) {
		acked, answered = p.answerWithin(msg, p.config.Drain)
	}
	if !answered {
		abort(context.Cause(ctx))
		if acked, answered = p.answerWithin(msg, p.config.Drain); !answered {
			p.logger.WarnContext(ctx, "handler goes on although its context ended", slog.String("batch", msg.UUID))
		}
	}
	if acked {
		return true, nil
	}
	return false, ctx.Err()
}

// answer waits until a message is answered, or the channel is closed or sends.
func answer(msg *message.Message, done <-chan struct{}) (acked, answered bool) {
	select {
	case <-msg.Acked():
		return true, true
	case <-msg.Nacked():
		return false, true
	case <-done:
		return false, false
	}
}

func (p *partition) answerWithin(msg *message.Message, d time.Duration) (acked, answered bool) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return answer(msg, ctx.Done())
}
