package main

import (
	"cmp"
	"context"
	"net"
	"sync"
	"time"
)

// doorPatience is how long who comes between two lives waits: longer than a repair takes, and shorter than a client's patience.
const doorPatience = 10 * time.Second

// door is an address at which a role is reached in all its lives. Who comes between two of them waits, and is sent away when that
// takes too long.
type door struct {
	mu    sync.Mutex
	inner net.Listener
	conns chan net.Conn
	// patience is doorPatience by default. vacant is since when there is no life, zero while there is one.
	patience time.Duration
	vacant   time.Time
	// err is why nobody comes any more.
	err error
}

// open returns a listener for one life. Closing it leaves the address open, unless the process is told to stop.
func (d *door) open(ctx context.Context, address string) (net.Listener, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inner == nil {
		inner, err := listen(ctx, address)
		if err != nil {
			return nil, err
		}
		d.inner, d.conns = inner, make(chan net.Conn)
		go d.accept()
	}
	d.vacant = time.Time{}
	return &doorway{door: d, ctx: ctx, closed: make(chan struct{})}, nil
}

// accept lets in who comes until the address is closed.
func (d *door) accept() {
	for {
		conn, err := d.inner.Accept()
		if err != nil {
			d.err = err
			close(d.conns)
			return
		}
		select {
		case d.conns <- conn:
		case <-time.After(d.wait()):
			_ = conn.Close()
		}
	}
}

// wait returns for how long somebody who comes now waits.
func (d *door) wait() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	patience := cmp.Or(d.patience, doorPatience)
	if d.vacant.IsZero() {
		return patience
	}
	return patience - time.Since(d.vacant)
}

// doorway is the door as one life sees it.
type doorway struct {
	*door

	ctx    context.Context //nolint:containedctx // of the process: with it ends the address
	once   sync.Once
	closed chan struct{}
}

// Accept implements net.Listener.
func (d *doorway) Accept() (net.Conn, error) {
	select {
	case <-d.closed:
		return nil, net.ErrClosed
	default:
	}
	select {
	case conn, ok := <-d.conns:
		if !ok {
			return nil, d.err
		}
		return conn, nil
	case <-d.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (d *doorway) Close() error {
	d.once.Do(func() {
		close(d.closed)
		d.mu.Lock()
		defer d.mu.Unlock()
		d.vacant = time.Now()
	})
	if d.ctx.Err() != nil {
		return d.inner.Close()
	}
	return nil
}

// Addr implements net.Listener.
func (d *doorway) Addr() net.Addr { return d.inner.Addr() }
