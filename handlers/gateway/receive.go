package gateway

import (
	"slices"
	"strconv"
	"time"

	"mpim/domain"
	"mpim/schema"
)

// Methods that the session itself knows.
const (
	methodHello   = "hello"
	methodPing    = "ping"
	methodSync    = "sync"
	methodRefresh = "session.refresh"
)

// Receive takes a text frame of the client.
func (s *Session) Receive(now time.Time, frame []byte) (step Step) {
	if s.state == closed {
		return step
	}
	s.heard = now
	requests, isBatch, fault := parseFrame(frame, s.protocol.Limits.Pending)
	if fault != nil {
		s.send(&step, Messages, errorFrame(nil, fault))
		s.countMalformed(&step, now)
		return step
	}
	b := newBatch(requests, isBatch)
	bad := false
	for i := range requests {
		if !s.handle(&step, now, &requests[i], b) {
			bad = true
		}
	}
	if bad {
		s.countMalformed(&step, now)
	}
	return step
}

// ReceiveBinary takes a frame that is no text.
func (s *Session) ReceiveBinary(now time.Time) (step Step) {
	if s.state == closed {
		return step
	}
	s.heard = now
	s.send(&step, Messages, errorFrame(nil, errNotText))
	s.countMalformed(&step, now)
	return step
}

func newBatch(requests []request, isBatch bool) *batch {
	if !isBatch {
		return nil
	}
	b := new(batch)
	for i := range requests {
		if requests[i].id != nil || requests[i].err != nil {
			b.left++
		}
	}
	return b
}

// countMalformed closes a connection that sends too many frames which are no request, or name no method.
func (s *Session) countMalformed(step *Step, now time.Time) {
	if s.state == closed {
		return
	}
	minuteAgo := now.Add(-time.Minute)
	s.malformed = slices.DeleteFunc(s.malformed, func(t time.Time) bool { return !t.After(minuteAgo) })
	s.malformed = append(s.malformed, now)
	if len(s.malformed) >= s.protocol.Limits.Malformed {
		calls := step.Calls
		*step = s.close(CloseViolation)
		step.Calls = calls
	}
}

// handle deals with one request. It is false for one that counts as malformed.
func (s *Session) handle(step *Step, now time.Time, r *request, b *batch) bool {
	switch {
	case r.err != nil:
		s.answer(step, b, errorFrame(r.id, r.err))
		return false
	case r.method == methodHello:
		s.greet(step, r, b)
		return true
	case r.method == methodPing:
		s.ping(step, now, r, b)
		return true
	}
	route, ok := s.protocol.Route(s.owner.User, r.method, r.params)
	if !ok {
		if r.id != nil {
			s.answer(step, b, errorFrame(r.id, &rpcError{
				number: numberUnknownMethod, code: domain.NotFound, message: "there is no such method",
			}))
		}
		return false
	}
	c := &Call{Method: r.method, Params: r.params, id: r.id, batch: b, lane: route.Lane, together: route.Together, read: route.Read}
	if refusal := s.admit(c, route); refusal != nil {
		s.refuse(step, c, refusal)
		return true
	}
	if r.method == methodSync {
		s.resyncBy = time.Time{}
	}
	s.desk.reserve(c)
	if s.state == greeting {
		s.early = append(s.early, c)
	} else {
		s.desk.begin(c)
		s.begin(step)
	}
	return true
}

// admit says why a request cannot be taken in, or nil.
func (s *Session) admit(c *Call, route Route) *rpcError {
	switch {
	case s.state == awaiting && !route.Public:
		return asRPC(domain.Errorf(domain.Unauthenticated, "say hello first"), "")
	case s.state == leaving:
		return asRPC(domain.Errorf(domain.Unavailable, "this connection is closing: connect again"), "")
	case !s.desk.has(len(c.Params)+len(c.id), s.protocol.Limits):
		e := domain.Errorf(domain.RateLimited, "too many requests of this connection are unanswered")
		e.RetryAfter = time.Second
		return asRPC(e, "")
	default:
		return nil
	}
}

