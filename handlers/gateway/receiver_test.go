package gateway_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mpim/handlers/gateway"
	"mpim/schema"
)

const resyncFrame = `{"jsonrpc":"2.0","method":"resync","params":{}}`

func TestMissedPushesLeadToOneResync(t *testing.T) {
	for name, miss := range map[string]func(s *server, c *client){
		"an envelope is missing": func(s *server, c *client) {
			s.push("g1", 1, true, event(`{"lost":1}`, c.id))
			s.push("g1", 1, false, event(`{"kept":1}`, c.id))
		},
		"a heartbeat is ahead": func(s *server, c *client) {
			s.push("g1", 1, true, event(`{"lost":1}`, c.id))
			s.heartbeat("g1")
		},
		"the subscription broke": func(s *server, _ *client) {
			s.cut(schema.GatewayChannel("g1"))
			<-s.listening
		},
		"a new owner begins above": func(s *server, _ *client) { s.takeOver(1, 2, 5) },
		"a message cannot be read": func(s *server, _ *client) { s.publish(schema.GatewayChannel("g1"), []byte("?")) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := serve(t, newWorld(), "g1")
				c := s.hello(t, "alice")
				s.push("g1", 1, false, event(`{"first":1}`, c.id))
				c.want(`{"first":1}`)
				miss(s, c)
				frame := c.next()
				if frame == `{"kept":1}` {
					frame = c.next()
				}
				if frame != resyncFrame {
					t.Errorf("got %s, want resync", frame)
				}
				s.heartbeat("g1")
				s.heartbeat("g1")
				<-time.After(10 * time.Second)
				c.silent()
				// Counting goes on from there.
				s.push("g1", 1, false, event(`{"next":1}`, c.id))
				c.want(`{"next":1}`)
				// Who does not answer with sync is closed.
				c.wantClose(gateway.CloseResync)
			})
		})
	}
}

// takeOver gives a partition to a new owner, which begins above start and says so.
func (w *world) takeOver(partition int, token, start int64) {
	w.mu.Lock()
	w.holders[partition].Token = token
	w.numbers[partition] = 0
	h := schema.Heartbeat{Worker: "w2", Folded: w.folded, Leases: []schema.LeaseReport{{
		Partition: partition, Token: token, Start: start, Seq: start,
	}}}
	w.mu.Unlock()
	w.publish(schema.GatewayChannel("g1"), h.Append(nil))
}

func TestATakeOverWithoutAHoleIsQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, newWorld(), "g1")
		c := s.hello(t, "alice")
		s.push("g1", 1, false, event(`{"n":1}`, c.id))
		s.push("g1", 1, false, event(`{"n":2}`, c.id))
		c.want(`{"n":1}`)
		c.want(`{"n":2}`)
		s.takeOver(1, 2, 1)
		// It repeats what its predecessor pushed after the checkpoint: doubles are for the client to drop.
		s.push("g1", 1, false, event(`{"n":2}`, c.id))
		c.want(`{"n":2}`)
		// The old owner has not noticed yet. What it says does not count.
		old := schema.Envelope{Partition: 1, Token: 1, Number: 9, Seq: 9, Items: []schema.Item{event(`{"stale":1}`, c.id)}}
		s.publish(schema.GatewayChannel("g1"), old.Append(nil))
		c.silent()
	})
}

func TestDoublesAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, newWorld(), "g1")
		c := s.hello(t, "alice")
		e := schema.Envelope{Partition: 1, Token: 1, Number: 1, Seq: 1, Items: []schema.Item{event(`{"n":1}`, c.id)}}
		s.publish(schema.GatewayChannel("g1"), e.Append(nil))
		s.publish(schema.GatewayChannel("g1"), e.Append(nil))
		c.want(`{"n":1}`)
		c.silent()
		// What is not counted is delivered each time.
		e.Number = 0
		s.publish(schema.GatewayChannel("g1"), e.Append(nil))
		c.want(`{"n":1}`)
	})
}

func TestResyncIsSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, newWorld(), "g1")
		const n = 200
		clients := make([]*client, n)
		for i := range clients {
			clients[i] = s.hello(t, fmt.Sprintf("user%d", i))
		}
		began := time.Now()
		s.push("g1", 1, true)
		s.heartbeat("g1")
		var last time.Duration
		early := 0
		for _, c := range clients {
			c.want(resyncFrame)
			if waited := time.Since(began); waited < time.Second {
				early++
			} else if waited > last {
				last = waited
			}
		}
		if early > n/2 || last < 4*time.Second || last > 6*time.Second {
			t.Errorf("%d of %d in the first second, the last after %v", early, n, last)
		}
	})
}

