package api

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"mpim/domain"
)

const (
	// turnWait is how long a read waits for its turn; the client then does better to come again.
	turnWait = time.Second
	// turnRetry is when it may.
	turnRetry = time.Second
)

// turns bound how many answers of up to a mebibyte are made at the same time: in all, which bounds the memory they take,
// and for each session, so that one client does not take all the room.
type turns struct {
	all *semaphore.Weighted
	// each is how many one session has.
	each int64

	mu        sync.Mutex
	bySession map[domain.SessionID]*queue
}

// queue is where the reads of one session wait for each other.
type queue struct {
	room *semaphore.Weighted
	// users is how many hold or wait for room; the last one takes the queue away.
	users int
}

func newTurns(all, each int) *turns {
	return &turns{
		all: semaphore.NewWeighted(int64(all)), each: int64(each), bySession: make(map[domain.SessionID]*queue),
	}
}

// take waits for a turn and returns what ends it. An error is of kind Unavailable where none came up in time.
func (t *turns) take(ctx context.Context, session domain.SessionID) (end func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, turnWait)
	defer cancel()
	own := t.join(session)
	// The session's own first: who waits for itself must not keep others out meanwhile.
	if err := own.room.Acquire(ctx, 1); err != nil {
		t.leave(session, own)
		return nil, busy("too many large reads of this session at a time: wait for their answers", err)
	}
	if err := t.all.Acquire(ctx, 1); err != nil {
		own.room.Release(1)
		t.leave(session, own)
		return nil, busy("too many large reads at a time: try again", err)
	}
	return func() {
		t.all.Release(1)
		own.room.Release(1)
		t.leave(session, own)
	}, nil
}

func busy(message string, cause error) error {
	return &domain.Error{Code: domain.Unavailable, Message: message, RetryAfter: turnRetry, Cause: cause}
}

func (t *turns) join(session domain.SessionID) *queue {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.bySession[session]
	if own == nil {
		own = &queue{room: semaphore.NewWeighted(t.each)}
		t.bySession[session] = own
	}
	own.users++
	return own
}

func (t *turns) leave(session domain.SessionID, own *queue) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if own.users--; own.users == 0 {
		delete(t.bySession, session)
	}
}
