package push_test

import (
	"context"
	"flag"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mpim/domain"
	"mpim/schema"
)

// stream sends messages to conversations one after the other, each by a sender of its own.
type stream struct {
	w     *world
	ids   []domain.ConversationID
	from  domain.UserID
	begun []atomic.Int64 // the sequence whose append has begun last, by conversation
	ended []atomic.Int64 // the sequence that is in the log for certain
	stop  func()
}

func (w *world) stream(t *testing.T, from domain.UserID, ids []domain.ConversationID) *stream {
	t.Helper()
	s := &stream{w: w, ids: ids, from: from, begun: make([]atomic.Int64, len(ids)), ended: make([]atomic.Int64, len(ids))}
	var stops []func()
	for i, id := range ids {
		s.begun[i].Store(1) // conversation.created
		stops = append(stops, running(t, func(ctx context.Context) error {
			for n := int64(2); ctx.Err() == nil; n++ {
				s.begun[i].Store(n)
				if err := w.send(context.WithoutCancel(ctx), id, from, int(n)); err != nil {
					return err
				}
				s.ended[i].Store(n)
			}
			return nil
		}))
	}
	s.stop = func() {
		for _, stop := range stops {
			stop()
		}
	}
	return s
}

// at returns the sequence of each conversation that may be in the log already.
func (s *stream) at() []int64 {
	at := make([]int64, len(s.begun))
	for i := range s.begun {
		at[i] = s.begun[i].Load()
	}
	return at
}

// greeting is a connection, and what of each conversation may have been appended before it was known.
type greeting struct {
	number uint32
	after  []int64
}

var connects = flag.Uint("connects", 3000, "how many connections say hello while others send")