func TestHelloWaitsUntilEveryOwnerKnowsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.mute = true
		s := serve(t, w, "g1")
		s.heartbeat("g1") // before the connection: it does not count
		c := s.dial(t)
		c.send(hello("alice"))
		<-time.After(2 * time.Second)
		c.silent()
		s.heartbeat("g1")
		if answer := c.next(); !strings.Contains(answer, `"result"`) {
			t.Errorf("answer %s", answer)
		}
	})
}

func TestHelloDoesNotWaitWhereNobodyPushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.mute, w.holders = true, nil
		began := time.Now()
		serve(t, w, "g1").hello(t, "alice")
		if waited := time.Since(began); waited > 100*time.Millisecond {
			t.Errorf("waited %v", waited)
		}
	})
}

// TestASilentOwnerIsWaitedForOnce lets an owner be silent: the first hello waits for it, later ones do not, and all of
// them resync once it is heard again.
func TestASilentOwnerIsWaitedForOnce(t *testing.T) {
	for _, back := range []string{"the same", "another"} {
		t.Run(back, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				w.mute = true
				s := serve(t, w, "g1")
				began := time.Now()
				first := s.hello(t, "alice")
				if waited := time.Since(began); waited < 3*time.Second || waited > 4*time.Second {
					t.Errorf("the first hello took %v", waited)
				}
				began = time.Now()
				second := s.hello(t, "bob")
				if waited := time.Since(began); waited > 100*time.Millisecond {
					t.Errorf("the second hello took %v", waited)
				}
				first.silent()
				if back == "another" {
					w.mu.Lock()
					for i := range w.holders {
						w.holders[i].Token = 2
					}
					w.mu.Unlock()
				}
				s.heartbeat("g1")
				first.want(resyncFrame)
				second.want(resyncFrame)
				w.mu.Lock()
				w.mute = false
				w.mu.Unlock()
				s.hello(t, "carol").silent()
				<-time.After(10 * time.Second)
				first.silent()
				second.silent()
			})
		})
	}
}

func TestHelloGivesUpOnAnOwnerThatStaysBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.mute = true
		s := serve(t, w, "g1")
		stop := make(chan struct{})
		defer close(stop)
		behind := schema.Heartbeat{Worker: "w", Folded: make([]schema.StreamID, placement.Partitions)}
		for p := range placement.Partitions {
			behind.Leases = append(behind.Leases, schema.LeaseReport{Partition: p, Token: 1})
		}
		go func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Second):
					s.publish(schema.GatewayChannel("g1"), behind.Append(nil))
				}
			}
		}()
		c := s.dial(t)
		if answer := c.ask(hello("alice")); !strings.Contains(answer, `"code":"unavailable"`) {
			t.Errorf("answer %s", answer)
		}
	})
}

func TestConnectionsTakenForDeadAreMadeKnownAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := serve(t, w, "g1")
		c, other := s.hello(t, "alice"), s.hello(t, "bob")
		partition, _ := c.id.Partition()
		if p, _ := other.id.Partition(); p == partition {
			t.Fatal("both users live in one partition: choose other names")
		}
		w.mu.Lock()
		w.gone = []int{partition}
		w.mu.Unlock()
		<-time.After(21 * time.Second)
		c.want(resyncFrame)
		other.silent()
		w.mu.Lock()
		defer w.mu.Unlock()
		if n := len(w.connected); n != 3 || w.connected[2].Connection != c.id {
			t.Errorf("%d connections recorded, the last %v", n, w.connected[n-1])
		}
		if w.extended < 2 { // once more where the renewal at once came first
			t.Errorf("%d routes extended, want those of both", w.extended)
		}
	})
}

func TestANewLeaseRevivesOlderConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := serve(t, w, "g1")
		first := s.hello(t, "alice")
		w.mu.Lock()
		w.absent = true
		w.mu.Unlock()
		second := s.hello(t, "alice")
		first.want(resyncFrame)
		second.silent()
	})
}

func TestDrainSpreadsAndRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := serve(t, w, "g1")
		const n = 100
		for i := range n {
			s.hello(t, fmt.Sprintf("user%d", i))
		}
		silent := s.dial(t) // has not said hello
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		began := time.Now()
		if err := s.gateway.Drain(ctx, 5*time.Second); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 4*time.Second || took > 6*time.Second {
			t.Errorf("drained in %v", took)
		}
		silent.wantClose(gateway.CloseDraining)
		until(t, "all ends are recorded", func() bool { return len(w.endings()) == n })
		if s.gateway.Ready() || s.gateway.Connections() != 0 {
			t.Errorf("ready %v with %d sockets", s.gateway.Ready(), s.gateway.Connections())
		}
	})
}
