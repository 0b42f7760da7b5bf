package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// This client knows the documents of the protocol and nothing of the server's code, so that the tests meet the server as others do.

// refusal is an error that the server answered.
type refusal struct {
	Code       string
	Message    string
	RetryAfter time.Duration
}

func (r *refusal) Error() string { return r.Code + ": " + r.Message }

// codeOf returns the code of a refusal, "" for any other error.
func codeOf(err error) string {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.Code
	}
	return ""
}

// login is who a client is.
type login struct {
	Token        string `json:"token"`
	RefreshToken string `json:"refresh_token"`
	Session      string `json:"session"`
	User         struct {
		ID       string `json:"id"`
		Username string `json:"username"`
	} `json:"user"`
}

// rest calls an operation over HTTP. Body and out may be nil.
func rest(ctx context.Context, method, url, token string, body, out any) (status int, err error) {
	var content io.Reader
	var encoded []byte
	if body != nil {
		if encoded, err = json.Marshal(body); err != nil {
			return 0, err
		}
		content = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, url, content)
	if err != nil {
		return 0, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return response.StatusCode, err
	}
	if err := documents.answered(ctx, method, url, encoded, response.StatusCode, answer); err != nil {
		return response.StatusCode, err
	}
	if response.StatusCode >= 300 {
		var problem struct {
			Code   string `json:"code"`
			Detail string `json:"detail"`
		}
		if err := json.Unmarshal(answer, &problem); err != nil {
			return response.StatusCode, fmt.Errorf("status %d is no problem document: %s", response.StatusCode, answer)
		}
		return response.StatusCode, &refusal{Code: problem.Code, Message: problem.Detail}
	}
	if out == nil {
		return response.StatusCode, nil
	}
	return response.StatusCode, json.Unmarshal(answer, out)
}

// register makes an account, where there is none, and logs in.
func register(ctx context.Context, base, name string) (login, error) {
	password := name + "-password"
	_, err := rest(ctx, "POST", base+"/v1/accounts", "", map[string]any{"username": name, "password": password}, nil)
	if err != nil && codeOf(err) != "conflict" {
		return login{}, fmt.Errorf("register %s: %w", name, err)
	}
	var l login
	_, err = rest(ctx, "POST", base+"/v1/sessions", "", map[string]any{"username": name, "password": password}, &l)
	return l, err
}

// push is a notification of the server.
type push struct {
	Method string
	Params json.RawMessage
}

// socket is one open connection after hello.
type socket struct {
	conn *websocket.Conn
	base string
	// hello is the answer to hello.
	hello struct {
		Connection string `json:"connection"`
		Session    string `json:"session"`
		User       string `json:"user"`
		Gateway    string `json:"gateway"`
		Epoch      string `json:"epoch"`
		UserSeq    int64  `json:"user_seq"`
	}
	onPush func(push)

	mu    sync.Mutex
	next  int
	calls map[int]chan response
	// closed is closed when the reader ends; err says why.
	closed chan struct{}
	err    error
}

