package gateway_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mpim/domain"
	"mpim/handlers/gateway"
	"mpim/schema"
)

// slowLedger takes its time, and counts how many ends it is told of at once.
type slowLedger struct {
	*world
	now, most atomic.Int64
}

func (l *slowLedger) Disconnect(ctx context.Context, c schema.Connected, reason string) error {
	if n := l.now.Add(1); n > l.most.Load() {
		l.most.Store(n)
	}
	defer l.now.Add(-1)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(10 * time.Millisecond):
	}
	return l.world.Disconnect(ctx, c, reason)
}

func TestManyEndsAreRecordedAFewAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		ledger := &slowLedger{world: w}
		s := serve(t, w, "g1", func(c *gateway.Config) { c.Ledger = ledger })
		const n = 300
		var clients []*client
		for i := range n {
			clients = append(clients, s.hello(t, fmt.Sprintf("user%d", i)))
		}
		var closing sync.WaitGroup
		for _, c := range clients {
			closing.Go(func() { _ = c.socket.CloseNow() })
		}
		closing.Wait()
		until(t, "all ends are recorded", func() bool { return len(w.endings()) == n })
		if most := ledger.most.Load(); most > 64 {
			t.Errorf("%d at a time", most)
		}
	})
}

func TestEndsAreRecordedWhenTheLogIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := serve(t, w, "g1")
		c := s.hello(t, "alice")
		w.mu.Lock()
		w.busErr = domain.Errorf(domain.Unavailable, "down")
		w.mu.Unlock()
		_ = c.socket.CloseNow()
		<-time.After(time.Minute)
		if got := w.endings(); len(got) != 0 {
			t.Fatalf("recorded %v", got)
		}
		w.mu.Lock()
		w.busErr = nil
		w.mu.Unlock()
		until(t, "the end is recorded", func() bool { return len(w.endings()) == 1 })
	})
}

// deaf is a log that takes no ends of connections, or answers nothing at all, beside a bus that counts what it is told.
type deaf struct {
	*world
	hangs          bool
	told, attempts atomic.Int64
}

func (d *deaf) Disconnected(ctx context.Context, p int, e schema.Disconnected) error {
	d.told.Add(1)
	return d.world.Disconnected(ctx, p, e)
}

func (d *deaf) Disconnect(ctx context.Context, _ schema.Connected, _ string) error {
	d.attempts.Add(1)
	if d.hangs {
		<-ctx.Done()
	}
	return domain.Errorf(domain.Unavailable, "down")
}

func TestAnEndIsToldOnceHoweverOftenItIsTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &deaf{world: newWorld()}
		s := serve(t, d.world, "g1", func(c *gateway.Config) { c.Ledger, c.Bus = d, d })
		_ = s.hello(t, "alice").socket.CloseNow()
		<-time.After(10 * time.Minute)
		if told := d.told.Load(); told != 1 {
			t.Errorf("told %d times", told)
		}
		if n := d.attempts.Load(); n < 50 || n > 70 {
			t.Errorf("%d attempts in ten minutes", n)
		}
	})
}

func TestALogThatHangsDoesNotHoldUpAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &deaf{world: newWorld(), hangs: true}
		s := serve(t, d.world, "g1", func(c *gateway.Config) { c.Ledger, c.Bus = d, d })
		for i := range 1000 {
			_ = s.hello(t, fmt.Sprintf("user%d", i)).socket.CloseNow()
		}
		synctest.Wait()
		began := time.Now()
		s.stop()
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("stopped in %v", took)
		}
	})
}

// slowHolders counts reads, and takes its time.
type slowHolders struct {
	*world
	reads atomic.Int64
}

func (h *slowHolders) PushHolders(ctx context.Context) ([]gateway.Holder, error) {
	h.reads.Add(1)
	<-time.After(50 * time.Millisecond)
	return h.world.PushHolders(ctx)
}

func TestHellosShareTheReadOfHolders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		h := &slowHolders{world: w}
		s := serve(t, w, "g1", func(c *gateway.Config) { c.Holders = h })
		const n = 50
		clients := make([]*client, n)
		for i := range clients {
			clients[i] = s.dial(t)
		}
		for i, c := range clients {
			c.send(hello(fmt.Sprintf("user%d", i)))
		}
		for _, c := range clients {
			c.next()
		}
		// One that is under way began before some asked, so it takes a second; hardly more.
		if reads := h.reads.Load(); reads < 2 || reads > 4 {
			t.Errorf("%d reads for %d hellos", reads, n)
		}
	})
}
