package gateway

import (
	"context"
	"sync"
)

// sharedHolders lets hellos that come at the same time share one read. Each gets a read that began after it asked:
// an older one may not know an owner that has not seen the connection.
type sharedHolders struct {
	source Holders

	mu      sync.Mutex
	next    *holdersRead // not begun, or nil
	running bool
}

type holdersRead struct {
	done    chan struct{}
	holders []Holder
	err     error
}

func newSharedHolders(source Holders) *sharedHolders { return &sharedHolders{source: source} }

// read returns the holders as of a moment after the call.
func (s *sharedHolders) read(ctx context.Context) ([]Holder, error) {
	s.mu.Lock()
	if s.next == nil {
		s.next = &holdersRead{done: make(chan struct{})}
	}
	mine := s.next
	if !s.running {
		s.running = true
		go s.run(context.WithoutCancel(ctx))
	}
	s.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-mine.done:
		return mine.holders, mine.err
	}
}

// run reads for as long as somebody waits.
func (s *sharedHolders) run(ctx context.Context) {
	for {
		s.mu.Lock()
		current := s.next
		s.next = nil
		if current == nil {
			s.running = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		limited, cancel := context.WithTimeout(ctx, silence)
		current.holders, current.err = s.source.PushHolders(limited)
		cancel()
		close(current.done)
	}
}
