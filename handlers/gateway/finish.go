package gateway

import (
	"encoding/json"
	"time"

	"mpim/domain"
)

// Outcome is what became of a call or a handshake: JSON text, or an error.
type Outcome struct {
	Result []byte
	Err    error
	// RequestID is where an internal error is found in the log.
	RequestID string
}

// Welcome says that hello succeeded for the owner, with the given result. Expires is when the token does.
func (s *Session) Welcome(now time.Time, owner Owner, expires time.Time, result []byte) (step Step) {
	if s.state != greeting {
		return step
	}
	s.state, s.owner, s.expires = live, owner, expires
	s.pingAt = now.Add(s.protocol.Limits.Heartbeat)
	// Pushes come after the answer to hello, so it does not wait for the others of its batch.
	s.answerNow(&step, s.hello.batch, resultFrame(s.hello.id, result))
	held, overheld, early := s.held, s.overheld, s.early
	s.hello, s.held, s.early, s.heldBytes, s.overheld = nil, nil, nil, 0, false
	for _, p := range held {
		s.send(&step, p.class, p.frame)
	}
	if overheld && s.state == live {
		told := s.Resync(now)
		step.Write = step.Write || told.Write
	}
	for _, c := range early {
		if s.state != live {
			break
		}
		// Which conversation a request is for may depend on who asks, which was not known when it came.
		if route, ok := s.protocol.Route(owner.User, c.Method, c.Params); ok {
			c.lane, c.together = route.Lane, route.Together
		}
		s.desk.begin(c)
		s.begin(&step)
	}
	return step
}

// Refuse says that hello failed. Where code is not 0, the socket is closed with it; else the client may try again.
func (s *Session) Refuse(now time.Time, o Outcome, code CloseCode) (step Step) {
	if s.state != greeting {
		return step
	}
	s.state, s.helloBy = awaiting, now.Add(s.protocol.Limits.Hello)
	hello, early := s.hello, s.early
	s.hello, s.held, s.early, s.heldBytes, s.overheld = nil, nil, nil, 0, false
	s.answerNow(&step, hello.batch, errorFrame(hello.id, asRPC(o.Err, o.RequestID)))
	for _, c := range early {
		s.desk.forget(c)
		s.refuse(&step, c, asRPC(domain.Errorf(domain.Unauthenticated, "hello failed"), ""))
	}
	if code != closeNotRequested && s.state != closed {
		step = s.close(code)
	}
	return step
}

// Finish says what became of a call.
func (s *Session) Finish(now time.Time, c *Call, o Outcome) (step Step) {
	if s.state == closed {
		return step
	}
	s.desk.end(c)
	if o.Err == nil && c.Method == methodRefresh {
		s.extend(o.Result)
	}
	switch {
	case c.id == nil:
	case o.Err != nil:
		s.refuse(&step, c, asRPC(o.Err, o.RequestID))
	case len(o.Result) > s.protocol.Limits.AnswerBytes:
		s.refuse(&step, c, tooLong(s.protocol.Limits.AnswerBytes))
	default:
		s.answer(&step, c.batch, resultFrame(c.id, o.Result))
	}
	if s.state == leaving && s.desk.pending == 0 {
		return s.close(s.closing)
	}
	s.begin(&step)
	return step
}

// extend lets the socket live as long as the token that its own session was given.
func (s *Session) extend(result []byte) {
	var refreshed struct {
		Session domain.SessionID `json:"session"`
		Expires time.Time        `json:"expires_at"`
	}
	if json.Unmarshal(result, &refreshed) == nil && refreshed.Session == s.owner.Session && refreshed.Expires.After(s.expires) {
		s.expires = refreshed.Expires
	}
}