func (s *Session) greet(step *Step, r *request, b *batch) {
	var p struct {
		Token  string `json:"token"`
		Client string `json:"client"`
		Resume struct {
			Connection domain.ConnectionID `json:"connection"`
		} `json:"resume"`
	}
	err := decode(r.params, &p, "hello takes token, client and resume {connection}")
	var refusal error
	switch {
	case r.id == nil:
		refusal = domain.Errorf(domain.InvalidArgument, "hello has an id: its answer is waited for")
	case s.state != awaiting:
		refusal = domain.Errorf(domain.FailedPrecondition, "this connection has said hello already")
	case err != nil:
		refusal = err
	case len(p.Client) > maxClient || len(p.Resume.Connection) > domain.MaxIDBytes:
		refusal = domain.Errorf(domain.InvalidArgument, "client has at most %d bytes, a connection %d", maxClient, domain.MaxIDBytes)
	}
	if refusal != nil {
		if r.id != nil {
			s.answer(step, b, errorFrame(r.id, asRPC(refusal, "")))
		}
		return
	}
	s.state, s.hello, s.helloBy = greeting, &Call{id: r.id, batch: b}, time.Time{}
	step.Hello = &Hello{Token: p.Token, Client: p.Client, Resume: p.Resume.Connection}
}

// maxClient bounds the name that a client gives itself, because it is stored with each connection.
const maxClient = 128

func (s *Session) ping(step *Step, now time.Time, r *request, b *batch) {
	switch err := decode(r.params, new(struct{}), "ping takes nothing"); {
	case r.id == nil:
	case err != nil:
		s.answer(step, b, errorFrame(r.id, asRPC(err, "")))
	default:
		s.answer(step, b, resultFrame(r.id, pong(now)))
	}
}

func pong(now time.Time) []byte {
	return []byte(`{"server_time":"` + now.UTC().Format(schema.TimeFormat) + `"}`)
}

// refuse answers a request with an error.
func (s *Session) refuse(step *Step, c *Call, e *rpcError) {
	if c.id != nil {
		s.answer(step, c.batch, errorFrame(c.id, e))
	}
}

// answer sends the answer to one request, or all answers of a batch when this was the last.
func (s *Session) answer(step *Step, b *batch, frame []byte) {
	if b == nil {
		s.send(step, Messages, frame)
		return
	}
	// A frame to the client has a limit too. What does not fit goes ahead in an array of its own; clients match by id.
	if b.bytes > 0 && b.bytes+len(frame) > s.protocol.Limits.AnswerBytes {
		s.flush(step, b)
	}
	b.answers = append(b.answers, frame)
	b.bytes += len(frame) + 1
	s.gathered += len(frame) + 1
	// So does what all batches that are not complete have gathered together.
	if b.left--; b.left == 0 || s.gathered > s.protocol.Limits.AnswerBytes {
		s.flush(step, b)
	}
}

// answerNow is answer for what others must not be waited for.
func (s *Session) answerNow(step *Step, b *batch, frame []byte) {
	s.answer(step, b, frame)
	if b != nil && len(b.answers) > 0 {
		s.flush(step, b)
	}
}

// flush sends what a batch has gathered.
func (s *Session) flush(step *Step, b *batch) {
	s.gathered -= b.bytes
	s.send(step, Messages, b.flush())
}

// flush returns the answers so far as one array.
func (b *batch) flush() []byte {
	frame := make([]byte, 0, b.bytes+1)
	for i, answer := range b.answers {
		if i == 0 {
			frame = append(frame, '[')
		} else {
			frame = append(frame, ',')
		}
		frame = append(frame, answer...)
	}
	b.answers, b.bytes = nil, 0
	return append(frame, ']')
}

func tooLong(limit int) *rpcError {
	return &rpcError{
		number: numbers[domain.TooLarge], code: domain.TooLarge,
		message: "the answer is over " + strconv.Itoa(limit) + " bytes: ask for less",
	}
}
