package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	// defaultConnects is how many clients connect; MPIM_TEST_CONNECTS makes it more or fewer.
	defaultConnects = 2000
	// connecting is how many of them do so at the same time.
	connecting = 32
	// connectTime bounds one of them, from opening its socket to closing it.
	connectTime = 30 * time.Second

	streamTalkers   = 4
	streamListeners = 16
	streamPairs     = 10
	streamGroups    = 10
	// streamPause lies between two messages of one conversation: 200 messages/s in all.
	streamPause = 100 * time.Millisecond
	// pushedAfter is how many messages of each conversation that were begun after hello a client waits for.
	pushedAfter = 2
)

// TestConnectsMissNothing has clients connect while others send. What was begun after the answer to hello must be pushed,
// and pushes together with one sync must leave no gap.
func TestConnectsMissNothing(t *testing.T) {
	connects := defaultConnects
	if text := os.Getenv("MPIM_TEST_CONNECTS"); text != "" {
		var err error
		if connects, err = strconv.Atoi(text); err != nil || connects < 1 {
			t.Fatalf("MPIM_TEST_CONNECTS is %q: write a number of connects", text)
		}
		// The program refuses variables of its own that it does not know.
		t.Setenv("MPIM_TEST_CONNECTS", "")
		_ = os.Unsetenv("MPIM_TEST_CONNECTS") // fails for bad names alone
	}
	d := deploy(t, layout{gateways: 2, workers: 2})
	s := startSteady(t, d)
	defer s.stop()

	r := connectsRun{t: t, d: d, steady: s, hello: newLatencies(), caught: newLatencies()}
	began := time.Now()
	var next atomic.Int64
	var clients sync.WaitGroup
	for range connecting {
		clients.Go(func() {
			for n := next.Add(1); n <= int64(connects) && r.failures.Load() < 10; n = next.Add(1) {
				if err := r.connect(int(n)); err != nil {
					r.failures.Add(1)
					t.Errorf("connect %d: %v", n, err)
				}
			}
		})
	}
	clients.Wait()
	took := time.Since(began)
	t.Logf("%d connects in %.1f s (%.0f/s) against %.0f messages/s: %d events pushed, %d by sync; hello p50 %s, p99 %s; until all was there p50 %s, p99 %s; %d resyncs",
		connects, took.Seconds(), float64(connects)/took.Seconds(), float64(s.acknowledged.Load())/time.Since(s.began).Seconds(),
		r.pushed.Load(), r.synced.Load(), r.hello.at(50), r.hello.at(99), r.caught.at(50), r.caught.at(99), r.resyncs.Load())
	if r.pushed.Load() == 0 || r.synced.Load() == 0 {
		t.Error("nothing was pushed, or nothing came by sync: this shows nothing")
	}
	if resyncs := r.resyncs.Load(); resyncs > int64(connects)/20 {
		t.Errorf("%d of %d connections had to synchronise again, although nothing failed", resyncs, connects)
	}
}

// connectsRun counts what all clients saw.
type connectsRun struct {
	t      *testing.T
	d      *deployment
	steady *steady

	hello, caught                     *latencies
	failures, pushed, synced, resyncs atomic.Int64
}

// connect is one client from beginning to end.
func (r *connectsRun) connect(n int) error {
	ctx, cancel := context.WithTimeout(r.t.Context(), connectTime)
	defer cancel()
	who := r.steady.listeners[n%len(r.steady.listeners)]
	c := &comer{changed: make(chan struct{}, 1), pushes: make(map[string]map[int64]bool), events: make(map[string]map[int64]bool)}
	since := make(map[string]int64)
	for _, conversation := range who.conversations {
		// Some that are there already, so that sync and pushes have to fit together.
		since[conversation.id] = max(conversation.next()-4, 0)
		c.pushes[conversation.id], c.events[conversation.id] = make(map[int64]bool), make(map[int64]bool)
	}
	socket, err := open(ctx, r.d.gateways[n%len(r.d.gateways)].url, c.take)
	if err != nil {
		return err
	}
	defer socket.close()
	began := time.Now()
	if err := socket.call(ctx, "hello", map[string]any{"token": who.login.Token, "client": "connects/1"}, &socket.hello); err != nil {
		return fmt.Errorf("hello: %w", err)
	}
	r.hello.record(time.Since(began))
	// All that is begun from now on must be pushed.
	first := make(map[string]int64)
	for _, conversation := range who.conversations {
		first[conversation.id] = conversation.next()
	}
	if err := c.synchronise(ctx, socket, since); err != nil {
		return err
	}
	if err := c.wait(ctx, socket, since, first); err != nil {
		return err
	}
	r.caught.record(time.Since(began))
	r.count(c)
	return nil
}

