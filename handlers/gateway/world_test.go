package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"mpim/domain"
	"mpim/handlers/api"
	"mpim/handlers/auth"
	"mpim/handlers/gateway"
	"mpim/projections/presence"
	"mpim/schema"
)

var placement = domain.Placement{Key: [32]byte{1, 2, 3}, Partitions: 4}

// world is everything around a gateway, in memory: the log, the bus, one worker that pushes all partitions.
type world struct {
	mu         sync.Mutex
	operations map[string]gateway.Operation
	expires    time.Time
	refusal    error
	subscribed map[string]map[*ear]struct{}
	connected  []schema.Connected
	ended      []ending
	holders    []gateway.Holder
	mute       bool // no heartbeats
	absent     bool
	gone       []int
	withdrawn  []int
	extended   int
	renewals   int
	folded     []schema.StreamID
	numbers    map[int]uint64
	heads      map[int]int64
	busErr     error
	listening  chan struct{} // takes one for each subscription that is ready
}

type ending struct {
	connection domain.ConnectionID
	reason     string
}

type ear struct {
	messages chan heard
	broken   chan struct{}
}

type heard struct {
	channel string
	payload []byte
}

func newWorld() *world {
	w := &world{
		operations: make(map[string]gateway.Operation), subscribed: make(map[string]map[*ear]struct{}),
		folded: make([]schema.StreamID, placement.Partitions), numbers: make(map[int]uint64), heads: make(map[int]int64),
		expires: time.Now().Add(24 * time.Hour), listening: make(chan struct{}, 1000),
	}
	for p := range placement.Partitions {
		w.holders = append(w.holders, gateway.Holder{Partition: p, Token: 1})
	}
	return w
}

func (w *world) Find(method string) (gateway.Operation, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	op, ok := w.operations[method]
	return op, ok
}

// on registers an operation.
func (w *world) on(method string, op gateway.Operation, call func(ctx context.Context, caller api.Caller, params json.RawMessage) (string, error)) {
	op.Call = func(ctx context.Context, caller api.Caller, params json.RawMessage) (json.RawMessage, error) {
		if !op.Public && caller.User == "" {
			return nil, domain.Errorf(domain.Unauthenticated, "log in")
		}
		result, err := call(ctx, caller, params)
		return json.RawMessage(result), err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.operations[method] = op
}

// Admit takes the user's name for its token.
func (w *world) Admit(_ context.Context, token string) (auth.Principal, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refusal != nil {
		return auth.Principal{}, w.refusal
	}
	if token == "bad" {
		return auth.Principal{}, domain.Errorf(domain.Unauthenticated, "the token is not valid")
	}
	user := placement.User(token)
	return auth.Principal{User: user, Session: domain.NewSessionID(user, make([]byte, 12)), ExpiresAt: w.expires}, nil
}

func (w *world) Connect(_ context.Context, c schema.Connected) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.connected = append(w.connected, c)
	return nil
}

func (w *world) Disconnect(_ context.Context, c schema.Connected, reason string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busErr != nil {
		return w.busErr
	}
	w.ended = append(w.ended, ending{c.Connection, reason})
	return nil
}

func (w *world) Connected(_ context.Context, partition int, entries ...schema.Connected) (schema.StreamID, bool, error) {
	w.mu.Lock()
	if w.busErr != nil {
		defer w.mu.Unlock()
		return schema.StreamID{}, false, w.busErr
	}
	w.folded[partition].Counter += uint64(len(entries))
	at, mute, absent := w.folded[partition], w.mute, w.absent
	w.absent = false
	w.mu.Unlock()
	if !mute {
		w.heartbeat(entries[0].Gateway)
	}
	return at, absent, nil
}

func (w *world) Disconnected(context.Context, int, schema.Disconnected) error { return nil }

func (w *world) Renew(context.Context, string, []int) ([]int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.renewals++
	gone := w.gone
	w.gone = nil
	return gone, nil
}

func (w *world) Withdraw(_ context.Context, _ string, partitions []int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.withdrawn = append(w.withdrawn, partitions...)
	return nil
}

func (w *world) Publish(_ context.Context, messages []schema.Outgoing) ([]schema.Outgoing, error) {
	for _, m := range messages {
		w.publish(schema.GatewayChannel(m.Gateway), m.Payload)
	}
	return nil, nil
}

