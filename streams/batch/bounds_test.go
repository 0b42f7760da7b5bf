package batch_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"mpim/streams/batch"
)

func TestBatchesAreBounded(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		w := newWriter(t, s)
		w.append(0, 25)
		d := draft(t, 0, "hello")
		one := len(complete(d, 1)) + len(d.Payload)
		sub := newSubscriber(t, s, newLedger(), func(c *batch.Config) {
			c.Consumers = append(c.Consumers,
				batch.Consumer{Name: "bytes", Checkpoints: newLedger(), Bytes: 4*one + one/2},
				batch.Consumer{Name: "tiny", Checkpoints: newLedger(), Bytes: 1})
			c.Consumers[0].Size = 10
		})
		for _, test := range []struct {
			consumer string
			sizes    []int
		}{{"history", []int{10, 10, 5}}, {"bytes", []int{4, 4, 4}}, {"tiny", []int{1, 1, 1}}} {
			messages := sub.subscribe(test.consumer)
			end := sub.hold(test.consumer, 0, 1)
			for i, size := range test.sizes {
				msg, b := next(t, messages)
				if len(b.Records) != size {
					t.Errorf("batch %d of %s has %d events, want %d", i, test.consumer, len(b.Records), size)
				}
				msg.Ack()
			}
			go func() {
				for msg := range messages {
					msg.Ack()
				}
			}()
			end(nil)
		}
	})
}

// While one batch is worked on the next is read, and no more: what was read and not applied is all that a taking over
// reads again, and all that memory has to hold.
func TestReadsOneBatchAhead(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		w := newWriter(t, s)
		w.append(0, 50)
		entries, err := w.client.XRange(t.Context(), logKey(0), "-", "+").Result()
		if err != nil {
			t.Fatal(err)
		}
		sub := newSubscriber(t, s, newLedger(), func(c *batch.Config) { c.Consumers[0].Size = 10 })
		messages := sub.subscribe("history")
		sub.hold("history", 0, 1)
		msg, b := next(t, messages)
		wantBatch(t, b, 1, 10)
		eventually(t, "the next batch is read", func() bool { return cursor(t, w.client) == entries[19].ID })
		select {
		case <-messages:
			t.Error("a second batch before the first was acknowledged")
		case <-time.After(100 * time.Millisecond):
		}
		if got := cursor(t, w.client); got != entries[19].ID {
			t.Errorf("read up to %s, want %s", got, entries[19].ID)
		}
		msg.Ack()
		msg, b = next(t, messages)
		wantBatch(t, b, 11, 20)
		msg.Ack()
		msg, _ = next(t, messages)
		msg.Ack()
	})
}

func cursor(t *testing.T, client *redis.Client) string {
	t.Helper()
	groups, err := client.XInfoGroups(t.Context(), logKey(0)).Result()
	if err != nil || len(groups) != 1 {
		t.Fatalf("groups: %v, %v", groups, err)
	}
	return groups[0].LastDeliveredID
}

func TestLingerMakesLargerBatches(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		w := newWriter(t, s)
		w.append(0, 1)
		sub := newSubscriber(t, s, newLedger(), func(c *batch.Config) { c.Consumers[0].Linger = 200 * time.Millisecond })
		messages := sub.subscribe("history")
		sub.hold("history", 0, 1)
		msg, b := next(t, messages)
		wantBatch(t, b, 1, 1)
		msg.Ack()
		for range 5 {
			w.append(0, 1)
		}
		msg, b = next(t, messages)
		wantBatch(t, b, 2, 6)
		msg.Ack()
	})
}

func TestLingerDelaysNoFirstEvent(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		w := newWriter(t, s)
		sub := newSubscriber(t, s, newLedger(), func(c *batch.Config) { c.Consumers[0].Linger = time.Hour })
		messages := sub.subscribe("history")
		sub.hold("history", 0, 1)
		w.append(0, 1)
		msg, b := next(t, messages)
		wantBatch(t, b, 1, 1)
		msg.Ack()
	})
}

func TestConsumersShareRecords(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		newWriter(t, s).append(0, 10)
		registry := prometheus.NewRegistry()
		sub := newSubscriber(t, s, newLedger(), func(c *batch.Config) {
			c.Registerer = registry
			c.Consumers = append(c.Consumers, batch.Consumer{Name: "inbox", Checkpoints: newLedger()})
		})
		first, second := sub.subscribe("history"), sub.subscribe("inbox")
		sub.hold("history", 0, 1)
		msg, a := next(t, first)
		defer msg.Ack()
		sub.hold("inbox", 0, 1)
		msg, b := next(t, second)
		defer msg.Ack()
		for i := range a.Records {
			if a.Records[i] != b.Records[i] {
				t.Fatalf("record %d was decoded twice", i)
			}
		}
		wantMetric(t, registry, "mpim_batch_decoded_total", 10)
		wantMetric(t, registry, "mpim_batch_shared_total", 10)
	})
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		w := newWriter(t, s)
		w.append(0, 300)
		registry := prometheus.NewRegistry()
		sub := newSubscriber(t, s, newLedger(), func(c *batch.Config) {
			c.Registerer = registry
			c.CacheBytes = partitions * 10_000 // some ten records
			c.Consumers = append(c.Consumers, batch.Consumer{Name: "inbox", Checkpoints: newLedger()})
		})
		for _, consumer := range []string{"history", "inbox"} {
			messages := sub.subscribe(consumer)
			end := sub.hold(consumer, 0, 1)
			for at := int64(0); at < 300; {
				msg, b := next(t, messages)
				at = b.To
				msg.Ack()
			}
			end(nil)
		}
		if shared := metric(t, registry, "mpim_batch_shared_total"); shared == 0 || shared > 30 {
			t.Errorf("%v records were shared, want some ten", shared)
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	t.Cleanup(func() { _ = client.Close() })
	good := batch.Consumer{Name: "history", Checkpoints: newLedger()}
	for name, config := range map[string]batch.Config{
		"no client":      {Partitions: 1, Worker: "a"},
		"a ring":         {Client: redis.NewRing(&redis.RingOptions{}), Partitions: 1, Worker: "a"},
		"no partitions":  {Client: client, Worker: "a"},
		"no worker":      {Client: client, Partitions: 1},
		"MaxRetry":       {Client: client, Partitions: 1, Worker: "a", Retry: time.Second, MaxRetry: time.Millisecond},
		"no name":        {Client: client, Partitions: 1, Worker: "a", Consumers: []batch.Consumer{{Checkpoints: newLedger()}}},
		"no checkpoints": {Client: client, Partitions: 1, Worker: "a", Consumers: []batch.Consumer{{Name: "a"}}},
		"negative size":  {Client: client, Partitions: 1, Worker: "a", Consumers: []batch.Consumer{{Name: "a", Checkpoints: newLedger(), Size: -1}}},
		"the same twice": {Client: client, Partitions: 1, Worker: "a", Consumers: []batch.Consumer{good, good}},
	} {
		if _, err := batch.New(config); err == nil {
			t.Errorf("%s: no error", name)
		}
		if ring, ok := config.Client.(*redis.Ring); ok {
			_ = ring.Close()
		}
	}
}
