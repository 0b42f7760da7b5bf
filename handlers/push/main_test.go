package push_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"mpim/domain"
	"mpim/handlers/push"
	"mpim/schema"
	"mpim/streams/streamstest"
)

func TestMain(m *testing.M) { os.Exit(streamstest.Main(m)) }

func start(t fatal, config push.Config) (o *push.Owner, stop func()) {
	config.Partitions, config.Worker = partitions, "w"
	o, err := push.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()
	return o, func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
}

// fatal is what tests and properties have in common.
type fatal interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// eventually waits for what another goroutine does.
func eventually(t *testing.T, done func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it never happened")
		}
	}
}

func (m *memory) set(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

// peek returns the envelopes published to a gateway, and leaves them.
func (m *memory) peek(t fatal, gateway string) []*schema.Envelope {
	m.mu.Lock()
	kept := m.published
	m.mu.Unlock()
	envelopes := m.sent(t)[gateway]
	m.mu.Lock()
	m.published = append(kept, m.published...)
	m.mu.Unlock()
	return envelopes
}

func expectClosed(t *testing.T, m *memory, gateway string, want map[uint32]uint16) {
	t.Helper()
	got := make(map[uint32]uint16)
	for number, items := range received(m.sent(t)[gateway]) {
		for _, item := range items {
			got[number] = item.Close
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("closed %v, want %v", got, want)
	}
}

// inPartition returns a user of a partition.
func inPartition(partition, n int) domain.UserID {
	for i := 0; ; i++ {
		u := user(n*1000 + i)
		if p, _ := u.Partition(); p == partition {
			return u
		}
	}
}
