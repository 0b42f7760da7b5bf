package batch_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/schema"
	"mpim/streams/batch"
	"mpim/streams/lease"
)

// moveCursor puts the cursor of a group elsewhere, as a deposed worker's read does.
func moveCursor(t *testing.T, client *redis.Client, partition int, id string) {
	t.Helper()
	// In one call, so that no read finds the group gone. The embedded server cannot move a cursor.
	pipe := client.TxPipeline()
	pipe.XGroupDestroy(context.Background(), logKey(partition), "history")
	pipe.XGroupCreate(context.Background(), logKey(partition), "history", id)
	if _, err := pipe.Exec(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestCursorMovedByOthersLosesNothing(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		w := newWriter(t, s)
		w.append(0, 5)
		sub := newSubscriber(t, s, newLedger(), nil)
		sub.consume(sub.subscribe("history"), nil)
		sub.hold("history", 0, 1)
		sub.ledger.await(t, 0, 5)
		for i := range int64(10) {
			// Whatever comes between the two lines below is skipped by the group.
			w.append(0, 3)
			moveCursor(t, w.client, 0, []string{"$", "0"}[i%2])
			w.append(0, 2)
			sub.ledger.await(t, 0, 5+5*(i+1))
		}
	})
}

func TestGroupThatIsLostIsMadeAgain(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		w := newWriter(t, s)
		w.append(0, 5)
		sub := newSubscriber(t, s, newLedger(), nil)
		sub.consume(sub.subscribe("history"), nil)
		sub.hold("history", 0, 1)
		sub.ledger.await(t, 0, 5)
		if err := w.client.XGroupDestroy(t.Context(), logKey(0), "history").Err(); err != nil {
			t.Fatal(err)
		}
		w.append(0, 5)
		sub.ledger.await(t, 0, 10)
	})
}

func TestGroupsForgetReadersThatAreGone(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		w := newWriter(t, s)
		l := newLedger()
		for i := range int64(5) {
			w.append(0, 1)
			sub := newSubscriber(t, s, l, func(c *batch.Config) { c.Worker = "worker" + strconv.FormatInt(i, 10) })
			sub.consume(sub.subscribe("history"), nil)
			end := sub.hold("history", 0, i+1)
			l.await(t, 0, i+1)
			end(lease.ErrHandedOver)
		}
		readers, err := w.client.XInfoConsumers(t.Context(), logKey(0), "history").Result()
		if err != nil || len(readers) != 1 || readers[0].Name != "worker4" {
			t.Errorf("the group has the readers %v, %v", readers, err)
		}
	})
}

func TestConnectionsCutLoseNothing(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		w := newWriter(t, s)
		sub := newSubscriber(t, s, newLedger(), nil)
		sub.consume(sub.subscribe("history"), nil)
		sub.hold("history", 0, 1)
		for i := range int64(20) {
			w.append(0, 5)
			sub.cut()
			w.append(0, 5)
			sub.ledger.await(t, 0, 10*(i+1))
		}
	})
}

func TestBrokenEventsAreDeliveredAndForeignEntriesPassedOver(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		w := newWriter(t, s)
		d := draft(t, 0, "hello")
		w.xadd("a", complete(d, 1), d.Payload)
		w.xadd("b", complete(d, 2), []byte(`{"at":`))
		w.xadd("c", []byte("no map"), d.Payload)
		foreign := strings.Replace(string(complete(d, 3)), "group:g", "group:x", 1)
		w.xadd("d", []byte(foreign), d.Payload)
		w.xadd("e", complete(d, 4), d.Payload)

		registry := prometheus.NewRegistry()
		sub := newSubscriber(t, s, newLedger(), func(c *batch.Config) { c.Registerer = registry })
		messages := sub.subscribe("history")
		sub.hold("history", 0, 1)
		msg, b := next(t, messages)
		wantBatch(t, b, 1, 4)
		for i, broken := range []bool{false, true, true, false} {
			if r := b.Records[i]; (r.Broken != nil) != broken || r.Seq != int64(i)+1 || r.Type != domain.TypeMessageSent {
				t.Errorf("record %d: %v at %s of type %s", i, r.Broken, r.Position, r.Type)
			}
		}
		msg.Ack()
		wantMetric(t, registry, "mpim_batch_unreadable_total", 1)
		wantMetric(t, registry, "mpim_batch_broken_total", 2)
	})
}

func wantMetric(t *testing.T, registry *prometheus.Registry, name string, want float64) {
	t.Helper()
	if got := metric(t, registry, name); got != want {
		t.Errorf("%s is %v, want %v", name, got, want)
	}
}

