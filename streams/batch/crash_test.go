package batch_test

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"mpim/schema"
	"mpim/streams/batch"
	"mpim/streams/lease"
	"mpim/streams/streamstest"
)

func TestServerKilledAndStartedAgain(t *testing.T) {
	t.Parallel()
	s := tcp(t, streamstest.With("appendfsync", "always"))
	w := newWriter(t, s)
	sub := newSubscriber(t, s, newLedger(), nil)
	sub.consume(sub.subscribe("history"), nil)
	for p := range partitions {
		sub.hold("history", p, 1)
	}
	for round := range int64(3) {
		for p := range partitions {
			w.append(p, 200)
		}
		if err := s.server.Kill(); err != nil { // while they are read
			t.Fatal(err)
		}
		if err := s.server.Restart(); err != nil {
			t.Fatal(err)
		}
		w.client, _ = s.client(t) // the connections of the other are broken
		for p := range partitions {
			w.append(p, 10)
			sub.ledger.await(t, p, 210*(round+1))
		}
	}
}

// worker is all of a worker process that has to do with reading: leases, subscriber, router.
type worker struct {
	*subscriber
	stop func()
}

// startWorker starts one that applies to the ledger.
func startWorker(t *testing.T, s store, id string, l *ledger) *worker {
	t.Helper()
	sub := newSubscriber(t, s, l, func(c *batch.Config) { c.Worker = id })
	manager, err := lease.New(lease.Config{
		Client: sub.client, Partitions: partitions, Worker: id,
		TTL: time.Second, Renew: 300 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	manager.Handle("history", sub.Hold)
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: time.Second}, watermill.NopLogger{})
	if err != nil {
		t.Fatal(err)
	}
	router.AddConsumerHandler("history", "history", sub, func(msg *message.Message) error {
		return l.apply(schema.BatchFrom(msg.Context()), -1)
	})
	leasing, stopLeasing := context.WithCancel(context.Background())
	routing, stopRouting := context.WithCancel(context.Background())
	var leases, routes sync.WaitGroup
	leases.Go(func() {
		if err := manager.Run(leasing); err != nil {
			t.Error(err)
		}
	})
	routes.Go(func() {
		if err := router.Run(routing); err != nil {
			t.Error(err)
		}
	})
	stop := sync.OnceFunc(func() {
		stopLeasing()
		leases.Wait()
		stopRouting()
		routes.Wait()
	})
	t.Cleanup(stop)
	return &worker{sub, stop}
}

func TestWorkersTakeOverFromEachOther(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		w := newWriter(t, s)
		l := newLedger()
		written := make(chan struct{})
		stopWriting := make(chan struct{})
		go func() {
			defer close(written)
			for {
				for p := range partitions {
					w.append(p, 1)
				}
				select {
				case <-time.After(2 * time.Millisecond):
				case <-stopWriting:
					return
				}
			}
		}()
		var running []*worker
		for i := range 8 {
			running = append(running, startWorker(t, s, "worker"+strconv.Itoa(i), l))
			if len(running) > 2 {
				running[0].stop()
				running = running[1:]
			}
			running[len(running)-1].cut()
			<-time.After(50 * time.Millisecond)
		}
		close(stopWriting)
		<-written
		for p := range partitions {
			l.await(t, p, w.last[p])
		}
	})
}