type response struct {
	ID     *int            `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Data    struct {
			Code         string `json:"code"`
			RetryAfterMS int64  `json:"retry_after_ms"`
		} `json:"data"`
	} `json:"error"`

	frame json.RawMessage
}

// open connects without saying hello. Pushes are handed to onPush in the order of their coming; it must not block.
func open(ctx context.Context, base string, onPush func(push)) (*socket, error) {
	conn, _, err := websocket.Dial(ctx, strings.Replace(base, "http", "ws", 1)+"/v1/ws", &websocket.DialOptions{ //nolint:bodyclose // the library closes it
		Subprotocols: []string{"mpim.v1.json"},
	})
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(2 << 20)
	s := &socket{conn: conn, base: base, onPush: onPush, calls: make(map[int]chan response), closed: make(chan struct{})}
	if err := documents.load(ctx, base); err != nil {
		return nil, err
	}
	go s.read(context.WithoutCancel(ctx))
	return s, nil
}

// connect opens a socket and says hello, resuming the connection named, if any.
func connect(ctx context.Context, base, token, resume string, onPush func(push)) (*socket, error) {
	s, err := open(ctx, base, onPush)
	if err != nil {
		return nil, err
	}
	params := map[string]any{"token": token, "client": "checker/1"}
	if resume != "" {
		params["resume"] = map[string]any{"connection": resume}
	}
	if err := s.call(ctx, "hello", params, &s.hello); err != nil {
		s.close()
		return nil, fmt.Errorf("hello: %w", err)
	}
	return s, nil
}

func (s *socket) read(ctx context.Context) {
	defer close(s.closed)
	for {
		_, frame, err := s.conn.Read(ctx)
		if err != nil {
			if s.err == nil {
				s.err = err
			}
			return
		}
		frames := []json.RawMessage{frame}
		if len(frame) > 0 && frame[0] == '[' {
			if err := json.Unmarshal(frame, &frames); err != nil {
				s.err = err
				return
			}
		}
		for _, one := range frames {
			s.take(ctx, one)
		}
	}
}

func (s *socket) take(ctx context.Context, frame json.RawMessage) {
	var r response
	if err := json.Unmarshal(frame, &r); err != nil {
		s.err = fmt.Errorf("the server sent %s: %w", frame, err)
		return
	}
	if r.Method != "" {
		if err := documents.message(ctx, s.base, "push."+r.Method, frame); err != nil {
			_ = s.conn.Close(websocket.StatusPolicyViolation, "what was pushed is not described")
			s.err = err
			return
		}
		if s.onPush != nil {
			s.onPush(push{Method: r.Method, Params: r.Params})
		}
		return
	}
	if r.ID == nil {
		return
	}
	s.mu.Lock()
	waiting := s.calls[*r.ID]
	delete(s.calls, *r.ID)
	s.mu.Unlock()
	if waiting != nil {
		r.frame = frame
		waiting <- r
	}
}

// call makes one request and waits for its answer. Any error but a refusal means that the outcome is not known.
func (s *socket) call(ctx context.Context, method string, params, out any) error {
	answer := make(chan response, 1)
	s.mu.Lock()
	s.next++
	id := s.next
	s.calls[id] = answer
	s.mu.Unlock()
	frame, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": id, "method": method, "params": params})
	if err != nil {
		return err
	}
	if err := s.conn.Write(ctx, websocket.MessageText, frame); err != nil {
		return err
	}
	select {
	case r := <-answer:
		if err := s.fits(ctx, method, frame, &r); err != nil {
			return err
		}
		if r.Error != nil {
			return &refusal{Code: r.Error.Data.Code, Message: r.Error.Message, RetryAfter: time.Duration(r.Error.Data.RetryAfterMS) * time.Millisecond}
		}
		if out == nil {
			return nil
		}
		return json.Unmarshal(r.Result, out)
	case <-s.closed:
		return fmt.Errorf("connection lost during %s: %w", method, s.err)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", method, ctx.Err())
	}
}

// fits compares an exchange with what the server says of it.
func (s *socket) fits(ctx context.Context, method string, request []byte, r *response) error {
	if r.Error != nil {
		return documents.message(ctx, s.base, "refusal", r.frame)
	}
	return errors.Join(
		documents.message(ctx, s.base, method+".request", request),
		documents.message(ctx, s.base, method+".result", r.frame),
	)
}

// close closes the socket as a client does that goes away.
func (s *socket) close() {
	_ = s.conn.Close(websocket.StatusNormalClosure, "")
	<-s.closed
}

// code returns the close code that ended the socket, -1 where there was none.
func (s *socket) code() int {
	<-s.closed
	return int(websocket.CloseStatus(s.err))
}

// Objects of the protocol, as far as the tests look at them.
type (
	event struct {
		Conversation string          `json:"conversation"`
		Seq          int64           `json:"seq"`
		Event        string          `json:"event"`
		Type         string          `json:"type"`
		At           string          `json:"at"`
		Actor        string          `json:"actor"`
		Data         json.RawMessage `json:"data"`
	}
	body struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	message struct {
		Conversation string `json:"conversation"`
		Seq          int64  `json:"seq"`
		Event        string `json:"event"`
		Sender       string `json:"sender"`
		At           string `json:"at"`
		Body         *body  `json:"body"`
		ClientID     string `json:"client_id"`
		EditedAt     string `json:"edited_at"`
		RecalledAt   string `json:"recalled_at"`
	}
	sent struct {
		Conversation string `json:"conversation"`
		Seq          int64  `json:"seq"`
		Event        string `json:"event"`
		At           string `json:"at"`
		Duplicate    bool   `json:"duplicate"`
		Durability   string `json:"durability"`
		Position     string `json:"position"`
	}
	syncAnswer struct {
		Conversations []struct {
			Conversation string  `json:"conversation"`
			HeadSeq      int64   `json:"head_seq"`
			Unread       int     `json:"unread"`
			ReadSeq      int64   `json:"read_seq"`
			Events       []event `json:"events"`
			Complete     bool    `json:"complete"`
			Reset        bool    `json:"reset"`
			Left         bool    `json:"left"`
		} `json:"conversations"`
		Epoch    string `json:"epoch"`
		Position string `json:"position"`
		Next     string `json:"next"`
	}
)

func text(s string) map[string]any { return map[string]any{"type": "text", "text": s} }
