package main_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"mpim/handlers/client"
)

// heard is what a client was told, in order.
type heard struct {
	mu    sync.Mutex
	texts []string
	seqs  []int64
	lost  int
}

func (h *heard) event(e client.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seqs = append(h.seqs, e.Seq)
	if text := e.Text(); text != "" {
		h.texts = append(h.texts, text)
	}
}

func (h *heard) connected(up bool, _ error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !up {
		h.lost++
	}
}

// TestGoClientSurvivesGateways sends with the Go client while the gateways under it are killed and drained in turn: everything
// sent is heard by the other side once and in order.
func TestGoClientSurvivesGateways(t *testing.T) {
	d := deploy(t, layout{gateways: 2, workers: 1})
	ctx := t.Context()
	urls := []string{d.gateways[0].url, d.gateways[1].url}
	begin := func(name string, h *heard) *client.Session {
		t.Helper()
		if _, err := register(ctx, urls[0], name); err != nil {
			t.Fatal(err)
		}
		session, err := client.Login(ctx, client.Config{
			URLs: urls, Handler: client.Handler{Event: h.event, Connected: h.connected},
		}, name, name+"-password")
		if err != nil {
			t.Fatal(err)
		}
		running, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- session.Run(running) }()
		t.Cleanup(func() {
			stop()
			if err := <-ended; err != nil {
				t.Errorf("%s ended with %v", name, err)
			}
		})
		return session
	}
	var atAnn, atBen heard
	ann, ben := begin("ann", &atAnn), begin("ben", &atBen)

	const messages = 300
	var count atomic.Int64
	faults := map[int64]func() error{
		50: d.gateways[0].Kill, 100: d.gateways[0].Restart, 150: d.gateways[1].Stop, 200: d.gateways[1].Restart, 250: d.gateways[0].Kill,
	}
	send := func(from, to *client.Session, first int) error {
		pace := time.NewTicker(20 * time.Millisecond)
		defer pace.Stop()
		for n := first; n < messages; n += 2 {
			<-pace.C
			if _, err := from.Send(ctx, client.Message{To: client.ToUser(to.Self().ID), Body: client.Text(strconv.Itoa(n))}); err != nil {
				return err
			}
			if fault := faults[count.Add(1)]; fault != nil {
				if err := fault(); err != nil {
					return err
				}
			}
		}
		return nil
	}
	var both errgroup.Group
	both.Go(func() error { return send(ann, ben, 0) })
	both.Go(func() error { return send(ben, ann, 1) })
	if err := both.Wait(); err != nil {
		t.Fatal(err)
	}
	for name, h := range map[string]*heard{"ann": &atAnn, "ben": &atBen} {
		waitFor(t, 30*time.Second, name+" to hear everything", func() error {
			h.mu.Lock()
			defer h.mu.Unlock()
			if len(h.texts) < messages {
				return fmt.Errorf("heard %d of %d", len(h.texts), messages)
			}
			return nil
		})
		h.check(t, name, messages)
	}
}

// check wants each number once, those of each sender in their order, and sequences without a hole.
func (h *heard) check(t *testing.T, name string, messages int) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.texts) != messages {
		t.Errorf("%s heard %d messages of %d", name, len(h.texts), messages)
	}
	for i, seq := range h.seqs {
		if seq != int64(i+1) {
			t.Fatalf("%s: event %d has sequence %d", name, i+1, seq)
		}
	}
	last := [2]int{-2, -1}
	for _, text := range h.texts {
		n, err := strconv.Atoi(text)
		if err != nil || n != last[n%2]+2 {
			t.Fatalf("%s heard %q after %d", name, text, last[n%2])
		}
		last[n%2] = n
	}
	if h.lost == 0 {
		t.Errorf("%s never lost a connection, so nothing was tested", name)
	}
}
