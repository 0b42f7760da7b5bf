package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// chatter is one user at one device, who follows the client protocol through whatever happens.
type chatter struct {
	login
	run *checkerRun
	// keeps says that the socket is kept as long as it lives, and sync is called only on a gap or resync. The others
	// reconnect now and then, and sync.
	keeps bool

	mu     sync.Mutex
	socket *socket
	live   chan struct{} // closed while there is a socket
	resume string
	seen   map[string]*stream
	events chan event
	wanted chan string // conversations that have a gap; "" for all

	syncs, resyncs, gaps, connects atomic.Int64
}

// stream is what a chatter has of one conversation: every event from 1 to head.
type stream struct {
	head   int64
	events map[int64]string
}

func newChatter(run *checkerRun, l login, keeps bool) *chatter {
	return &chatter{
		login: l, run: run, keeps: keeps, live: make(chan struct{}), seen: make(map[string]*stream),
		events: make(chan event, 4096), wanted: make(chan string, 4096),
	}
}

// work keeps the chatter connected until the context ends.
func (c *chatter) work(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		err := c.stay(ctx, c.run.d.gateways[(len(c.User.Username)+n)%len(c.run.d.gateways)].url)
		c.gone()
		if ctx.Err() != nil {
			return
		}
		if codeOf(err) != "" && codeOf(err) != "unavailable" {
			c.run.fail("%s: %v", c.User.Username, err)
		}
		pause(ctx, time.Duration(50+rand.IntN(400))*time.Millisecond)
	}
}

// stay is the life of one connection.
func (c *chatter) stay(ctx context.Context, base string) error {
	limit, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	c.drain()
	s, err := connect(limit, base, c.Token, c.resume, c.take)
	if err != nil {
		return err
	}
	defer s.close()
	c.connects.Add(1)
	c.resume = s.hello.Connection
	if err := c.synchronise(limit, s, ""); err != nil {
		return err
	}
	c.mu.Lock()
	c.socket = s
	close(c.live)
	c.mu.Unlock()
	leave := make(<-chan time.Time)
	if !c.keeps {
		leave = time.After(time.Duration(4000+rand.IntN(6000)) * time.Millisecond)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-leave:
			return nil
		case <-s.closed:
			return s.err
		case e := <-c.events:
			if c.apply(e) {
				continue
			}
			c.gaps.Add(1)
			if err := c.retrySync(ctx, s, e.Conversation); err != nil {
				return err
			}
		case conversation := <-c.wanted:
			if err := c.retrySync(ctx, s, conversation); err != nil {
				return err
			}
		}
	}
}

// drain forgets what came over an older connection.
func (c *chatter) drain() {
	for {
		select {
		case <-c.events:
		case <-c.wanted:
		default:
			return
		}
	}
}

func (c *chatter) gone() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.socket != nil {
		c.socket, c.live = nil, make(chan struct{})
	}
}

// current waits for a live connection.
func (c *chatter) current(ctx context.Context) *socket {
	for {
		c.mu.Lock()
		s, live := c.socket, c.live
		c.mu.Unlock()
		if s != nil {
			return s
		}
		select {
		case <-live:
		case <-ctx.Done():
			return nil
		}
	}
}

// take hears pushes, in the goroutine that reads the socket.
func (c *chatter) take(p push) {
	switch p.Method {
	case "event":
		var e event
		if err := json.Unmarshal(p.Params, &e); err != nil {
			c.run.fail("%s was pushed %s: %v", c.User.Username, p.Params, err)
			return
		}
		c.events <- e
	case "resync":
		c.resyncs.Add(1)
		c.wanted <- ""
	}
}

// apply takes an event over, and is false where one before it is missing.
func (c *chatter) apply(e event) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.seen[e.Conversation]
	if s == nil {
		s = &stream{events: make(map[int64]string)}
		c.seen[e.Conversation] = s
	}
	if e.Seq <= s.head {
		if known := s.events[e.Seq]; known != "" && known != e.Event {
			c.run.fail("%s saw event %s at %s#%d, and now %s", c.User.Username, known, e.Conversation, e.Seq, e.Event)
		}
		return true
	}
	if e.Seq != s.head+1 {
		return false
	}
	s.head = e.Seq
	s.events[e.Seq] = e.Event
	return true
}