func (r *connectsRun) count(c *comer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r.resyncs.Add(int64(c.resyncs))
	for _, seqs := range c.pushes {
		r.pushed.Add(int64(len(seqs)))
	}
	for _, seqs := range c.events {
		r.synced.Add(int64(len(seqs)))
	}
}

// comer is what a client that connects has seen, by conversation and seq.
type comer struct {
	changed chan struct{}

	mu             sync.Mutex
	pushes, events map[string]map[int64]bool
	resyncs        int
	err            error
}

// take notes a push.
func (c *comer) take(p push) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch p.Method {
	case "resync":
		c.resyncs++
	case "event":
		var e event
		if err := json.Unmarshal(p.Params, &e); err != nil {
			c.err = err
		} else if seqs := c.pushes[e.Conversation]; seqs != nil {
			seqs[e.Seq] = true
		}
	}
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// synchronise takes over what sync has.
func (c *comer) synchronise(ctx context.Context, s *socket, since map[string]int64) error {
	from := maps.Clone(since)
	for len(from) > 0 {
		var answer syncAnswer
		if err := s.call(ctx, "sync", map[string]any{"since": from, "only": true}, &answer); err != nil {
			return fmt.Errorf("sync: %w", err)
		}
		if answer.Next != "" {
			return errors.New("sync has pages for fewer conversations than one holds")
		}
		clear(from)
		c.mu.Lock()
		for _, conversation := range answer.Conversations {
			for _, e := range conversation.Events {
				c.events[conversation.Conversation][e.Seq] = true
			}
			if conversation.Reset {
				c.err = fmt.Errorf("%s was reset", conversation.Conversation)
			}
			if n := len(conversation.Events); !conversation.Complete && n > 0 {
				from[conversation.Conversation] = conversation.Events[n-1].Seq
			}
		}
		c.mu.Unlock()
	}
	return nil
}

// wait returns when the conversations are there from since on up to the last message that has to be pushed.
func (c *comer) wait(ctx context.Context, s *socket, since, first map[string]int64) error {
	done := 0
	for {
		missing, resyncs, err := c.missing(since, first)
		switch {
		case err != nil:
			return err
		case missing == "":
			return nil
		case resyncs > done:
			// It was told that something may be missing, so it asks.
			done = resyncs
			if err := c.synchronise(ctx, s, since); err != nil {
				return err
			}
			continue
		}
		select {
		case <-c.changed:
		case <-s.closed:
			return fmt.Errorf("the connection was closed while it waited for %s: %w", missing, s.err)
		case <-ctx.Done():
			return fmt.Errorf("connection %s of %s: never came: %s", s.hello.Connection, s.hello.User, missing)
		}
	}
}

// missing says what is, "" if nothing.
func (c *comer) missing(since, first map[string]int64) (what string, resyncs int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conversation, from := range since {
		for seq := from + 1; seq < first[conversation]+pushedAfter; seq++ {
			pushed, synced := c.pushes[conversation][seq], c.events[conversation][seq]
			// Whoever was told to resync may find there what was not pushed.
			if pushed || synced && (seq < first[conversation] || c.resyncs > 0) {
				continue
			}
			what = fmt.Sprintf("seq %d of %s (synced: %t; to be pushed from %d on; pushed %v; %d resyncs)",
				seq, conversation, synced, first[conversation], slices.Sorted(maps.Keys(c.pushes[conversation])), c.resyncs)
		}
	}
	return what, c.resyncs, c.err
}

// steady sends messages into some conversations for as long as it is not stopped.
type steady struct {
	listeners    []*listener
	began        time.Time
	acknowledged atomic.Int64
	stop         func()
}

// listener is a user and the conversations that it is a member of.
type listener struct {
	login         login
	conversations []*talk
}

// talk is a conversation that one talker sends to, one message after another.
type talk struct {
	id     string
	talker *socket

	mu       sync.Mutex
	last     int64 // the seq of the last message that was acknowledged
	inFlight bool
}

// next returns the seq of the first message whose sending begins after the call.
func (k *talk) next() int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.inFlight {
		return k.last + 2
	}
	return k.last + 1
}

