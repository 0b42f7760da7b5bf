package api

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"mpim/domain"
)

// Rates bound how often things are done. A rate of 0 is off.
type Rates struct {
	// SendPerSecond is how many messages a session sends in the long run, SendBurst how many at once.
	SendPerSecond, SendBurst int
	// ReceiptPerSecond and ReceiptBurst are the same for receipts.
	ReceiptPerSecond, ReceiptBurst int
	// LoginPerMinute is how many logins may fail for each user name and address.
	LoginPerMinute int
	// RegisterPerHour is how many accounts are registered from each address.
	RegisterPerHour int
}

// DefaultRates returns the rates of the client protocol.
func DefaultRates() Rates {
	return Rates{
		SendPerSecond: 20, SendBurst: 100, ReceiptPerSecond: 20, ReceiptBurst: 200, LoginPerMinute: 10, RegisterPerHour: 10,
	}
}

// buckets are token buckets, one a session.
type buckets struct {
	rate, burst float64

	mu        sync.Mutex
	bySession map[domain.SessionID]bucket
	// sweep is how many sessions there may be before full buckets, which say nothing, are dropped.
	sweep int
}

type bucket struct {
	tokens float64
	at     time.Time
}

const firstSweep = 1024

// newBuckets returns buckets that hold burst tokens and gain rate a second; nil, which never limits, where rate is 0.
func newBuckets(rate, burst int) *buckets {
	if rate <= 0 {
		return nil
	}
	return &buckets{
		rate: float64(rate), burst: float64(max(burst, 1)),
		bySession: make(map[domain.SessionID]bucket), sweep: firstSweep,
	}
}

// take takes a token of a session. Where there is none it returns how long until there is.
func (b *buckets) take(session domain.SessionID, now time.Time) (wait time.Duration) {
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	one, ok := b.bySession[session]
	if !ok {
		b.makeRoom(now)
		one = bucket{tokens: b.burst, at: now}
	}
	one = b.filled(one, now)
	if one.tokens < 1 {
		wait = time.Duration(math.Ceil((1 - one.tokens) / b.rate * float64(time.Second)))
	} else {
		one.tokens--
	}
	b.bySession[session] = one
	return wait
}

func (b *buckets) filled(one bucket, now time.Time) bucket {
	// A clock that steps back gives nothing and takes nothing.
	if gone := now.Sub(one.at); gone > 0 {
		one.tokens = min(b.burst, one.tokens+gone.Seconds()*b.rate)
	}
	one.at = now
	return one
}

func (b *buckets) makeRoom(now time.Time) {
	if len(b.bySession) < b.sweep {
		return
	}
	for session, one := range b.bySession {
		if b.filled(one, now).tokens == b.burst {
			delete(b.bySession, session)
		}
	}
	b.sweep = max(firstSweep, 2*len(b.bySession))
}

// admitted applies the rate limit of an operation that counts by session.
func (o *Operations) admitted(limit Limit, caller Caller) error {
	var wait time.Duration
	switch limit {
	case SendLimit:
		wait = o.sends.take(caller.Session, o.Now())
	case ReceiptLimit:
		wait = o.receipts.take(caller.Session, o.Now())
	case Unlimited, LoginLimit, RegisterLimit:
	}
	return limited(wait)
}

func limited(wait time.Duration) error {
	if wait <= 0 {
		return nil
	}
	return &domain.Error{Code: domain.RateLimited, Message: "too many requests: wait before the next", RetryAfter: wait}
}

// attempt takes one of the attempts under key. Give back says that it does not count after all; where that fails it
// counts, which costs the caller one attempt and nothing else.
func (o *Operations) attempt(ctx context.Context, key string, limit int, window time.Duration) (giveBack func(context.Context), err error) {
	if limit <= 0 {
		return func(context.Context) {}, nil
	}
	wait, err := o.Attempts.Take(ctx, key, limit, window)
	if err != nil {
		return nil, fmt.Errorf("count attempts: %w", err)
	}
	return func(ctx context.Context) { _ = o.Attempts.Return(context.WithoutCancel(ctx), key) }, limited(wait)
}
