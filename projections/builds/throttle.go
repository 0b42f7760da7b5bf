package builds

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"mpim/schema"
)

// Throttle slows builds down so that what is live stays fresh: one for all projections of a process. It compares the age of
// the events that live builds apply with the least age that it has ever seen, so a clock that differs does not matter.
type Throttle struct {
	slots chan struct{}

	mu      sync.Mutex
	least   time.Duration
	seen    bool
	delay   time.Duration
	recent  time.Duration // the greatest lag of late
	until   time.Time     // when recent is forgotten
	working map[int]time.Time
	next    int
}

const (
	// slowAbove is the live lag above which builds slow down: half of what they must not cause.
	slowAbove = 400 * time.Millisecond
	// maxDelay is how long a build rests at most between two batches.
	maxDelay = 2 * time.Second
	// memory is how long a live lag counts.
	memory = 500 * time.Millisecond
)

// NewThrottle returns a throttle that lets as many batches of builds be written at a time as there are processors.
func NewThrottle() *Throttle {
	return &Throttle{slots: make(chan struct{}, max(2, runtime.GOMAXPROCS(0))), working: make(map[int]time.Time)}
}

// Began notes that a live build begins to apply a batch whose first event is of the given time. The function that it
// returns is called at the end, with the time of the last event.
func (t *Throttle) Began(first time.Time) (ended func(last time.Time)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	id := t.next
	t.next++
	t.working[id] = first
	return func(last time.Time) {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.working, id)
		t.note(time.Since(last))
	}
}

// note takes an age into account.
func (t *Throttle) note(age time.Duration) {
	if !t.seen || age < t.least {
		t.least, t.seen = age, true
	}
	now := time.Now()
	if lag := age - t.least; lag > t.recent || now.After(t.until) {
		t.recent, t.until = lag, now.Add(memory)
	}
}

// Lag returns how far what is live is behind, as far as this process sees it.
func (t *Throttle) Lag() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lag()
}

func (t *Throttle) lag() time.Duration {
	now := time.Now()
	var lag time.Duration
	if now.Before(t.until) {
		lag = t.recent
	}
	for _, first := range t.working {
		if t.seen {
			lag = max(lag, now.Sub(first)-t.least)
		}
	}
	return lag
}

// Acquire waits until a build may write a batch. Release is called when it has.
func (t *Throttle) Acquire(ctx context.Context) (release func(), err error) {
	if err := pause(ctx, t.rest()); err != nil {
		return nil, err
	}
	select {
	case t.slots <- struct{}{}:
		return func() { <-t.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// rest returns how long to rest now: twice as long as before while what is live lags, less and less otherwise.
func (t *Throttle) rest() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lag() > slowAbove {
		t.delay = min(max(2*t.delay, 10*time.Millisecond), maxDelay)
	} else {
		t.delay = t.delay * 3 / 4
		if t.delay < time.Millisecond {
			t.delay = 0
		}
	}
	return t.delay
}

// Watch returns a handler that does what the given one does, and notes how old the events are.
func (t *Throttle) Watch(handle message.NoPublishHandlerFunc) message.NoPublishHandlerFunc {
	return func(msg *message.Message) error {
		batch := schema.BatchFrom(msg.Context())
		if batch == nil || len(batch.Records) == 0 {
			return handle(msg)
		}
		ended := t.Began(timeOf(batch.Records[0]))
		defer ended(timeOf(batch.Records[len(batch.Records)-1]))
		return handle(msg)
	}
}

// timeOf returns the time of a record; now where it has none.
func timeOf(r *schema.Record) time.Time {
	if r.At.IsZero() {
		return time.Now()
	}
	return r.At
}
