package gateway_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"mpim/domain"
	"mpim/handlers/gateway"
)

// TestScenarios drives a session by text: each command is one thing that happens, and the output is what the session wants
// done. Time begins at 0 s and only "tick" and "at" move it.
//
//	open [limit=value …]      a new session
//	receive                   a text frame: the input
//	binary                    a binary frame
//	welcome [expires=DUR]     hello succeeded
//	refuse code=C [close=N]   hello failed
//	finish call=N [error=C]   a call came back, with the input as its result
//	push class=C              a push: the input
//	resync · end code=N · tick [heard=DUR]
//	at DUR                    moves the clock
//	take [bytes=N]            the frames to write, and what may be done then
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata/session", func(t *testing.T, path string) {
		t.Helper()
		var s scenario
		datadriven.RunTest(t, path, s.run)
	})
}

var start = time.Unix(0, 0).UTC()

type scenario struct {
	session *gateway.Session
	now     time.Time
	calls   []*gateway.Call
	names   map[*gateway.Call]int
}

func (s *scenario) run(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	switch d.Cmd {
	case "open":
		return s.open(t, d)
	case "at":
		s.now = start.Add(duration(t, d.CmdArgs[0].Key))
		return ""
	case "take":
		bytes := 1 << 20
		d.MaybeScanArgs(t, "bytes", &bytes)
		var b strings.Builder
		for _, frame := range s.session.Take(nil, bytes) {
			fmt.Fprintf(&b, "%s\n", short(string(frame)))
		}
		if step := s.session.Next(); len(step.Calls) > 0 {
			b.WriteString(s.show(step))
		}
		return b.String()
	default:
		return s.show(s.step(t, d))
	}
}

func (s *scenario) open(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	limits := gateway.Limits{
		AnswerBytes: 1000, Pending: 4, PendingBytes: 400, Running: 3, Backlog: 400, QueueFrames: 8, QueueBytes: 800, Malformed: 3,
		Hello: 10 * time.Second, Heartbeat: 25 * time.Second, Resync: 30 * time.Second, Leave: 2 * time.Second,
	}
	d.MaybeScanArgs(t, "pending", &limits.Pending)
	d.MaybeScanArgs(t, "running", &limits.Running)
	limits.Reading = limits.Running
	d.MaybeScanArgs(t, "reading", &limits.Reading)
	d.MaybeScanArgs(t, "backlog", &limits.Backlog)
	d.MaybeScanArgs(t, "frames", &limits.QueueFrames)
	d.MaybeScanArgs(t, "answer", &limits.AnswerBytes)
	s.now, s.calls, s.names = start, nil, make(map[*gateway.Call]int)
	s.session = gateway.NewSession(&gateway.Protocol{Limits: limits, Route: route}, s.now)
	return s.show(gateway.Step{})
}

// route knows methods by their form: "lane.x" appends to lane x, "lane.x+" together with others of that form, or to the user's own where x is "me"; "public" needs no
// hello; "read" and "session.refresh" and "sync" have no order.
func route(user domain.UserID, method string, _ []byte) (gateway.Route, bool) {
	switch lane, ordered := strings.CutPrefix(method, "lane."); {
	case ordered && lane == "me":
		return gateway.Route{Lane: "of " + string(user)}, true
	case ordered:
		lane, together := strings.CutSuffix(lane, "+")
		return gateway.Route{Lane: lane, Together: together}, true
	default:
		return gateway.Route{Public: method == "public", Read: method == "read"},
			method == "public" || method == "read" || method == "session.refresh" || method == "sync"
	}
}

func (s *scenario) step(t *testing.T, d *datadriven.TestData) gateway.Step {
	t.Helper()
	var code string
	var number int
	d.MaybeScanArgs(t, "error", &code)
	switch d.Cmd {
	case "receive":
		return s.session.Receive(s.now, []byte(strings.ReplaceAll(d.Input, `\n`, "\n")))
	case "binary":
		return s.session.ReceiveBinary(s.now)
	case "welcome":
		expires := time.Hour
		if d.HasArg("expires") {
			var text string
			d.ScanArgs(t, "expires", &text)
			expires = duration(t, text)
		}
		return s.session.Welcome(s.now, gateway.Owner{User: "u1", Session: "s1", Connection: "c1"}, start.Add(expires), []byte(`{"hello":true}`))
	case "refuse":
		d.ScanArgs(t, "code", &code)
		d.MaybeScanArgs(t, "close", &number)
		return s.session.Refuse(s.now, gateway.Outcome{Err: domain.Errorf(domain.Code(code), "refused")}, gateway.CloseCode(number))
	case "finish":
		d.ScanArgs(t, "call", &number)
		o := gateway.Outcome{Result: []byte(d.Input)}
		if code != "" {
			o = gateway.Outcome{Err: domain.Errorf(domain.Code(code), "failed"), RequestID: "r1"}
		}
		return s.session.Finish(s.now, s.calls[number-1], o)
	case "push":
		class := gateway.Messages
		d.MaybeScanArgs(t, "class", &code)
		switch code {
		case "receipt":
			class = gateway.Receipts
		case "typing":
			class = gateway.Ephemeral
		}
		return s.session.Push(class, []byte(d.Input))
	case "resync":
		return s.session.Resync(s.now)
	case "end":
		d.ScanArgs(t, "code", &number)
		return s.session.End(s.now, gateway.CloseCode(number))
	case "abandon":
		s.session.Abandon()
		return gateway.Step{}
	case "tick":
		var text string
		d.MaybeScanArgs(t, "heard", &text)
		return s.session.Tick(s.now, start.Add(duration(t, text)))
	default:
		t.Fatalf("unknown command %s", d.Cmd)
		return gateway.Step{}
	}
}

// show writes what is to be done, and when the session wants to be woken.
func (s *scenario) show(step gateway.Step) string {
	var b strings.Builder
	if h := step.Hello; h != nil {
		fmt.Fprintf(&b, "hello token=%q client=%q resume=%q\n", h.Token, h.Client, h.Resume)
	}
	for _, call := range step.Calls {
		s.calls = append(s.calls, call)
		s.names[call] = len(s.calls)
		fmt.Fprintf(&b, "call %d: %s %s\n", len(s.calls), call.Method, call.Params)
	}
	if step.Ping {
		b.WriteString("ping\n")
	}
	if step.Shed > 0 {
		fmt.Fprintf(&b, "shed %d\n", step.Shed)
	}
	if step.Write {
		fmt.Fprintf(&b, "write %d bytes\n", s.session.Queued())
	}
	if step.Close != 0 {
		fmt.Fprintf(&b, "close %d\n", step.Close)
	}
	if deadline := s.session.Deadline(); !deadline.IsZero() {
		fmt.Fprintf(&b, "wake at %v\n", deadline.Sub(start))
	}
	return b.String()
}

func duration(t *testing.T, text string) time.Duration {
	t.Helper()
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// short keeps long frames readable.
func short(frame string) string {
	if len(frame) <= 400 {
		return frame
	}
	return frame[:200] + "… (" + strconv.Itoa(len(frame)) + " bytes)"
}