func (c *chatter) head(conversation string) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.seen[conversation]; s != nil {
		return s.head
	}
	return 0
}

// retrySync synchronises until it works or the connection ends.
func (c *chatter) retrySync(ctx context.Context, s *socket, conversation string) error {
	for {
		limit, cancel := context.WithTimeout(ctx, 15*time.Second)
		err := c.synchronise(limit, s, conversation)
		cancel()
		if codeOf(err) != "unavailable" {
			return err
		}
		pause(ctx, 300*time.Millisecond)
	}
}

// synchronise asks for what is missing: of one conversation, or of all.
func (c *chatter) synchronise(ctx context.Context, s *socket, only string) error {
	c.syncs.Add(1)
	after, again := "", true
	for again {
		since := make(map[string]int64)
		c.mu.Lock()
		for conversation, stream := range c.seen {
			if only == "" || conversation == only {
				since[conversation] = stream.head
			}
		}
		c.mu.Unlock()
		params := map[string]any{"since": since}
		if only != "" {
			params["only"] = true
		}
		if after != "" {
			params["after"] = after
		}
		var answer syncAnswer
		if err := s.call(ctx, "sync", params, &answer); err != nil {
			return err
		}
		again = answer.Next != ""
		after = answer.Next
		for _, one := range answer.Conversations {
			if one.Reset {
				c.run.fail("%s was told to reset %s", c.User.Username, one.Conversation)
			}
			for _, e := range one.Events {
				if !c.apply(e) {
					c.run.fail("%s: sync of %s leaves a hole before #%d, after #%d", c.User.Username, one.Conversation, e.Seq, c.head(one.Conversation))
				}
			}
			again = again || !one.Complete
		}
	}
	return nil
}

// acknowledged is one message that the server has taken.
type acknowledged struct {
	sent
	clientID, text, sender string
	// edit is the text of its edit, if one was tried; edited says that the edit was acknowledged.
	edit   string
	edited bool
}

// send sends one message until it is acknowledged, under the same client id, and checks that a retry gets the first result.
func (c *chatter) send(ctx context.Context, conversation string, n int) {
	clientID := fmt.Sprintf("%s-%d", c.User.Username, n)
	words := fmt.Sprintf("message %d of %s", n, c.User.Username)
	params := map[string]any{"to": map[string]any{"conversation": conversation}, "client_id": clientID, "body": text(words)}
	a := acknowledged{clientID: clientID, text: words, sender: c.User.ID}
	if !c.until(ctx, "message.send", params, &a.sent) {
		return
	}
	if a.Durability != "fsynced" {
		c.run.fail("%s: the answer's durability is %q", clientID, a.Durability)
	}
	if n%7 == 0 {
		var again sent
		if c.until(ctx, "message.send", params, &again) && (!again.Duplicate || again.Seq != a.Seq || again.Event != a.Event || again.At != a.At) {
			c.run.fail("%s: sent again, it got %+v, at first %+v", clientID, again, a.sent)
		}
	}
	if n%10 == 0 {
		a.edit = words + ", edited"
		if s := c.current(ctx); s != nil {
			limit, cancel := context.WithTimeout(ctx, 10*time.Second)
			err := s.call(limit, "message.edit", map[string]any{"conversation": conversation, "seq": a.Seq, "body": text(a.edit)}, nil)
			cancel()
			a.edited = err == nil
			if code := codeOf(err); code != "" && code != "unavailable" {
				c.run.fail("%s: edit: %v", clientID, err)
			}
		}
	}
	c.run.record(a)
}

// until makes a request until it is answered.
func (c *chatter) until(ctx context.Context, method string, params map[string]any, out *sent) bool {
	for ctx.Err() == nil {
		s := c.current(ctx)
		if s == nil {
			return false
		}
		limit, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := s.call(limit, method, params, out)
		cancel()
		if err == nil {
			return true
		}
		if code := codeOf(err); code != "" && code != "unavailable" {
			c.run.fail("%s: %s %v: %v", c.User.Username, method, params["client_id"], err)
			return false
		}
		c.run.retries.Add(1)
		pause(ctx, 100*time.Millisecond)
	}
	return false
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
