package gateway_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mpim/handlers/gateway"
	"mpim/schema"
)

// TestAnOutageIsToldOnce breaks the subscription for longer than a lease: the leases are renewed as soon as pushes are
// heard again, and each client is told once to sync, whether its lease was gone or not.
func TestAnOutageIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := serve(t, w, "g1")
		c, other := s.hello(t, "alice"), s.hello(t, "bob")
		partition, _ := c.id.Partition()
		<-time.After(25 * time.Second) // the next regular renewal is 15 s away
		w.mu.Lock()
		before := w.renewals
		w.gone = []int{partition}
		w.mu.Unlock()
		s.cut(schema.GatewayChannel("g1"))
		<-s.listening
		<-time.After(time.Second)
		w.mu.Lock()
		renewals, known := w.renewals-before, len(w.connected)
		w.mu.Unlock()
		if renewals != 1 || known != 3 {
			t.Errorf("%d renewals, %d connections made known", renewals, known)
		}
		c.want(resyncFrame)
		c.send(`{"jsonrpc":"2.0","id":9,"method":"sync","params":{}}`)
		c.next()
		<-time.After(8 * time.Second)
		c.silent()
		other.want(resyncFrame)
	})
}

func TestACleanStopGivesItsLeasesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := serve(t, w, "g1")
		c, open := s.hello(t, "alice"), s.hello(t, "bob")
		partition, _ := c.id.Partition()
		_ = c.socket.CloseNow()
		until(t, "the end is recorded", func() bool { return len(w.endings()) == 1 })
		s.stop()
		w.mu.Lock()
		defer w.mu.Unlock()
		// The lease of a connection that is open still has to run out.
		if kept, _ := open.id.Partition(); kept == partition || !slices.Equal(w.withdrawn, []int{partition}) {
			t.Errorf("withdrew %v, want %d", w.withdrawn, partition)
		}
	})
}

func TestAnEndThatIsNotRecordedKeepsItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &deaf{world: newWorld()}
		s := serve(t, d.world, "g1", func(c *gateway.Config) { c.Ledger = d })
		_ = s.hello(t, "alice").socket.CloseNow()
		until(t, "it is tried", func() bool { return d.attempts.Load() > 0 })
		s.stop()
		d.mu.Lock()
		defer d.mu.Unlock()
		if len(d.withdrawn) != 0 {
			t.Errorf("withdrew %v", d.withdrawn)
		}
	})
}

// eyes note how far the log was seen.
type eyes struct {
	mu   sync.Mutex
	seen map[int]int64
}

func (e *eyes) Saw(partition int, seq int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen[partition] = max(e.seen[partition], seq)
}

func (e *eyes) at(partition int) int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.seen[partition]
}

func TestWhatPushesShowOfTheLogIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		e := &eyes{seen: make(map[int]int64)}
		serve(t, w, "g1", func(c *gateway.Config) { c.Seen = e })
		uncounted := schema.Envelope{Partition: 3, Seq: 99}
		w.publish(schema.GatewayChannel("g1"), uncounted.Append(nil))
		w.push("g1", 1, false)
		w.mu.Lock()
		w.heads[2] = 7
		w.mu.Unlock()
		w.heartbeat("g1")
		synctest.Wait()
		if e.at(1) != 1 || e.at(2) != 7 || e.at(3) != 0 {
			t.Errorf("told of %d, %d and %d, want 1, 7 and 0", e.at(1), e.at(2), e.at(3))
		}
	})
}
