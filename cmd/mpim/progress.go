package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// progress tells on a terminal how far something has come.
type progress struct {
	w     io.Writer
	what  string
	start time.Time
	last  time.Time
	count int64
	total int64

	mu sync.Mutex // of at
}

// newProgress returns one that is silent where standard error is no terminal, or results go to the same one, and for what
// takes under two seconds.
func newProgress(i *invocation, what string) *progress {
	p := &progress{what: what, start: time.Now()}
	if isTerminal(i.stderr) && !isTerminal(i.stdout) {
		p.w = i.stderr
	}
	return p
}

// newFinalProgress returns one for what prints its results when all is done: it is shown beside them.
func newFinalProgress(i *invocation, what string) *progress {
	p := newProgress(i, what)
	if isTerminal(i.stderr) {
		p.w = i.stderr
	}
	return p
}

// at says how far it has come, of how much. It is called from any goroutine.
func (p *progress) at(count, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count, p.total = max(p.count, count), total
	p.show()
}

func (p *progress) step() {
	p.count++
	if p.count%1024 == 0 {
		p.show()
	}
}

func (p *progress) show() {
	if p.w == nil || p.count == 0 {
		return
	}
	now := time.Now()
	if now.Sub(p.start) < 2*time.Second || now.Sub(p.last) < 200*time.Millisecond {
		return
	}
	p.last = now
	left := ""
	if p.total > p.count {
		left = fmt.Sprintf(" of %d, %s left", p.total, (now.Sub(p.start) * time.Duration(p.total-p.count) / time.Duration(p.count)).Round(time.Second))
	}
	fmt.Fprintf(p.w, "\r\x1b[K%s: %d%s", p.what, p.count, left)
}

func (p *progress) done() {
	if p.w != nil && !p.last.IsZero() {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
