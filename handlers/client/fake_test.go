package client_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"mpim/handlers/client"
)

// fake is a server whose every answer a test decides.
type fake struct {
	*httptest.Server

	mu      sync.Mutex
	conn    *websocket.Conn
	calls   []call
	answers map[string]func(params json.RawMessage) (any, *refused)
	// opened gets each connection, after its hello was answered.
	opened chan *websocket.Conn
}

type call struct {
	ID     int64           `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
}

// refused is a refusal's code, and how long to wait.
type refused struct {
	Code       string `json:"code"`
	RetryAfter int    `json:"retry_after_ms,omitempty"`
}

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{answers: make(map[string]func(json.RawMessage) (any, *refused)), opened: make(chan *websocket.Conn, 100)}
	f.on("hello", func(json.RawMessage) (any, *refused) {
		return map[string]any{"connection": "k1", "epoch": "e1"}, nil
	})
	f.on("sync", func(json.RawMessage) (any, *refused) {
		return map[string]any{"conversations": []any{}, "epoch": "e1"}, nil
	})
	nothing := func(json.RawMessage) (any, *refused) { return map[string]any{}, nil }
	f.on("receipt.delivered", nothing)
	f.on("ping", nothing)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/sessions", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{
			"token": "t", "refresh_token": "r", "session": "s1", "expires_at": time.Now().Add(time.Hour),
			"user": map[string]any{"id": "u1", "username": "ann"},
		})
	})
	mux.HandleFunc("GET /v1/ws", f.serve)
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	return f
}

// on decides what a method is answered.
func (f *fake) on(method string, answer func(json.RawMessage) (any, *refused)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[method] = answer
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"mpim.v1.json"}})
	if err != nil {
		return
	}
	for {
		_, text, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		var c call
		if json.Unmarshal(text, &c) != nil {
			return
		}
		f.mu.Lock()
		f.calls = append(f.calls, c)
		answer := f.answers[c.Method]
		f.mu.Unlock()
		frame := map[string]any{"jsonrpc": "2.0", "id": c.ID}
		result, refusal := answer(c.Params)
		if refusal != nil {
			frame["error"] = map[string]any{"code": -32000, "message": "no", "data": refusal}
		} else {
			frame["result"] = result
		}
		f.write(r.Context(), conn, frame)
		if c.Method == "sync" {
			select {
			case f.opened <- conn:
			default:
			}
		}
	}
}

func (f *fake) write(ctx context.Context, conn *websocket.Conn, frame any) {
	text, _ := json.Marshal(frame)
	_ = conn.Write(ctx, websocket.MessageText, text)
}

// event is a pushed event; its id is made of its sequence.
func event(conversation string, seq int64) client.Event {
	return client.Event{Conversation: conversation, Seq: seq, Type: "message.sent", Data: json.RawMessage(`{}`)}
}

func (f *fake) push(t *testing.T, conn *websocket.Conn, method string, params any) {
	t.Helper()
	f.write(t.Context(), conn, map[string]any{"jsonrpc": "2.0", "method": method, "params": params})
}

// methods returns what was called, without what the clock makes it call.
func (f *fake) methods() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, c := range f.calls {
		if c.Method != "receipt.delivered" && c.Method != "ping" {
			all = append(all, c.Method)
		}
	}
	return all
}

// params returns those of the calls of a method.
func (f *fake) params(method string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, c := range f.calls {
		if c.Method == method {
			all = append(all, string(c.Params))
		}
	}
	return all
}

// running is a session with what its handler was told.
type running struct {
	*client.Session
	ended chan error

	mu     sync.Mutex
	events []int64
	resets []client.Reset
}

// run logs in and runs until the test ends.
func run(t *testing.T, f *fake, saved *client.Saved) *running {
	t.Helper()
	r := &running{ended: make(chan error, 1)}
	config := client.Config{URLs: []string{f.URL}, Handler: client.Handler{
		Event: func(e client.Event) { r.mu.Lock(); r.events = append(r.events, e.Seq); r.mu.Unlock() },
		Reset: func(reset client.Reset) { r.mu.Lock(); r.resets = append(r.resets, reset); r.mu.Unlock() },
	}}
	var err error
	if saved != nil {
		r.Session, err = client.Continue(config, *saved)
	} else {
		r.Session, err = client.Login(t.Context(), config, "ann", "secret")
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { r.ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-r.ended:
			t.Logf("ended: %v", err)
		case <-time.After(10 * time.Second):
			t.Error("Run did not end with its context")
		}
	})
	return r
}

// waitEvents waits until the handler has had exactly these sequences.
func (r *running) waitEvents(t *testing.T, want ...int64) {
	t.Helper()
	eventually(t, func() bool { return slices.Equal(r.got(), want) }, func() any { return r.got() })
}

func (r *running) got() []int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

func eventually(t *testing.T, ok func() bool, got func() any) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not in time; it is %v", got())
		}
	}
}

func (f *fake) connection(t *testing.T) *websocket.Conn {
	t.Helper()
	select {
	case conn := <-f.opened:
		return conn
	case <-time.After(10 * time.Second):
		t.Fatal("nobody connected")
		return nil
	}
}
