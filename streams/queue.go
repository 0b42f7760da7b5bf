package streams

import "sync"

// pending is a command that waits for its outcome.
type pending struct {
	command encoded
	done    chan struct{} // gets one value when outcome and err are set
	outcome outcome
	err     error
}

func (p *pending) finish(o outcome, err error) {
	p.outcome, p.err = o, err
	p.done <- struct{}{}
}

// answers are channels for pending.done that nobody will send to any more.
var answers = sync.Pool{New: func() any { return make(chan struct{}, 1) }}

// queue holds the commands of a partition that wait for the next batch. It never blocks who puts something in.
type queue struct {
	most int
	// wake gets a value when the queue stops being empty.
	wake chan struct{}

	mu      sync.Mutex
	waiting []*pending
	closed  bool
}

type admission int

const (
	admitted admission = iota
	tooMany
	tooLate
)

func (q *queue) put(p *pending) admission {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return tooLate
	}
	if len(q.waiting) >= q.most {
		q.mu.Unlock()
		return tooMany
	}
	q.waiting = append(q.waiting, p)
	first := len(q.waiting) == 1
	q.mu.Unlock()
	if first {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
	return admitted
}

// take moves what waits to the batch, up to so many commands, and until they have so many bytes.
func (q *queue) take(batch []*pending, commands, bytes int) []*pending {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, size := 0, 0
	for n < len(q.waiting) && n < commands && (n == 0 || size < bytes) {
		size += q.waiting[n].command.bytes
		n++
	}
	batch = append(batch, q.waiting[:n]...)
	left := copy(q.waiting, q.waiting[n:])
	clear(q.waiting[left:])
	q.waiting = q.waiting[:left]
	return batch
}

// close lets nothing more in. What waits can still be taken.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}
