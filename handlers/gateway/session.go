package gateway

import (
	"time"

	"mpim/domain"
)

// Session is the protocol of one connection as a pure state machine: each method takes what happened and when, and
// returns what is to be done. It starts no goroutine, reads no clock and does no I/O, and is not safe for concurrent use.
//
// It begins when the socket opens. The first request is hello, which the caller of Receive carries out and answers with
// Welcome or Refuse. From then on requests become calls, which come back through Finish, and pushes are queued.
type Session struct {
	protocol *Protocol
	state    state
	closing  CloseCode
	owner    Owner

	// helloBy ends the wait for hello, resyncBy that for sync, leaveBy that for the last answers. Zero: no such wait.
	helloBy, resyncBy, leaveBy time.Time
	// expires is when the token does; pingAt when the next ping is due; heard when the client last gave a sign of life.
	expires, pingAt, heard time.Time

	hello     *Call // that is being worked on
	early     []*Call
	held      []pushed
	heldBytes int
	overheld  bool
	malformed []time.Time

	desk  desk
	queue queue
	// gathered is how many bytes of answers wait for others of their batches.
	gathered int
}

// Protocol is what all sessions of a gateway have in common.
type Protocol struct {
	Limits Limits
	// Route says what is known of a request before it is made; ok is false for a method that does not exist.
	Route func(user domain.UserID, method string, params []byte) (route Route, ok bool)
}

// Route is what a session needs to know of a method.
type Route struct {
	// Lane names what the request appends to. Requests of one lane are made one after the other, in the order of their
	// frames; those without a lane at once.
	Lane string
	// Together requests of a lane that follow each other are made at once: their order makes no difference.
	Together bool
	// Public requests are made before hello, too.
	Public bool
	// Read requests may have long answers, so only few are made at a time.
	Read bool
}

// Owner is whose connection it is, known from hello on.
type Owner struct {
	User       domain.UserID
	Session    domain.SessionID
	Connection domain.ConnectionID
}

type state uint8

const (
	awaiting state = iota // the socket is open, hello has not come
	greeting              // hello is being worked on
	live                  // hello was answered
	leaving               // closing as soon as what was accepted is answered
	closed                // closed, or about to be: nothing counts any more
)

// Step is what to do after something happened. The zero Step is nothing.
type Step struct {
	// Hello is a handshake to carry out; Welcome or Refuse takes its outcome.
	Hello *Hello
	// Calls are requests to make, each on its own; Finish takes their outcome.
	Calls []*Call
	// Ping says that a protocol ping is due.
	Ping bool
	// Write says that there are frames to write: see Take.
	Write bool
	// Close is the code to close with once the frames are written; 0 where the connection stays.
	Close CloseCode
	// Shed is how many frames were left out because the client is slow.
	Shed int
}

// Hello is the first request of a connection.
type Hello struct {
	// Token is empty where the client relies on the header of its HTTP request.
	Token string
	// Client is the client's "name/version".
	Client string
	// Resume is the connection that this one takes the place of.
	Resume domain.ConnectionID
}

type pushed struct {
	class Class
	frame []byte
}

// NewSession returns the session of a socket that was opened now.
func NewSession(p *Protocol, now time.Time) *Session {
	s := new(Session)
	s.init(p, now)
	return s
}

func (s *Session) init(p *Protocol, now time.Time) {
	*s = Session{protocol: p, helloBy: now.Add(p.Limits.Hello), heard: now, pingAt: now.Add(p.Limits.Heartbeat)}
}

// Owner returns whose connection it is; it is empty before hello was answered.
func (s *Session) Owner() Owner { return s.owner }

// Queued returns how many bytes wait to be written.
func (s *Session) Queued() int { return s.queue.size() }

// Take moves frames that are to be written to dst: as many as stay within the given bytes, at least one where there is
// one. Their bytes are shared and must not be changed.
func (s *Session) Take(dst [][]byte, bytes int) [][]byte { return s.queue.take(dst, bytes) }

// Next returns which calls are to be made now that frames were taken: while much is queued, none are begun.
func (s *Session) Next() (step Step) {
	s.begin(&step)
	return step
}

// begin has those requests made whose turn it is. A client that does not read its answers gets no more of them.
func (s *Session) begin(step *Step) {
	if s.queue.size() <= s.protocol.Limits.Backlog {
		step.Calls = append(step.Calls, s.desk.next(s.protocol.Limits)...)
	}
}

