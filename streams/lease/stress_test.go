package lease_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"mpim/streams/lease"
	"mpim/streams/streamstest"
)

// Workers come, go, freeze and thaw in any order; the record finds any overlap and any token that does not rise.
func TestWorkersComeAndGoUnderStress(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		c := newCluster(t, s)
		var running []*worker
		for i := range 25 {
			w := c.start(fmt.Sprintf("w%d", i), nil, "history", "inbox")
			running = append(running, w)
			if len(running) > 3 {
				victim := rand.IntN(len(running))
				gone := running[victim]
				running = append(running[:victim], running[victim+1:]...)
				if i%4 == 0 {
					gone.gate.Shut()
					<-time.After(20 * time.Millisecond)
					gone.gate.Open()
				}
				gone.stop()
			}
			<-time.After(time.Duration(rand.IntN(30)) * time.Millisecond)
		}
		c.await("all is held", func() bool {
			return len(c.holding) == 2*partitions
		})
	})
}

func TestStopBeforeStart(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(s store) {
		t := s.t
		client, _ := s.client(t)
		m, err := lease.New(lease.Config{Client: client, Partitions: 1, Worker: "a"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := m.Run(ctx); err != nil {
			t.Error(err)
		}
		if err := m.Run(ctx); err == nil {
			t.Error("it ran twice")
		}
	})
}

func TestServerRestarted(t *testing.T) {
	t.Parallel()
	server := streamstest.StartRedis(t, streamstest.With("appendfsync", "always"))
	c := newCluster(t, tcp(t, server))
	c.start("a", nil, "history")
	c.start("b", nil, "history")
	c.awaitShares("history", map[string]int{"a": 8, "b": 8})
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	c.awaitShares("history", map[string]int{"a": 0, "b": 0}) // nobody believes what it cannot renew
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	c.awaitShares("history", map[string]int{"a": 8, "b": 8})
}