// send sends one message and waits for its answer.
func (k *talk) send(ctx context.Context, n int) error {
	k.mu.Lock()
	k.inFlight = true
	k.mu.Unlock()
	var answer sent
	err := k.talker.call(ctx, "message.send", map[string]any{
		"to": map[string]any{"conversation": k.id}, "client_id": "steady-" + strconv.Itoa(n), "body": text("message " + strconv.Itoa(n)),
	}, &answer)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil && k.last > 0 && answer.Seq != k.last+1 {
		err = fmt.Errorf("seq %d follows %d", answer.Seq, k.last)
	}
	if err == nil {
		k.last, k.inFlight = answer.Seq, false
	}
	return err
}

// startSteady makes users and conversations, and begins to send.
func startSteady(t *testing.T, d *deployment) *steady {
	t.Helper()
	s := &steady{}
	people := registerAll(t, d, "steady", streamTalkers+streamListeners)
	talkers := people[:streamTalkers]
	for _, l := range people[streamTalkers:] {
		s.listeners = append(s.listeners, &listener{login: l})
	}
	sockets := make([]*socket, streamTalkers)
	for n, talker := range talkers {
		socket, err := connect(t.Context(), d.gateways[n%len(d.gateways)].url, talker.Token, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		sockets[n] = socket
	}
	var talks []*talk
	for n := range streamPairs {
		one := s.listeners[n%streamListeners]
		k := &talk{talker: sockets[n%streamTalkers]}
		var first sent
		if err := k.talker.call(t.Context(), "message.send", map[string]any{
			"to": map[string]any{"user": one.login.User.ID}, "client_id": "first", "body": text("first"),
		}, &first); err != nil {
			t.Fatal(err)
		}
		k.id, k.last = first.Conversation, first.Seq
		one.conversations = append(one.conversations, k)
		talks = append(talks, k)
	}
	for n := range streamGroups {
		k := &talk{talker: sockets[n%streamTalkers]}
		members := make([]string, 0, streamListeners/2)
		for m := n % 2; m < streamListeners; m += 2 {
			members = append(members, s.listeners[m].login.User.ID)
			s.listeners[m].conversations = append(s.listeners[m].conversations, k)
		}
		var made struct {
			Conversation struct {
				ID string `json:"conversation"`
			} `json:"conversation"`
		}
		params := map[string]any{"title": "Steady " + strconv.Itoa(n), "members": members, "client_id": "group-" + strconv.Itoa(n)}
		if err := k.talker.call(t.Context(), "group.create", params, &made); err != nil {
			t.Fatal(err)
		}
		k.id = made.Conversation.ID
		if err := k.send(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		talks = append(talks, k)
	}
	s.run(t, talks, sockets)
	return s
}

// run sends until stop is called.
func (s *steady) run(t *testing.T, talks []*talk, sockets []*socket) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var sending sync.WaitGroup
	s.began = time.Now()
	for _, k := range talks {
		sending.Go(func() {
			ticker := time.NewTicker(streamPause)
			defer ticker.Stop()
			for n := 1; ; n++ {
				select {
				case <-ctx.Done():
					return
				case <-ticker.C:
				}
				if err := k.send(ctx, n); err != nil {
					if ctx.Err() == nil {
						t.Errorf("send to %s: %v", k.id, err)
					}
					return
				}
				s.acknowledged.Add(1)
			}
		})
	}
	s.stop = func() {
		cancel()
		sending.Wait()
		for _, socket := range sockets {
			socket.close()
		}
	}
}

// registerAll makes accounts and logs them in.
func registerAll(tb testing.TB, d *deployment, prefix string, n int) []login {
	tb.Helper()
	logins := make([]login, n)
	for i := range logins {
		var err error
		if logins[i], err = register(tb.Context(), d.gateways[i%len(d.gateways)].url, prefix+strconv.Itoa(i)); err != nil {
			tb.Fatal(err)
		}
	}
	return logins
}

// latencies is a histogram that many may record to.
type latencies struct {
	mu        sync.Mutex
	histogram *hdrhistogram.Histogram
}

func newLatencies() *latencies {
	return &latencies{histogram: hdrhistogram.New(1, time.Minute.Microseconds(), 3)}
}

func (l *latencies) record(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.histogram.RecordValue(min(max(d.Microseconds(), 1), time.Minute.Microseconds())) // within its bounds
}

// at returns a percentile.
func (l *latencies) at(percentile float64) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Duration(l.histogram.ValueAtQuantile(percentile)) * time.Microsecond
}