func (w *world) Extend(_ context.Context, connections []presence.Connection) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.extended += len(connections)
	return nil
}

func (w *world) Connections(_ context.Context, user domain.UserID) ([]presence.Connection, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []presence.Connection
	for _, c := range w.connected {
		if c.User == user {
			list = append(list, presence.Connection{ID: c.Connection, User: c.User, Gateway: c.Gateway})
		}
	}
	return list, nil
}

func (w *world) PushHolders(context.Context) ([]gateway.Holder, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.holders), nil
}

func (w *world) UserSeq(context.Context, domain.UserID) (int64, error) { return 7, nil }
func (w *world) Epoch() string                                         { return "e1" }

var errBroken = errors.New("the connection broke")

func (w *world) Listen(ctx context.Context, channels []string, ready func(), hear func(string, []byte)) error {
	e := &ear{messages: make(chan heard, 1<<14), broken: make(chan struct{})}
	w.mu.Lock()
	for _, channel := range channels {
		if w.subscribed[channel] == nil {
			w.subscribed[channel] = make(map[*ear]struct{})
		}
		w.subscribed[channel][e] = struct{}{}
	}
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, channel := range channels {
			delete(w.subscribed[channel], e)
		}
	}()
	ready()
	w.listening <- struct{}{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-e.broken:
			return errBroken
		case m := <-e.messages:
			hear(m.channel, m.payload)
		}
	}
}

func (w *world) publish(channel string, payload []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for e := range w.subscribed[channel] {
		e.messages <- heard{channel, payload}
	}
}

// cut breaks the subscriptions to a channel.
func (w *world) cut(channel string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for e := range w.subscribed[channel] {
		close(e.broken)
		delete(w.subscribed[channel], e)
	}
}

// heartbeat has the worker report to a gateway.
func (w *world) heartbeat(id string) {
	w.mu.Lock()
	h := schema.Heartbeat{Worker: "w", Folded: slices.Clone(w.folded)}
	for _, holder := range w.holders {
		h.Leases = append(h.Leases, schema.LeaseReport{
			Partition: holder.Partition, Token: holder.Token, Number: w.numbers[holder.Partition], Seq: w.heads[holder.Partition],
		})
	}
	w.mu.Unlock()
	w.publish(schema.GatewayChannel(id), h.Append(nil))
}

// push sends a frame to connections as the owner of a partition does. A lost one is numbered and not sent.
func (w *world) push(id string, partition int, lost bool, items ...schema.Item) {
	w.mu.Lock()
	w.numbers[partition]++
	w.heads[partition]++
	e := schema.Envelope{
		Partition: partition, Token: w.holders[partition].Token, Number: w.numbers[partition], Seq: w.heads[partition], Items: items,
	}
	w.mu.Unlock()
	if !lost {
		w.publish(schema.GatewayChannel(id), e.Append(nil))
	}
}

func event(text string, connections ...domain.ConnectionID) schema.Item {
	return schema.Item{Class: schema.ClassEvent, Frame: []byte(text), Connections: numbers(connections)}
}

func numbers(connections []domain.ConnectionID) []uint32 {
	var list []uint32
	for _, c := range connections {
		n, _ := c.Number()
		list = append(list, n)
	}
	slices.Sort(list)
	return list
}

// server is a gateway that is served over pipes, so that no port is used and time can be simulated.
type server struct {
	*world
	gateway  *gateway.Gateway
	listener *pipeListener
	id       string
	// stop ends Run, without draining, and returns when it has.
	stop func()
}