// Connections that come while others send miss nothing that is appended after their hello.
func TestAConnectionMissesNothingAfterHello(t *testing.T) {
	w := newWorld(t)
	connects := uint32(*connects)
	users := make([]domain.UserID, 20)
	for n := range users {
		users[n] = w.user(n)
	}
	var ids []domain.ConversationID
	for n := range 6 {
		ids = append(ids, w.group(t, fmt.Sprint("g", n), users...))
	}
	g := w.gate(t)
	w.worker(t, "w1", 1, w.bus)
	s := w.stream(t, users[0], ids)
	var next atomic.Uint32
	var wait sync.WaitGroup
	for range 16 {
		wait.Go(func() {
			for number := next.Add(1); number <= connects && !t.Failed(); number = next.Add(1) {
				if err := w.visit(t, g, users[int(number)%len(users)], number, s); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	s.stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.missed != 0 {
		t.Errorf("it believes to have missed something %d times", g.missed)
	}
}

// visit connects, waits until everything came that was appended within a moment after hello, and disconnects.
func (w *world) visit(t *testing.T, g *gate, user domain.UserID, number uint32, s *stream) error {
	t.Helper()
	after, err := w.greet(t.Context(), g, user, number, s)
	if err != nil {
		return err
	}
	until := make([]int64, len(after))
	for i := range until {
		// The one that was on its way, and the next.
		for until[i] <= after[i] {
			g.mu.Lock()
			news := g.news
			g.mu.Unlock()
			if until[i] = s.ended[i].Load(); until[i] <= after[i] {
				<-news
			}
		}
	}
	g.expectAll(t, s.ids, []greeting{{number: number, after: after}}, until)
	partition, _ := user.Partition()
	c := connectionOf(user, g.id, number)
	err = w.bus.Disconnected(t.Context(), partition, schema.Disconnected{Connection: c.Connection, User: user, Gateway: g.id})
	g.mu.Lock()
	delete(g.got, number)
	g.mu.Unlock()
	return err
}

// greet connects, and returns what may have been appended before everybody knew.
func (w *world) greet(ctx context.Context, g *gate, user domain.UserID, number uint32, s *stream) ([]int64, error) {
	partition, _ := user.Partition()
	id, _, err := w.bus.Connected(ctx, partition, connectionOf(user, g.id, number))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := g.hello(ctx, partition, id); err != nil {
		return nil, fmt.Errorf("hello of connection %d: %w", number, err)
	}
	return s.at(), nil
}

// expectAll waits until each connection has everything from its hello to the end.
func (g *gate) expectAll(t *testing.T, ids []domain.ConversationID, greetings []greeting, end []int64) {
	t.Helper()
	lacks := func() string {
		g.mu.Lock()
		defer g.mu.Unlock()
		for _, hello := range greetings {
			for i, id := range ids {
				for seq := hello.after[i] + 1; seq <= end[i]; seq++ {
					if g.got[hello.number][fmt.Sprint(id, " ", seq)] == 0 {
						return fmt.Sprintf("connection %d lacks %s %d (hello after %d, end %d)", hello.number, id, seq, hello.after[i], end[i])
					}
				}
			}
		}
		return ""
	}
	deadline := time.Now().Add(20 * time.Second)
	for lacks() != "" && time.Now().Before(deadline) {
		g.mu.Lock()
		news := g.news
		g.mu.Unlock()
		select {
		case <-news:
		case <-time.After(100 * time.Millisecond):
		}
	}
	if text := lacks(); text != "" {
		t.Error(text)
	}
}

// severed is a Bus that a kill has cut off: it does nothing more, and does not say so.
type severed struct {
	pushBus
	dead atomic.Bool
}

func (s *severed) Publish(ctx context.Context, messages []schema.Outgoing) ([]schema.Outgoing, error) {
	if s.dead.Load() {
		return nil, nil
	}
	return s.pushBus.Publish(ctx, messages)
}

func (s *severed) SaveCheckpoints(ctx context.Context, saves []schema.PushCheckpoint) ([]schema.PushCheckpoint, error) {
	if s.dead.Load() {
		return nil, nil
	}
	return s.pushBus.SaveCheckpoints(ctx, saves)
}

// An owner that is killed is followed by another from its checkpoint: some events come twice, none is missing, and no
// gateway believes that it missed one.
func TestATakeOverLeavesNoHole(t *testing.T) {
	w := newWorld(t)
	users := []domain.UserID{w.user(0), w.user(1), w.user(2)}
	var ids []domain.ConversationID
	for n := range 6 {
		ids = append(ids, w.group(t, fmt.Sprint("g", n), users...))
	}
	g := w.gate(t)
	cut := &severed{pushBus: w.bus}
	current := w.worker(t, "w0", 1, cut)
	s := w.stream(t, users[0], ids)
	var greetings []greeting
	for n := range 6 {
		after, err := w.greet(t.Context(), g, users[n%3], uint32(n+1), s)
		if err != nil {
			t.Fatal(err)
		}
		greetings = append(greetings, greeting{number: uint32(n + 1), after: after})
		if n == 5 {
			break
		}
		killed := s.at()
		cut.dead.Store(true)
		// Nobody pushes for a while; then another begins while the old one believes that it goes on.
		for s.at()[0] < killed[0]+20 {
			select {
			case <-t.Context().Done():
				t.Fatal("nothing is sent")
			case <-time.After(time.Millisecond):
			}
		}
		old := current
		cut = &severed{pushBus: w.bus}
		current = w.worker(t, fmt.Sprint("w", n+1), int64(n+2), cut)
		old.stop()
	}
	s.stop()
	g.expectAll(t, ids, greetings, s.at())
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.missed != 0 {
		t.Errorf("it believes to have missed something %d times", g.missed)
	}
	doubles := 0
	for _, times := range g.got[1] {
		if times > 1 {
			doubles++
		}
	}
	t.Logf("%d of %d events came more than once", doubles, len(g.got[1]))
}

// An owner that is handed over leaves nothing to be done twice.
func TestAHandOverDoublesNothing(t *testing.T) {
	w := newWorld(t)
	users := []domain.UserID{w.user(0), w.user(1)}
	ids := []domain.ConversationID{w.group(t, "g", users...)}
	g := w.gate(t)
	first := w.worker(t, "w1", 1, w.bus)
	s := w.stream(t, users[0], ids)
	after, err := w.greet(t.Context(), g, users[1], 1, s)
	if err != nil {
		t.Fatal(err)
	}
	first.stop()
	w.worker(t, "w2", 2, w.bus)
	if _, err = w.greet(t.Context(), g, users[0], 2, s); err != nil {
		t.Fatal(err)
	}
	s.stop()
	g.expectAll(t, ids, []greeting{{number: 1, after: after}}, s.at())
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.missed != 0 {
		t.Errorf("it believes to have missed something %d times", g.missed)
	}
	for event, times := range g.got[1] {
		if times != 1 {
			t.Errorf("%s came %d times", event, times)
		}
	}
}

// A worker that begins knows who was connected long before, and forgets who is gone.
func TestTheRegistryIsReadAndFolded(t *testing.T) {
	w := newWorld(t)
	users := []domain.UserID{w.user(0), w.user(1), w.user(2)}
	id := w.group(t, "g", users...)
	long, gone := connectionOf(users[0], "gate", 1), connectionOf(users[1], "gate", 2)
	for _, c := range []schema.Connected{long, gone} {
		partition, _ := c.User.Partition()
		value := fmt.Sprintf(`{"user":%q,"session":%q,"gateway":"gate","at":"2026-01-01T00:00:00.000Z"}`, c.User, c.Session)
		if err := w.client.HSet(t.Context(), schema.PartitionKey(partition, "connections"), string(c.Connection), value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	partition, _ := gone.User.Partition()
	if err := w.bus.Disconnected(t.Context(), partition, schema.Disconnected{Connection: gone.Connection, User: gone.User, Gateway: "gate"}); err != nil {
		t.Fatal(err)
	}
	g := w.gate(t)
	w.worker(t, "w", 1, w.bus)
	s := w.stream(t, users[0], []domain.ConversationID{id})
	after, err := w.greet(t.Context(), g, users[2], 3, s)
	if err != nil {
		t.Fatal(err)
	}
	s.stop()
	// What was appended before anybody was known goes to those who were.
	g.expectAll(t, s.ids, []greeting{{number: 1, after: []int64{0}}, {number: 3, after: after}}, s.at())
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.got[2]) != 0 {
		t.Errorf("a connection that is gone got %d events", len(g.got[2]))
	}
}

// Breaking the connections under a running owner loses nothing for good: what was not published counts as missed.
func TestBrokenConnectionsAreNoticedOrHarmless(t *testing.T) {
	w := newWorld(t)
	users := []domain.UserID{w.user(0), w.user(1)}
	ids := []domain.ConversationID{w.group(t, "g", users...)}
	g := w.gate(t)
	w.worker(t, "w", 1, w.bus)
	s := w.stream(t, users[0], ids)
	after, err := w.greet(t.Context(), g, users[1], 1, s)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if err := w.client.Do(t.Context(), "client", "kill", "type", "normal", "skipme", "yes").Err(); err != nil {
			t.Fatal(err)
		}
		if _, err = w.greet(t.Context(), g, users[1], 2, s); err != nil {
			t.Fatal(err)
		}
	}
	s.stop()
	if g.missed == 0 {
		g.expectAll(t, ids, []greeting{{number: 1, after: after}}, s.at())
	}
}
