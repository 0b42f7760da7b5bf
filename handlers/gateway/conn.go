package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/coder/websocket"

	"mpim/schema"
)

// conn is one socket: it does the I/O that its session asks for. One goroutine reads; a second one exists only while
// there is something to write. Timers, calls and pushes come from elsewhere and meet at the mutex.
type conn struct {
	gateway *Gateway
	socket  *websocket.Conn
	link    *link
	// remote is the client's address without a port, bearer the token of its HTTP request until hello.
	remote, bearer string
	// number is what the gateway calls the connection.
	number uint32

	mu      sync.Mutex
	session Session
	timer   *time.Timer
	armed   time.Time
	writing bool
	pinging bool      // a ping is to be written
	code    CloseCode // what to close with when the writer is done
	gone    bool      // the reader has ended
	// entry is what was told of the connection when it opened; its id is empty until hello succeeded.
	entry schema.Connected
	// watch is whose presence is pushed; asking takes its place when it is answered. Nil for nobody.
	watch, asking *watch
	// losses is how many had been noticed when the client was last welcomed or told to sync: they do not concern it.
	losses int64
}

// detached is the context of what belongs to a socket and not to whoever set it off. It cannot end: contexts that can
// would cost a timer and a goroutine each read and write. The socket is closed instead.
var detached = context.Background()

const (
	// closeTimeout is how long what is still to be written may take before a close cuts the connection.
	closeTimeout = 5 * time.Second
	// slowTimeout is that of a slow client, which is to learn the reason when it reads again.
	slowTimeout = 30 * time.Second
)

// do takes a step of the session and carries out what it asks for.
func (c *conn) do(step func(s *Session, now time.Time) Step) {
	todo, write := c.step(step)
	c.carryOut(todo, write)
}

func (c *conn) step(step func(s *Session, now time.Time) Step) (todo Step, write bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	todo = step(&c.session, now)
	c.arm(now)
	return todo, c.settle(&todo)
}

// push queues a notification; see Session.Push.
func (c *conn) push(class Class, frame []byte) {
	todo, write := c.pushStep(class, frame)
	c.carryOut(todo, write)
}

func (c *conn) pushStep(class Class, frame []byte) (todo Step, write bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	todo = c.session.Push(class, frame)
	return todo, c.settle(&todo)
}

// settle decides, under the lock, who writes and who closes. It returns true where a writer is to be started.
func (c *conn) settle(todo *Step) bool {
	c.pinging = c.pinging || todo.Ping
	if todo.Close != closeNotRequested {
		c.code = todo.Close
		if c.writing {
			// The writer closes when it is done, or when it was stuck for too long.
			_ = c.link.SetWriteDeadline(time.Now().Add(patience(todo.Close)))
			return false
		}
	}
	if c.writing || !todo.Write && !todo.Ping && todo.Close == closeNotRequested {
		return false
	}
	c.writing = true
	return true
}

func patience(code CloseCode) time.Duration {
	if code == CloseSlow {
		return slowTimeout
	}
	return closeTimeout
}

func (c *conn) carryOut(todo Step, write bool) {
	if write {
		c.spawn(c.write)
	}
	if todo.Shed > 0 {
		c.gateway.metrics.shed.Add(float64(todo.Shed))
	}
	if todo.Hello != nil {
		c.spawn(handshake{c, todo.Hello}.run)
	}
	for _, call := range todo.Calls {
		c.spawn(errand{c, call}.run)
	}
}

// arm sets the timer to when the session next has something to do. Deadlines mostly move back, so an armed timer is left
// alone unless it would come too late.
func (c *conn) arm(now time.Time) {
	next := c.session.Deadline()
	if next.IsZero() || !c.armed.IsZero() && !next.Before(c.armed) {
		return
	}
	c.armed = next
	if c.timer == nil {
		c.timer = time.AfterFunc(next.Sub(now), c.tick)
	} else {
		c.timer.Reset(next.Sub(now))
	}
}

func (c *conn) tick() {
	defer c.rescue()
	c.do(func(s *Session, now time.Time) Step {
		c.armed = time.Time{}
		return s.Tick(now, c.link.lastHeard())
	})
}

// read takes one frame in, or clears up where the socket has ended. What follows is read by a new goroutine: this one's
// stack has grown while it handled the frame, and would stay that large for as long as the connection is idle.
func (c *conn) read() {
	if err := c.readFrame(); err != nil {
		c.ended(err)
		return
	}
	c.spawn(c.read)
}

var frameBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func (c *conn) readFrame() error {
	kind, r, err := c.socket.Reader(detached)
	if err != nil {
		return err
	}
	b := frameBuffers.Get().(*bytes.Buffer)
	defer func() {
		b.Reset()
		frameBuffers.Put(b)
	}()
	if _, err := b.ReadFrom(r); err != nil {
		return err
	}
	c.gateway.metrics.framesIn.Inc()
	c.do(func(s *Session, now time.Time) Step {
		if kind != websocket.MessageText {
			return s.ReceiveBinary(now)
		}
		return s.Receive(now, b.Bytes())
	})
	return nil
}

// ended notes how the socket ended and lets the peer go.
func (c *conn) ended(err error) {
	if code, first := c.abandon(err); first {
		c.gateway.left(c, code)
	}
	// After a frame over the limit or a violation of RFC 6455 the library has sent its close frame; cutting the connection at
	// once could destroy it on its way.
	_ = c.socket.Close(websocket.StatusProtocolError, "")
}

// abandon ends the session, and returns the code that the socket ended with. It is false where that was done before.
func (c *conn) abandon(err error) (code CloseCode, first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return c.code, false
	}
	c.gone = true
	c.session.Abandon()
	if c.timer != nil {
		c.timer.Stop()
	}
	switch {
	case c.code != closeNotRequested:
	case errors.Is(err, websocket.ErrMessageTooBig):
		c.code = CloseTooBig
	case websocket.CloseStatus(err) != -1:
		c.code = CloseNormal
	default:
		c.code = CloseLost
	}
	return c.code, true
}

// isGone says whether the socket has ended.
func (c *conn) isGone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone
}

// queued returns how many bytes wait to be written.
func (c *conn) queued() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session.Queued()
}

// spawn runs a part of the connection in a goroutine of its own. A mistake in it ends the connection and not the process.
func (c *conn) spawn(part func()) {
	go func() {
		defer c.rescue()
		part()
	}()
}

func (c *conn) rescue() {
	if cause := recover(); cause != nil {
		c.gateway.logger.Error("connection panicked", slog.Any("cause", cause), slog.String("stack", string(debug.Stack())))
		c.ended(io.ErrUnexpectedEOF)
	}
}

// write writes what is queued, and closes the socket where that was asked for.
func (c *conn) write() {
	var b writeBatch
	for {
		more := c.next(&b)
		c.carryOut(Step{Calls: b.calls}, false)
		if !more {
			break
		}
		if err := c.writeBatch(&b); err != nil {
			// The reader notices, and clears up. Nobody writes any more: c.writing stays set.
			_ = c.socket.CloseNow()
			return
		}
		c.gateway.metrics.framesOut.Add(float64(len(b.frames)))
		clear(b.frames)
	}
	if b.code != closeNotRequested {
		_ = c.socket.Close(websocket.StatusCode(b.code), reasons[b.code])
	}
}

// writeBatch is what is written at once.
type writeBatch struct {
	ping   bool
	frames [][]byte
	code   CloseCode
	// calls are to be made because there is room for their answers again.
	calls []*Call
}

// next takes what is to be written next. It is false where nothing is: then the writer ends, after it has closed with the
// code, if there is one.
func (c *conn) next(b *writeBatch) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	b.ping, c.pinging = c.pinging, false
	b.frames = c.session.Take(b.frames[:0], gatherBuffer)
	b.calls = c.session.Next().Calls
	if b.ping || len(b.frames) > 0 {
		return true
	}
	c.writing = false
	if !c.gone {
		b.code = c.code
	}
	return false
}

// pingFrame is a ping as of RFC 6455, section 5.5.2. The library would keep a goroutine to wait for its pong; here any
// sign of life counts, see link.lastHeard. It goes between two frames of the library: data frames are written here alone,
// and its control frames fit writeBuffer, so that each is one write.
var pingFrame = []byte{0x89, 0x00}

// writeBatch writes frames with as few system calls as they allow.
func (c *conn) writeBatch(b *writeBatch) (err error) {
	c.link.gather()
	if b.ping {
		_, err = c.link.Write(pingFrame)
	}
	for _, frame := range b.frames {
		if err != nil {
			break
		}
		err = c.socket.Write(detached, websocket.MessageText, frame)
	}
	return errors.Join(err, c.link.flush())
}