// serve runs a gateway until the test ends.
func serve(t *testing.T, w *world, id string, change ...func(*gateway.Config)) *server {
	t.Helper()
	config := gateway.Config{
		ID: id, Placement: placement, Operations: w, Gate: w, Ledger: w, Bus: w, Routes: w, Channels: w, Holders: w, Standing: w,
		Logger: slog.New(slog.DiscardHandler),
	}
	for _, f := range change {
		f(&config)
	}
	g, err := gateway.New(config)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{world: w, gateway: g, listener: newPipeListener(), id: id}
	httpServer := &http.Server{Handler: g, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	ctx, cancel := context.WithCancel(context.Background())
	var running, gatewayRuns sync.WaitGroup
	s.stop = func() {
		cancel()
		gatewayRuns.Wait()
	}
	gatewayRuns.Go(func() {
		if err := g.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	running.Go(func() { _ = httpServer.Serve(s.listener) })
	<-w.listening
	<-w.listening
	t.Cleanup(func() {
		drain, stop := context.WithTimeout(context.Background(), 20*time.Second)
		defer stop()
		if err := g.Drain(drain, 0); err != nil {
			t.Errorf("%d sockets are left: %v", g.Connections(), err)
		}
		s.stop()
		_ = httpServer.Close()
		running.Wait()
	})
	return s
}

// pipeListener accepts pipes.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// client is a client of a gateway. It reads all the time, as clients should.
type client struct {
	t      *testing.T
	socket *websocket.Conn
	frames chan string
	closed chan error
	id     domain.ConnectionID
}

func (s *server) dial(t *testing.T) *client {
	t.Helper()
	return s.dialWith(t, &websocket.DialOptions{Subprotocols: []string{gateway.Subprotocol}})
}

func (s *server) dialWith(t *testing.T, options *websocket.DialOptions) *client {
	t.Helper()
	transport := &http.Transport{DialContext: s.listener.dial, DisableKeepAlives: true}
	options.HTTPClient = &http.Client{Transport: transport}
	socket, response, err := websocket.Dial(context.Background(), "ws://gateway/v1/ws", options)
	if err != nil {
		t.Fatal(err)
	}
	if response.Body != nil {
		_ = response.Body.Close()
	}
	socket.SetReadLimit(8 << 20)
	c := &client{t: t, socket: socket, frames: make(chan string, 1<<14), closed: make(chan error, 1)}
	var reading sync.WaitGroup
	reading.Go(func() {
		for {
			_, text, err := socket.Read(context.Background())
			if err != nil {
				c.closed <- err
				close(c.frames)
				return
			}
			c.frames <- string(text)
		}
	})
	t.Cleanup(func() {
		_ = socket.CloseNow()
		reading.Wait()
	})
	return c
}

// hello dials and says hello as a user.
func (s *server) hello(t *testing.T, user string) *client {
	t.Helper()
	c := s.dial(t)
	answer := c.ask(`{"jsonrpc":"2.0","id":"hello","method":"hello","params":{"token":"` + user + `"}}`)
	var welcome struct {
		Result struct {
			Connection domain.ConnectionID `json:"connection"`
		} `json:"result"`
	}
	if err := json.Unmarshal([]byte(answer), &welcome); err != nil || welcome.Result.Connection == "" {
		t.Fatalf("hello was answered with %s", answer)
	}
	c.id = welcome.Result.Connection
	return c
}

func (c *client) send(frame string) {
	c.t.Helper()
	if err := c.socket.Write(context.Background(), websocket.MessageText, []byte(frame)); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// ask sends a frame and returns the next one.
func (c *client) ask(frame string) string {
	c.t.Helper()
	c.send(frame)
	return c.next()
}

func (c *client) next() string {
	c.t.Helper()
	select {
	case frame, ok := <-c.frames:
		if !ok {
			c.t.Fatalf("the socket closed: %v", <-c.closed)
		}
		return frame
	case <-time.After(time.Minute):
		c.t.Fatal("no frame in a minute")
		return ""
	}
}

func (c *client) want(frame string) {
	c.t.Helper()
	if got := c.next(); got != frame {
		c.t.Fatalf("got frame\n%s\nwant\n%s", got, frame)
	}
}

// wantClose waits until the server closes with a code, and returns the frames that came before.
func (c *client) wantClose(code gateway.CloseCode) (frames []string) {
	c.t.Helper()
	for frame := range c.frames {
		frames = append(frames, frame)
	}
	if err := <-c.closed; websocket.CloseStatus(err) != websocket.StatusCode(code) {
		c.t.Fatalf("closed with %v, want %d", err, code)
	}
	return frames
}

// silent fails where a frame is there. It only works in a bubble.
func (c *client) silent() {
	c.t.Helper()
	synctest.Wait()
	select {
	case frame := <-c.frames:
		c.t.Fatalf("unexpected frame %s", frame)
	default:
	}
}

var _ io.Closer = (*pipeListener)(nil)
