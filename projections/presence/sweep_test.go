package presence_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mpim/domain"
	"mpim/projections/presence"
	"mpim/schema"
	"mpim/streams/streamstest"
)

// office is the ledger and the leases of gateways.
type office struct {
	w *world

	mu sync.Mutex
	// did is what was asked of it.
	did []string
	// silent are gateways whose lease has run out; those in back are heard again before they are expired.
	silent []string
	back   map[string]bool
	broken bool
	noted  chan struct{} // holds something once anything was done
}

func (o *office) note(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.did = append(o.did, fmt.Sprintf(format, args...))
	select {
	case o.noted <- struct{}{}:
	default:
	}
}

func (o *office) take() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	slices.Sort(o.did)
	did := strings.Join(o.did, ", ")
	o.did = nil
	return did
}

func (o *office) Expire(_ context.Context, c presence.Connection) error {
	if o.broken {
		return errors.New("broken")
	}
	o.note("%s ended", c.ID)
	return nil
}

func (o *office) Silent(context.Context, int) ([]presence.Silent, error) {
	var all []presence.Silent
	for _, g := range o.silent {
		all = append(all, presence.Silent{Gateway: g, Renewed: 1})
	}
	return all, nil
}

// leases is the office as presence.Gateways.
type leases struct{ *office }

func (o leases) Expire(_ context.Context, partition int, s presence.Silent) (bool, error) {
	o.note("%s expired", s.Gateway)
	return partition == 3 && s.Renewed == 1 && !o.back[s.Gateway], nil
}

func (o leases) Withdraw(_ context.Context, _ int, gateway string) error {
	o.note("%s withdrawn", gateway)
	return nil
}

func newSweeper(w *world) (*presence.Sweeper, *office) {
	o := &office{w: w, back: map[string]bool{}, noted: make(chan struct{}, 1)}
	return presence.NewSweeper(presence.SweeperConfig{
		Client: w.client, Ledger: o, Gateways: leases{o}, Publisher: w.watcher, Interval: time.Millisecond,
	}), o
}

func TestSweepEndsWhatSilentGatewaysHad(t *testing.T) {
	t.Parallel()
	onBoth(t, func(w *world) {
		s, o := newSweeper(w)
		for i := range 4 {
			w.happens(time.Second, connected(domain.ConnectionID(fmt.Sprintf("c%d", i)), []string{"g1", "g2"}[i%2]))
		}
		sweep := func(want string) {
			w.Helper()
			if err := s.Sweep(w.Context(), 3); err != nil {
				w.Error(err)
			}
			if got := o.take(); got != want {
				w.Errorf("did %q, want %q", got, want)
			}
		}
		sweep("")
		o.silent = []string{"g1", "g3"}
		sweep("c0 ended, c2 ended, g1 expired, g3 expired")
		// What cannot be recorded is tried again before the lease goes.
		o.broken = true
		if err := s.Sweep(w.Context(), 3); err == nil {
			w.Error("no error")
		}
		if got := o.take(); got != "g3 expired" {
			w.Errorf("did %q", got)
		}
		// Heard again: its next renewal has to say everything anew.
		o.broken, o.back["g1"] = false, true
		sweep("c0 ended, c2 ended, g1 expired, g1 withdrawn, g3 expired")
	})
}

func TestSweepEndsOrphans(t *testing.T) {
	t.Parallel()
	onBoth(t, func(w *world) {
		s, o := newSweeper(w)
		w.happens(time.Hour, connected("c1", "g1"))
		w.happens(time.Hour, connected("c2", "g2"))
		w.happens(time.Second, connected("c3", "g3"))
		if err := w.client.HSet(w.Context(), schema.PartitionKey(3, "gateways"), "g1", "1").Err(); err != nil {
			w.Fatal(err)
		}
		if err := s.SweepOrphans(w.Context(), 3); err != nil {
			w.Fatal(err)
		}
		if got := o.take(); got != "c2 ended" {
			w.Errorf("did %q", got)
		}
	})
}

func TestSweepLeavesWhoCameBack(t *testing.T) {
	t.Parallel()
	onBoth(t, func(w *world) {
		s, _ := newSweeper(w)
		sweep := func(status, heard string) {
			w.Helper()
			if err := s.Sweep(w.Context(), 3); err != nil {
				w.Error(err)
			}
			w.wants(status, heard)
		}
		w.happens(70*time.Second, connected("c1", "g1"))
		w.happens(presence.Grace-500*time.Millisecond, disconnected("c1", "lost"))
		sweep("online", "online")
		w.happens(10*time.Second, connected("c2", "g1")) // came back
		w.happens(9*time.Second, disconnected("c2", "lost"))
		sweep("online", "")
		w.happens(8*time.Second, connected("c3", "g1"))
		w.happens(7*time.Second, disconnected("c3", "closed"))
		sweep("offline", "offline")
		sweep("offline", "")
	})
}

func TestSweepTellsOfTheEndOfGrace(t *testing.T) {
	t.Parallel()
	onBoth(t, func(w *world) {
		s, _ := newSweeper(w)
		w.happens(70*time.Second, connected("c1", "g1"))
		w.happens(presence.Grace-300*time.Millisecond, disconnected("c1", "lost"))
		w.wants("online", "online")
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		for heard := ""; heard != "offline"; heard = w.watcher.take() {
			<-ticker.C
			if err := s.Sweep(w.Context(), 3); err != nil {
				w.Fatal(err)
			}
		}
		if err := s.Sweep(w.Context(), 3); err != nil {
			w.Fatal(err)
		}
		w.wants("offline", "")
	})
}

func TestSweeperRunsUntilItIsStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, streamstest.Miniredis(t))
	s, o := newSweeper(w)
	o.silent = []string{"g1"}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx, 3) }()
	<-o.noted
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
