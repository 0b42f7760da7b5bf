package streams

import (
	"context"
	"time"

	"mpim/domain"
)

// AppendTogether appends commits of one partition as one batch, in this order.
func (l *Log) AppendTogether(ctx context.Context, commits []domain.Commit) ([]domain.Appended, []error) {
	batch := make([]*pending, len(commits))
	errs := make([]error, len(commits))
	for i := range commits {
		batch[i] = &pending{done: make(chan struct{}, 1)}
		if err := batch[i].command.encode(l.config.Identity.Partitions, &commits[i], nil); err != nil {
			errs[i] = err
			return nil, errs
		}
	}
	q := &l.appenders[batch[0].command.partition].queue
	q.mu.Lock()
	q.waiting = append(q.waiting, batch...)
	q.mu.Unlock()
	q.wake <- struct{}{}
	appended := make([]domain.Appended, len(commits))
	for i, p := range batch {
		select {
		case <-p.done:
			if errs[i] = p.err; p.err == nil {
				appended[i], errs[i] = p.outcome.appended(&p.command, &commits[i])
			}
		case <-ctx.Done():
			errs[i] = ctx.Err()
		}
	}
	return appended, errs
}

// LastUsed returns when a partition's appender last had an answer. The log must have stopped.
func (l *Log) LastUsed(partition int) time.Time { return l.appenders[partition].lastUsed }
