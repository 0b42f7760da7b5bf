package batch

import (
	"context"
	"sync"
	"time"
)

const (
	// followPause is how long a reader that follows another leaves the processors to it, and to whoever waits for what it
	// does.
	followPause = 2 * time.Millisecond
	// leaderPause is how long a reader may be busy with other than reading until nobody follows it any more.
	leaderPause = 100 * time.Millisecond
)

// tip is the newest entry of a partition that a reader of this process has seen. A reader that cannot wait, the leader, waits
// for events at the server. Those that can wait follow it: they wait here, so that an event wakes one reader at the server
// and not all of them.
type tip struct {
	mu     sync.Mutex
	leader *reader // nil where there is none
	// away is since when the leader does not read, zero while it does.
	away  time.Time
	last  streamID
	moved chan struct{} // closed when any of this changes for those who wait
}

func newTips(partitions int) []*tip {
	tips := make([]*tip, partitions)
	for n := range tips {
		tips[n] = &tip{moved: make(chan struct{})}
	}
	return tips
}

// enter says that a leader begins to read.
func (t *tip) enter(r *reader) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leader, t.away = r, time.Time{}
}

// leave says that a leader has read up to an entry.
func (t *tip) leave(r *reader, last streamID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.leader == r {
		t.away = time.Now()
	}
	if t.last != last {
		t.last = last
		t.wake()
	}
}

// end says that a leader reads no more.
func (t *tip) end(r *reader) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.leader == r {
		t.leader = nil
		t.wake()
	}
}

func (t *tip) wake() {
	close(t.moved)
	t.moved = make(chan struct{})
}

// follow waits until there is something behind last, at most for limit. Where there is nobody to follow, nobody
// leads, and it does not wait.
func (t *tip) follow(ctx context.Context, last streamID, limit time.Duration) (leads, there bool) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for waited := false; ; waited = true {
		t.mu.Lock()
		leads = t.leader != nil && (t.away.IsZero() || time.Since(t.away) < leaderPause)
		there = last.less(t.last)
		moved := t.moved
		if leads && !t.away.IsZero() && !waited {
			timer.Reset(min(leaderPause, limit))
		}
		t.mu.Unlock()
		if !leads || there {
			return leads, there
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return true, false
		case <-timer.C:
			return true, false
		}
	}
}
