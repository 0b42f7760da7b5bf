package gateway_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"mpim/domain"
	"mpim/handlers/gateway"
)

// FuzzFrames gives a session any two frames. Whatever they are, it does not panic, everything it writes is JSON-RPC within
// the limit, it keeps no part of the frames' memory, and it still answers a ping unless it has closed.
func FuzzFrames(f *testing.F) {
	for _, seed := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"ping"}`, `[{"jsonrpc":"2.0","id":"a","method":"read","params":{"x":[1,2,{}]}}]`,
		`{"jsonrpc":"2.0","id":1,"method":"hello","params":{"token":"t","resume":{"connection":"c"}}}`, `[]`, `null`, `{`, "\xff", ``,
		`[1,{"jsonrpc":"2.0"},{"jsonrpc":"2.0","method":"lane.a"},{"jsonrpc":"2.0","id":{},"method":"sync"}]`, ` [ ] `, `"\ud800"`,
		`{"jsonrpc":"2.0","id":null,"method":"ping"}`, `{"jsonrpc":"2.0","id":1e999,"method":"lane.me"}`, `[[[[[[`,
	} {
		f.Add([]byte(seed), []byte(`{"jsonrpc":"2.0","id":1,"method":"lane.a"}`), true)
		f.Add([]byte(seed), []byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, first, second []byte, greeted bool) {
		limits := gateway.Limits{
			AnswerBytes: 1 << 20, Pending: 8, PendingBytes: 1 << 16, Running: 2, Reading: 1, Backlog: 1 << 21, QueueFrames: 100, QueueBytes: 1 << 22, Malformed: 3,
			Hello: time.Minute, Heartbeat: time.Minute, Resync: time.Minute, Leave: time.Minute,
		}
		s := gateway.NewSession(&gateway.Protocol{Limits: limits, Route: route}, start)
		d := &driver{t: t, session: s}
		if greeted {
			d.receive([]byte(`{"jsonrpc":"2.0","id":"h","method":"hello"}`))
		}
		d.receive(first)
		d.receive(second)
		for len(d.calls) > 0 {
			call := d.calls[0]
			d.calls = d.calls[1:]
			d.do(s.Finish(start, call, gateway.Outcome{Result: []byte(`{}`)}))
		}
		d.receive([]byte(`{"jsonrpc":"2.0","id":"last","method":"ping"}`))
		if d.closed == 0 && !bytes.Contains(d.last, []byte(`"id":"last","result":{"server_time"`)) {
			t.Errorf("the last frame is %s", d.last)
		}
	})
}

// driver carries out what a session asks for, and checks it.
type driver struct {
	t       *testing.T
	session *gateway.Session
	calls   []*gateway.Call
	last    []byte
	closed  gateway.CloseCode
}

func (d *driver) receive(frame []byte) {
	d.t.Helper()
	mine := bytes.Clone(frame)
	step := d.session.Receive(start, mine)
	// The buffer is used again for the next frame.
	for i := range mine {
		mine[i] = '!'
	}
	d.do(step)
}

func (d *driver) do(step gateway.Step) {
	d.t.Helper()
	if d.closed != 0 && (step.Write || step.Calls != nil || step.Hello != nil || step.Close != 0) {
		d.t.Errorf("after the close: %+v", step)
	}
	if step.Close != 0 {
		d.closed = step.Close
	}
	d.calls = append(d.calls, step.Calls...)
	for _, call := range step.Calls {
		if len(call.Params) > 0 && !json.Valid(call.Params) {
			d.t.Errorf("params of %s: %q", call.Method, call.Params)
		}
	}
	for _, frame := range d.session.Take(nil, 1<<30) {
		if !json.Valid(frame) || !bytes.Contains(frame, []byte(`"jsonrpc":"2.0"`)) || len(frame) > 1<<20 {
			d.t.Errorf("wrote %.200q", frame)
		}
		d.last = frame
	}
	if step.Hello != nil {
		owner := gateway.Owner{User: domain.UserID("u"), Session: "s", Connection: "c"}
		d.do(d.session.Welcome(start, owner, start.Add(time.Hour), []byte(`{}`)))
	}
}
