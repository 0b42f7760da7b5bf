package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"time"

	"mpim/domain"
	"mpim/handlers/api"
)

const (
	methodWatch       = "presence.watch"
	methodPresenceGet = "presence.get"
)

// route says what is known of a method, and which requests of a connection have to keep their order.
func (g *Gateway) route(user domain.UserID, method string, params []byte) (Route, bool) {
	if method == methodWatch {
		return Route{Lane: methodWatch, Read: true}, true
	}
	op, ok := g.config.Operations.Find(method)
	if !ok {
		return Route{}, false
	}
	route := Route{Public: op.Public, Read: !op.Changes, Together: op.Cumulative}
	if op.Changes {
		route.Lane = g.lane(user, params)
	}
	return route, true
}

// lane names the conversation that a request appends to: by its id, or by the user at the other side.
func (g *Gateway) lane(user domain.UserID, params []byte) string {
	var p struct {
		Conversation string `json:"conversation"`
		To           struct {
			User         domain.UserID `json:"user"`
			Conversation string        `json:"conversation"`
		} `json:"to"`
	}
	// What does not decode is refused by the operation.
	_ = json.Unmarshal(params, &p)
	switch {
	case p.Conversation != "":
		return p.Conversation
	case p.To.Conversation != "":
		return p.To.Conversation
	case p.To.User != "" && user != "":
		return string(g.config.Placement.Pair(user, p.To.User))
	default:
		return ""
	}
}

// errand is one request of a client that is being made.
type errand struct {
	conn *conn
	call *Call
}

// run makes the request and tells the session what became of it.
func (e errand) run() {
	c, call := e.conn, e.call
	began := time.Now()
	result, done, err := c.perform(call)
	c.gateway.metrics.calls.WithLabelValues(call.Method).Observe(time.Since(began).Seconds())
	outcome := c.gateway.outcome(result, err, call.Method)
	c.do(func(s *Session, now time.Time) Step {
		step := s.Finish(now, call, outcome)
		if done != nil {
			done(&step)
		}
		return step
	})
}

// perform makes a call. What was accepted is carried through even if the client goes away meanwhile. Done, where there
// is one, is to be called with the step that answers.
func (c *conn) perform(call *Call) (result []byte, done func(*Step), err error) {
	ctx, cancel := context.WithTimeout(detached, c.gateway.config.CallTimeout)
	defer cancel()
	if call.Method == methodWatch {
		return c.startWatch(ctx, call.Params)
	}
	result, err = c.operate(ctx, call.Method, call.Params)
	return result, nil, err
}

// operate runs an operation for the caller. One that panics has failed.
func (c *conn) operate(ctx context.Context, method string, params []byte) (result []byte, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("%s panicked: %v\n%s", method, cause, debug.Stack())
		}
	}()
	op, ok := c.gateway.config.Operations.Find(method)
	if !ok {
		return nil, domain.Errorf(domain.NotFound, "there is no such method")
	}
	c.mu.Lock()
	owner := c.session.Owner()
	c.mu.Unlock()
	return op.Call(ctx, api.Caller{
		User: owner.User, Session: owner.Session, Connection: owner.Connection, RemoteAddr: c.remote,
	}, params)
}
