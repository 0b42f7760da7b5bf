package main_test

import (
	"bytes"
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
	// held counts what waited for release.
	held atomic.Int64
}

// link is one connection through the proxy.
type link struct {
	client net.Conn
	server *net.TCPConn
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
	l := &link{client: client, server: server.(*net.TCPConn)}
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

// requests forwards what the client asks. A client that goes away has asked it all the same: the server gets everything
// before it learns of that, as over a network.
func (p *cutProxy) requests(l *link) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := l.client.Read(buffer)
		if err != nil {
			_ = l.server.CloseWrite()
			return
		}
		if !l.subscribed.Load() && bytes.Contains(bytes.ToLower(buffer[:n]), []byte("subscribe\r\n")) {
			l.subscribed.Store(true)
			if p.refuses() {
				l.close()
				return
			}
		}
		if l.doomed.Load() {
			l.deaf.Store(true)
		}
		// Reads pass even while writes are held: a consumer that waits for one has nothing to write.
		if bytes.Contains(bytes.ToLower(buffer[:n]), []byte("evalsha\r\n")) {
			p.wait()
		}
		if _, err := l.server.Write(buffer[:n]); err != nil {
			l.close()
			return
		}
	}
}

func (p *cutProxy) refuses() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Before(p.unheard)
}

// wait returns once nothing is held.
func (p *cutProxy) wait() {
	p.mu.Lock()
	released := p.released
	p.mu.Unlock()
	select {
	case <-released:
	default:
		p.held.Add(1)
		<-released
	}
}

// hold keeps all scripts, which renew leases and write steps, from now on until release.
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
// asked, and the connection is cut. What nobody takes any more is read all the same, so that the server goes on.
func answers(l *link) {
	defer l.close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := l.server.Read(buffer)
		if l.deaf.Load() || err != nil && n == 0 {
			return
		}
		if _, gone := l.client.Write(buffer[:n]); gone != nil {
			_ = l.client.Close()
		}
		if err != nil {
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
