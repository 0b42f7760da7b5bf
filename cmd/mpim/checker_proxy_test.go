package main_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// cutProxy stands between the processes and Redis, and cuts connections where it hurts most: after the server has the
// request, and before the client has the answer.
type cutProxy struct {
	target string

	mu    sync.Mutex
	links map[*link]bool
	// unheard is until when nobody can subscribe.
	unheard time.Time
	// released is closed while requests are forwarded at once.
	released chan struct{}
	listener net.Listener
}

// link is one connection through the proxy.
type link struct {
	client, server net.Conn
	// subscribed says that the connection is used for Pub/Sub.
	subscribed atomic.Bool
	// doomed says that the next request is forwarded and its answer is not.
	doomed atomic.Bool
	// deaf says that nothing of the server is forwarded any more.
	deaf atomic.Bool
}

func (l *link) close() {
	_ = l.client.Close()
	_ = l.server.Close()
}

// startProxy forwards to target until the test ends.
func startProxy(t *testing.T, target string) *cutProxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &cutProxy{target: target, links: make(map[*link]bool), released: make(chan struct{}), listener: listener}
	close(p.released)
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			wait.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		p.release()
		for _, l := range p.choose(func(*link) bool { return true }) {
			l.close()
		}
		wait.Wait()
	})
	return p
}

// url returns the address for the processes.
func (p *cutProxy) url() string { return "redis://" + p.listener.Addr().String() + "/0" }

func (p *cutProxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	l := &link{client: client, server: server}
	p.mu.Lock()
	p.links[l] = true
	p.mu.Unlock()
	var wait sync.WaitGroup
	wait.Go(func() { p.requests(l) })
	wait.Go(func() { answers(l) })
	wait.Wait()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

func (p *cutProxy) requests(l *link) {
	defer l.close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := l.client.Read(buffer)
		if err != nil {
			return
		}
		if !l.subscribed.Load() && bytes.Contains(bytes.ToLower(buffer[:n]), []byte("subscribe\r\n")) {
			l.subscribed.Store(true)
			if p.refuses() {
				return
			}
		}
		doomed := l.doomed.Load()
		if doomed {
			l.deaf.Store(true)
		}
		// What is held reaches the server later even if the client is gone by then, as packets in a network do.
		<-p.open()
		if _, err := l.server.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func (p *cutProxy) refuses() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Before(p.unheard)
}

func (p *cutProxy) open() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.released
}

// hold keeps all requests from now on until release.
func (p *cutProxy) hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.released = make(chan struct{})
}

// release forwards what was held.
func (p *cutProxy) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.released:
	default:
		close(p.released)
	}
}

// answers forwards until the link is deaf: then the first bytes of the answer show that the server has done what was
// asked, and the connection is cut.
func answers(l *link) {
	defer l.close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := l.server.Read(buffer)
		if err != nil && n == 0 {
			return
		}
		if l.deaf.Load() {
			return
		}
		if _, err := l.client.Write(buffer[:n]); err != nil {
			return
		}
		if errors.Is(err, io.EOF) {
			return
		}
	}
}

func (p *cutProxy) choose(match func(*link) bool) []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	var chosen []*link
	for l := range p.links {
		if match(l) {
			chosen = append(chosen, l)
		}
	}
	return chosen
}

// cutCommands lets the next request of every command connection reach the server, and its answer reach nobody.
func (p *cutProxy) cutCommands() {
	for _, l := range p.choose(func(l *link) bool { return !l.subscribed.Load() }) {
		l.doomed.Store(true)
	}
}

// cutSubscriptions closes every Pub/Sub connection, and lets nobody subscribe again for the given time: what is published
// meanwhile is lost.
func (p *cutProxy) cutSubscriptions(unheard time.Duration) {
	p.mu.Lock()
	p.unheard = time.Now().Add(unheard)
	p.mu.Unlock()
	for _, l := range p.choose(func(l *link) bool { return l.subscribed.Load() }) {
		l.close()
	}
}