// Deadline returns when Tick has something to do, should nothing happen before; zero for never.
func (s *Session) Deadline() time.Time {
	var first time.Time
	for _, t := range [...]time.Time{s.helloBy, s.resyncBy, s.leaveBy} {
		first = earlier(first, t)
	}
	if s.state == live || s.state == leaving {
		for _, t := range [...]time.Time{s.expires, s.pingAt, s.heard.Add(2 * s.protocol.Limits.Heartbeat)} {
			first = earlier(first, t)
		}
	}
	if s.state == closed {
		return time.Time{}
	}
	return first
}

// earlier returns the earlier of two times, where zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Tick says that it is now, and that the client last gave a sign of life at heard.
func (s *Session) Tick(now, heard time.Time) (step Step) {
	if s.state == closed {
		return step
	}
	if heard.After(s.heard) {
		s.heard = heard
	}
	switch {
	case due(s.helloBy, now):
		return s.close(CloseNoHello)
	case due(s.leaveBy, now):
		return s.close(s.closing)
	case due(s.resyncBy, now):
		return s.close(CloseResync)
	}
	if s.state != live && s.state != leaving {
		return step
	}
	switch {
	case due(s.expires, now):
		return s.close(CloseRevoked)
	case due(s.heard.Add(2*s.protocol.Limits.Heartbeat), now):
		return s.close(CloseLost)
	}
	if due(s.pingAt, now) {
		s.pingAt = now.Add(s.protocol.Limits.Heartbeat)
		step.Ping = true
	}
	return step
}

func due(t, now time.Time) bool { return !t.IsZero() && !now.Before(t) }

// Push queues a notification. Before hello is answered it waits for that, so that no push is lost between.
func (s *Session) Push(class Class, frame []byte) (step Step) {
	switch s.state {
	case live, leaving:
		s.send(&step, class, frame)
	case greeting:
		s.hold(class, frame)
	case awaiting, closed:
	}
	return step
}

// hold keeps a push until hello is answered. What does not fit is made good by a resync after it.
func (s *Session) hold(class Class, frame []byte) {
	l := s.protocol.Limits
	if s.overheld || len(s.held) == l.QueueFrames/2 || s.heldBytes+len(frame) > l.QueueBytes/2 {
		s.overheld, s.held, s.heldBytes = true, nil, 0
		return
	}
	s.held = append(s.held, pushed{class, frame})
	s.heldBytes += len(frame)
}

var resyncFrame = notification("resync", []byte("{}"))

// Resync tells the client that pushes may be missing. It has to answer with sync in time. A client that was told and has
// not answered yet is not told again.
func (s *Session) Resync(now time.Time) (step Step) {
	// Before hello is answered nothing is missing: the sync that follows it brings all there was.
	if s.state == live && s.resyncBy.IsZero() {
		s.resyncBy = now.Add(s.protocol.Limits.Resync)
		s.send(&step, Messages, resyncFrame)
	}
	return step
}

// End asks the connection to close. With CloseDraining and CloseNormal, what was accepted is answered first and what
// comes now is refused; other codes close at once.
func (s *Session) End(now time.Time, code CloseCode) Step {
	switch {
	case s.state == closed || s.state == leaving && code == s.closing:
		return Step{}
	case s.desk.pending == 0 || code != CloseDraining && code != CloseNormal:
		return s.close(code)
	}
	s.state, s.closing, s.helloBy = leaving, code, time.Time{}
	s.leaveBy = now.Add(s.protocol.Limits.Leave)
	return Step{}
}

// Abandon says that the socket is gone: nothing counts any more.
func (s *Session) Abandon() {
	s.state = closed
	s.queue.clear()
	s.release()
}

// close ends the session. A slow client's queue is thrown away, any other is still written.
func (s *Session) close(code CloseCode) Step {
	s.state = closed
	if code == CloseSlow || code == CloseLost {
		s.queue.clear()
	}
	s.release()
	return Step{Close: code, Write: s.queue.count > 0}
}

func (s *Session) release() {
	s.early, s.held, s.malformed, s.hello = nil, nil, nil, nil
	s.desk, s.gathered = desk{}, 0
}

// send queues a frame, or ends a session that cannot keep up.
func (s *Session) send(step *Step, class Class, frame []byte) {
	if s.state == closed {
		return
	}
	shed, ok := s.queue.push(class, frame, s.protocol.Limits)
	if !ok {
		calls := step.Shed + shed
		*step = s.close(CloseSlow)
		step.Shed = calls
		return
	}
	step.Shed += shed
	step.Write = s.queue.count > 0
}
