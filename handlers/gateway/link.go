package gateway

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Sizes of the buffers of one connection. net/http hands over 4 KiB for each direction; an idle connection needs none of it.
const (
	// readBuffer takes a usual request in one read; longer frames are read past it.
	readBuffer = 512
	// writeBuffer takes any control frame. Data frames pass through it into a buffer that is only there while writing.
	writeBuffer = 128
	// gatherBuffer is how many bytes of frames are written at once.
	gatherBuffer = 16 << 10
)

// link is the byte stream of a socket. It gathers what is written between gather and flush, so that several frames take
// one system call, and it remembers when bytes last came in.
type link struct {
	net.Conn
	born time.Time
	// heard is how long after born bytes last came in: the clock may be set meanwhile.
	heard atomic.Int64
	// early are bytes that net/http had read already. Only the reader touches them.
	early []byte

	mu       sync.Mutex
	gathered *[]byte // nil unless gathering
}

var gatherBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, gatherBuffer)
	return &b
}}

// hijacker gives websocket.Accept a connection with small buffers.
type hijacker struct {
	http.ResponseWriter
	link *link
}

// Hijack implements http.Hijacker.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("take the connection over: %w", err)
	}
	h.link = &link{Conn: conn, born: time.Now()}
	if n := rw.Reader.Buffered(); n > 0 {
		early, _ := rw.Peek(n)
		h.link.early = append([]byte(nil), early...)
	}
	return h.link, bufio.NewReadWriter(bufio.NewReaderSize(h.link, readBuffer), bufio.NewWriterSize(h.link, writeBuffer)), nil
}

// Read implements net.Conn.
func (l *link) Read(b []byte) (int, error) {
	if len(l.early) > 0 {
		n := copy(b, l.early)
		if l.early = l.early[n:]; len(l.early) == 0 {
			l.early = nil
		}
		return n, nil
	}
	n, err := l.Conn.Read(b)
	if n > 0 {
		l.heard.Store(int64(time.Since(l.born)))
	}
	return n, err
}

// lastHeard returns when bytes last came in.
func (l *link) lastHeard() time.Time { return l.born.Add(time.Duration(l.heard.Load())) }

// Write implements net.Conn.
func (l *link) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gathered == nil {
		return l.Conn.Write(b)
	}
	if len(*l.gathered)+len(b) > gatherBuffer {
		if _, err := l.Conn.Write(*l.gathered); err != nil {
			return 0, err
		}
		*l.gathered = (*l.gathered)[:0]
	}
	if len(b) > gatherBuffer {
		return l.Conn.Write(b)
	}
	*l.gathered = append(*l.gathered, b...)
	return len(b), nil
}

// gather keeps what is written until flush.
func (l *link) gather() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gathered = gatherBuffers.Get().(*[]byte)
}

// flush writes what was gathered.
func (l *link) flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.gathered
	l.gathered = nil
	defer func() {
		*b = (*b)[:0]
		gatherBuffers.Put(b)
	}()
	if len(*b) == 0 {
		return nil
	}
	_, err := l.Conn.Write(*b)
	return err
}
