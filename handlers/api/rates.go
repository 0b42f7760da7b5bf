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

// SetRates puts other rates in force, from the next request on. Sessions keep what they have left, up to the new burst.
func (o *Operations) SetRates(rates Rates) {
	o.rates.Store(&rates)
	o.sends.set(rates.SendPerSecond, rates.SendBurst)
	o.receipts.set(rates.ReceiptPerSecond, rates.ReceiptBurst)
}

// buckets are token buckets, one a session.
type buckets struct {
	mu          sync.Mutex
	rate, burst float64
	bySession   map[domain.SessionID]bucket
	// sweep is how many sessions there may be before full buckets, which say nothing, are dropped.
	sweep int
}

type bucket struct {
	tokens float64
	at     time.Time
}

const firstSweep = 1024

// newBuckets returns buckets that do not limit until they are set.
func newBuckets() *buckets {
	return &buckets{bySession: make(map[domain.SessionID]bucket), sweep: firstSweep}
}

// set makes each bucket hold burst tokens and gain rate a second; a rate of 0 never limits.
func (b *buckets) set(rate, burst int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rate, b.burst = float64(max(rate, 0)), float64(max(burst, 1))
	if b.rate == 0 {
		clear(b.bySession)
	}
}

// take takes a token of a session. Where there is none it returns how long until there is.
func (b *buckets) take(session domain.SessionID, now time.Time) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rate == 0 {
		return 0
	}
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
		if b.filled(one, now).tokens >= b.burst {
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
