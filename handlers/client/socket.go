package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

const (
	subprotocol = "mpim.v1.json"
	// maxFrame is what the server may send at once, and room for what stands around it.
	maxFrame = 2 << 20
	// maxQueue bounds the pushes that wait for the handler.
	maxQueue = 10_000
	// writeTime bounds how long a frame may take to be written.
	writeTime = 20 * time.Second
)

// socket is one connection, from its opening to its end.
type socket struct {
	conn *websocket.Conn
	url  string

	mu      sync.Mutex
	nextID  int64
	waiting map[int64]chan answer // nil when the socket is gone
	pushes  []push
	// came is signalled when there are pushes, or when the socket is gone.
	came chan struct{}
	// gone is closed at the end, and err says why.
	gone chan struct{}
	err  error
}

type push struct {
	method string
	params json.RawMessage
}

type answer struct {
	result json.RawMessage
	err    error
}

// frame is any message of the server.
type frame struct {
	ID     *int64          `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
		Data    struct {
			Code       string `json:"code"`
			RetryAfter int64  `json:"retry_after_ms"`
			RequestID  string `json:"request_id"`
		} `json:"data"`
	} `json:"error"`
}

// open dials a gateway.
func open(ctx context.Context, c *Config, url, token string) (*socket, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	//nolint:bodyclose // as the package says, it need not be closed
	conn, response, err := websocket.Dial(ctx, strings.TrimSuffix(url, "/")+"/v1/ws", &websocket.DialOptions{
		HTTPClient: c.HTTP, Subprotocols: []string{subprotocol}, CompressionMode: websocket.CompressionNoContextTakeover,
		HTTPHeader: http.Header{"Authorization": {"Bearer " + token}},
	})
	if err != nil {
		if response != nil && response.StatusCode == http.StatusUnauthorized {
			return nil, ErrLoggedOut
		}
		return nil, fmt.Errorf("connect to %s: %w", url, err)
	}
	conn.SetReadLimit(maxFrame)
	return &socket{
		conn: conn, url: url, waiting: make(map[int64]chan answer), came: make(chan struct{}, 1), gone: make(chan struct{}),
	}, nil
}

// read takes in frames until the socket is gone.
func (k *socket) read(ctx context.Context) {
	for {
		_, text, err := k.conn.Read(ctx)
		if err != nil {
			k.end(err)
			return
		}
		if err := k.take(text); err != nil {
			_ = k.conn.Close(websocket.StatusPolicyViolation, "unreadable")
			k.end(err)
			return
		}
	}
}

// take handles one message of the server, or several in an array.
func (k *socket) take(text []byte) error {
	frames := make([]frame, 1)
	var err error
	if text = bytes.TrimSpace(text); len(text) > 0 && text[0] == '[' {
		err = json.Unmarshal(text, &frames)
	} else {
		err = json.Unmarshal(text, &frames[0])
	}
	if err != nil {
		return fmt.Errorf("a frame of %s is no JSON-RPC: %w", k.url, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range frames {
		f := &frames[i]
		if f.Method != "" {
			k.pushes = append(k.pushes, push{f.Method, f.Params})
			continue
		}
		if f.ID == nil {
			continue // about a frame that was no request; this client sends none
		}
		if waiting := k.waiting[*f.ID]; waiting != nil {
			delete(k.waiting, *f.ID)
			waiting <- f.answer()
		}
	}
	if len(k.pushes) > maxQueue {
		return errors.New("the handler is too slow for what comes: catching up instead")
	}
	if len(k.pushes) > 0 {
		signal(k.came)
	}
	return nil
}

func (f *frame) answer() answer {
	if f.Error == nil {
		return answer{result: f.Result}
	}
	return answer{err: &Error{
		Code: f.Error.Data.Code, Message: f.Error.Message, RequestID: f.Error.Data.RequestID,
		RetryAfter: time.Duration(f.Error.Data.RetryAfter) * time.Millisecond,
	}}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// end notes that the socket is gone, and wakes all who wait.
func (k *socket) end(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.waiting == nil {
		return
	}
	for _, waiting := range k.waiting {
		waiting <- answer{err: errLost}
	}
	k.waiting, k.err = nil, err
	close(k.gone)
	signal(k.came)
}

// close says goodbye.
func (k *socket) close(code websocket.StatusCode, reason string) {
	_ = k.conn.Close(code, reason)
	k.end(errLost)
}

// call sends a request and waits for the answer. It returns errLost where the socket went first.
func (k *socket) call(ctx context.Context, method string, params, result any) error {
	back := make(chan answer, 1)
	k.mu.Lock()
	if k.waiting == nil {
		k.mu.Unlock()
		return errLost
	}
	k.nextID++
	id := k.nextID
	k.waiting[id] = back
	k.mu.Unlock()
	text, err := json.Marshal(struct {
		Version string `json:"jsonrpc"`
		ID      int64  `json:"id"`
		Method  string `json:"method"`
		Params  any    `json:"params,omitempty"`
	}{"2.0", id, method, params})
	if err != nil {
		k.forget(id)
		return fmt.Errorf("encode the request: %w", err)
	}
	// A frame that is half written ends the socket, so it is not given up for the sake of one caller.
	writing, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTime)
	err = k.conn.Write(writing, websocket.MessageText, text)
	cancel()
	if err != nil {
		k.close(websocket.StatusInternalError, "cannot write")
		return errLost
	}
	select {
	case <-ctx.Done():
		k.forget(id)
		return fmt.Errorf("%s: %w", method, context.Cause(ctx))
	case a := <-back:
		if a.err != nil || result == nil {
			return a.err
		}
		if err := json.Unmarshal(a.result, result); err != nil {
			return fmt.Errorf("read the answer of %s: %w", method, err)
		}
		return nil
	}
}

func (k *socket) forget(id int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.waiting, id)
}

// next waits for pushes and takes them all. It is false when the socket is gone and all are taken.
func (k *socket) next() ([]push, bool) {
	for range k.came {
		k.mu.Lock()
		pushes := k.pushes
		k.pushes = nil
		gone := k.waiting == nil
		k.mu.Unlock()
		if gone {
			signal(k.came)
		}
		if len(pushes) > 0 || gone {
			return pushes, !gone || len(pushes) > 0
		}
	}
	return nil, false
}
