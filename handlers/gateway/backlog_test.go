package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"

	"mpim/domain"
	"mpim/handlers/api"
	"mpim/handlers/gateway"
)

// TestWhoDoesNotReadGetsNoMoreAnswers asks for 60 MB and reads nothing. What the process holds for it is bounded, and
// when it reads after all, it gets everything.
func TestWhoDoesNotReadGetsNoMoreAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const asked = 60
		w := newWorld()
		s := serve(t, w, "g1")
		page := `"` + strings.Repeat("x", 1_000_000) + `"`
		release := make(chan struct{})
		var made, running, most atomic.Int64
		w.on("message.history", gateway.Operation{}, func(context.Context, api.Caller, json.RawMessage) (string, error) {
			if n := running.Add(1); n > most.Load() {
				most.Store(n)
			}
			<-release
			running.Add(-1)
			made.Add(1)
			return page, nil
		})
		c := s.mute(t, "alice")
		for i := range asked {
			if err := c.Write(t.Context(), websocket.MessageText, fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"message.history"}`, i)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if n := most.Load(); n > 3 {
			t.Errorf("%d long reads are made at a time", n)
		}
		close(release)
		synctest.Wait()
		// One answer is being written, three may be queued before the backlog is seen, and three were being made.
		if n := made.Load(); n > 7 {
			t.Errorf("%d MB are held for a client that does not read", n)
		}
		for i := range asked {
			if _, text, err := c.Read(t.Context()); err != nil || len(text) < len(page) {
				t.Fatalf("answer %d has %d bytes: %v", i, len(text), err)
			}
		}
		_ = c.CloseNow()
	})
}

// mute returns a connection that has said hello and reads only when it is told to.
func (s *server) mute(t *testing.T, user string) *websocket.Conn {
	t.Helper()
	transport := &http.Transport{DialContext: s.listener.dial, DisableKeepAlives: true}
	c, response, err := websocket.Dial(t.Context(), "ws://gateway/v1/ws", &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	if response.Body != nil {
		_ = response.Body.Close()
	}
	c.SetReadLimit(8 << 20)
	t.Cleanup(func() { _ = c.CloseNow() })
	if err := c.Write(t.Context(), websocket.MessageText, []byte(hello(user))); err != nil {
		t.Fatal(err)
	}
	if _, answer, err := c.Read(t.Context()); err != nil || !strings.Contains(string(answer), `"connection"`) {
		t.Fatalf("hello was answered with %s, %v", answer, err)
	}
	return c
}

// TestAnswersAreBoundedAcrossBatches sends batches of which one request each is never answered.
func TestAnswersAreBoundedAcrossBatches(t *testing.T) {
	p := &gateway.Protocol{
		Limits: gateway.Limits{AnswerBytes: 1000, Pending: 1000, PendingBytes: 1 << 20, Running: 1000, Reading: 1000, Backlog: 1 << 20, QueueFrames: 1000, QueueBytes: 1 << 20},
		Route:  func(domain.UserID, string, []byte) (gateway.Route, bool) { return gateway.Route{}, true },
	}
	s := gateway.NewSession(p, start)
	s.Receive(start, []byte(hello("alice")))
	s.Welcome(start, gateway.Owner{User: "u"}, start.AddDate(1, 0, 0), []byte(`{}`))
	s.Take(nil, 1<<20)
	const batches = 50
	for i := range batches {
		step := s.Receive(start, fmt.Appendf(nil, `[{"jsonrpc":"2.0","id":%d,"method":"quick"},{"jsonrpc":"2.0","id":"s","method":"slow"}]`, i))
		s.Finish(start, step.Calls[0], gateway.Outcome{Result: []byte(`"` + strings.Repeat("x", 900) + `"`)})
	}
	if queued := s.Queued(); queued < (batches-1)*900 {
		t.Errorf("%d bytes are queued of %d answers: the rest is held without bound", queued, batches)
	}
}