// metric returns the sum of a metric over its labels.
func metric(t *testing.T, registry *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			for _, m := range family.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func TestGapStopsThePartitionUntilItIsFilled(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		w := newWriter(t, s)
		w.append(0, 3)
		w.last[0] = 6 // 4 to 6 are missing
		w.append(0, 2)
		w.append(1, 3)
		registry := prometheus.NewRegistry()
		sub := newSubscriber(t, s, newLedger(), func(c *batch.Config) { c.Registerer = registry })
		sub.consume(sub.subscribe("history"), nil)
		sub.hold("history", 0, 1)
		sub.hold("history", 1, 1)
		sub.ledger.await(t, 0, 3)
		sub.ledger.await(t, 1, 3)
		eventually(t, "the partition is stopped", func() bool { return metric(t, registry, "mpim_batch_stopped") == 1 })
		w.append(1, 3)
		sub.ledger.await(t, 1, 6) // the others go on

		sub.ledger.mu.Lock()
		if got := sub.ledger.at[0].Seq; got != 3 {
			t.Errorf("the consumer passed over a gap and stands at %d", got)
		}
		// As `log repair` would: the consumer is put behind the gap.
		sub.ledger.applied[0] = append(sub.ledger.applied[0], 4, 5, 6)
		sub.ledger.at[0] = schema.Checkpoint{Seq: 6, StreamID: sub.ledger.at[0].StreamID}
		sub.ledger.mu.Unlock()
		sub.ledger.await(t, 0, 8)
		eventually(t, "the partition goes on", func() bool { return metric(t, registry, "mpim_batch_stopped") == 0 })
	})
}

func TestForkStopsThePartition(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		w := newWriter(t, s)
		w.append(0, 5)
		registry := prometheus.NewRegistry()
		var saw, lost atomic.Int64
		sub := newSubscriber(t, s, newLedger(), func(c *batch.Config) {
			c.Registerer = registry
			c.Saw = func(_ int, seq int64) { saw.Store(max(saw.Load(), seq)) }
			c.Lost = func(_ context.Context, _ int, seen int64, _ error) { lost.Store(seen) }
		})
		sub.consume(sub.subscribe("history"), nil)
		sub.hold("history", 0, 1)
		sub.ledger.await(t, 0, 5)
		if saw.Load() != 5 || lost.Load() != 0 {
			t.Errorf("saw %d, lost %d", saw.Load(), lost.Load())
		}
		w.last[0] = 3 // the server lost 4 and 5, and others took their numbers
		w.append(0, 1)
		eventually(t, "the partition is stopped", func() bool { return metric(t, registry, "mpim_batch_stopped") == 1 })
		eventually(t, "the loss is told", func() bool { return lost.Load() == 5 })
		w.append(0, 5) // now there is a 6, but not the one that follows the 5 that was applied
		sub.ledger.mu.Lock()
		defer sub.ledger.mu.Unlock()
		if got := sub.ledger.at[0].Seq; got != 5 {
			t.Errorf("the consumer went on over a fork and stands at %d", got)
		}
	})
}

// eventually polls what cannot be waited for.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-deadline.C:
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

// Two workers that both believe to own a partition, handlers that fail before, in the middle of and after applying, cursors
// that are moved, groups that are destroyed, connections that are cut: each event is applied once, in order.
func TestAnyFaultAppliesEachEventOnce(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		w := newWriter(t, s)
		l := newLedger()
		var subs []*subscriber
		for range 2 {
			dice := make(chan int) // one source of randomness for handlers that run at the same time
			sub := newSubscriber(t, s, l, func(c *batch.Config) {
				c.Consumers[0].Size = 7
				c.Consumers[0].Linger = time.Millisecond
			})
			stop := make(chan struct{})
			t.Cleanup(func() { close(stop) })
			source := rand.New(rand.NewPCG(random.Uint64(), 0))
			go func() {
				for {
					select {
					case dice <- source.IntN(6):
					case <-stop:
						return
					}
				}
			}()
			sub.consume(sub.subscribe("history"), func(b *schema.Batch) error {
				switch <-dice {
				case 0:
					return errors.New("before")
				case 1:
					return errorOr(l.apply(b, len(b.Records)/2), "in the middle")
				case 2:
					return errorOr(l.apply(b, -1), "after")
				default:
					return l.apply(b, -1)
				}
			})
			subs = append(subs, sub)
		}
		end := func(error) {}
		for i := range int64(40) {
			w.append(0, 1+random.IntN(20))
			switch random.IntN(6) {
			case 0:
				moveCursor(t, w.client, 0, "$")
			case 1:
				moveCursor(t, w.client, 0, "0")
			case 2:
				w.client.XGroupDestroy(t.Context(), logKey(0), "history")
			case 3:
				subs[random.IntN(2)].cut()
			case 4, 5:
				if random.IntN(2) == 0 {
					end(context.Canceled)
				}
				end = subs[i%2].hold("history", 0, i+1) // the one before goes on unless it was ended
			}
		}
		subs[0].hold("history", 0, 100)
		w.append(0, 1)
		l.await(t, 0, w.last[0])
	})
}

func errorOr(err error, text string) error {
	if err != nil {
		return err
	}
	return errors.New(text)
}
