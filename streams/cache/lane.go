package cache

import (
	"context"
	"hash/maphash"
	"sync"
)

const (
	// lanes is how many reads may be under way at once for single gets, and laneKeys how many keys each has at most.
	lanes    = 2
	laneKeys = 256
)

var laneSeed = maphash.MakeSeed()

// lane gathers single reads while one is under way, and sends them together.
type lane struct {
	cache *Cache

	mu      sync.Mutex
	busy    bool
	waiting []*want
}

// want is one key that somebody waits for.
type want struct {
	key   string
	value string
	err   error
	done  chan struct{}
}

func (c *Cache) lane(id string) *lane { return &c.lanes[maphash.String(laneSeed, id)%lanes] }

// get returns what stands at a key.
func (l *lane) get(ctx context.Context, key string) (string, error) {
	w := &want{key: key, done: make(chan struct{})}
	l.mu.Lock()
	l.waiting = append(l.waiting, w)
	first := !l.busy
	l.busy = true
	l.mu.Unlock()
	if first {
		// What this one asks for, others may wait for too: it does not end with who asked.
		l.serve(context.WithoutCancel(ctx), w)
	}
	select {
	case <-w.done:
		return w.value, w.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// serve reads what waits. Once its own want is served somebody else goes on, so that nobody works for the others for ever.
func (l *lane) serve(ctx context.Context, own *want) {
	for {
		l.mu.Lock()
		batch := l.waiting
		if len(batch) > laneKeys {
			batch, l.waiting = batch[:laneKeys:laneKeys], batch[laneKeys:]
		} else {
			l.waiting = nil
		}
		if len(batch) == 0 {
			l.busy = false
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		keys := make([]string, len(batch))
		for i, w := range batch {
			keys[i] = w.key
		}
		values, err := l.cache.read(ctx, keys)
		served := false
		for i, w := range batch {
			w.value, w.err = values[i], err
			close(w.done)
			served = served || w == own
		}
		if served {
			go l.serve(ctx, nil)
			return
		}
	}
}
