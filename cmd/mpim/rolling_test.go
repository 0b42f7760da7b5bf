package main_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

const (
	// rollingClients send through gateways that are replaced one after the other.
	rollingClients = 4
	rollingRounds  = 2
	// rollingPause lies between two messages of one client.
	rollingPause = 2 * time.Millisecond
)

// roller sends one message after the other, whatever becomes of the gateways: it reconnects where it is told to, and sends
// what was not answered again under the same client id.
type roller struct {
	login

	d     *deployment
	to    string
	first int

	mu    sync.Mutex
	codes map[int]int
	sent  []int64
	// position is that of the last message that was acknowledged.
	position string
}

// connect opens a socket at the first gateway that takes it.
func (r *roller) connect(ctx context.Context, resume string) (*socket, error) {
	for n := 0; ; n++ {
		g := r.d.gateways[(r.first+n)%len(r.d.gateways)]
		s, err := connect(ctx, g.url, r.Token, resume, nil)
		if err == nil || ctx.Err() != nil {
			return s, err
		}
		if n > len(r.d.gateways) {
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}
}

// run sends until stop is closed, and then says goodbye.
func (r *roller) run(ctx context.Context, stop <-chan struct{}) error {
	s, err := r.connect(ctx, "")
	if err != nil {
		return err
	}
	pause := time.NewTicker(rollingPause)
	defer pause.Stop()
	for n := 0; ; {
		select {
		case <-stop:
			s.close()
			return nil
		case <-pause.C:
		}
		var answer sent
		err := s.call(ctx, "message.send", map[string]any{
			"to": map[string]any{"conversation": r.to}, "client_id": fmt.Sprint(r.User.Username, n), "body": text(strconv.Itoa(n)),
		}, &answer)
		var refused *refusal
		switch {
		case err == nil:
			r.mu.Lock()
			r.sent, r.position = append(r.sent, answer.Seq), answer.Position
			r.mu.Unlock()
			n++
		case errors.As(err, &refused):
			if refused.Code != "unavailable" {
				return err
			}
		default:
			code := s.code()
			r.mu.Lock()
			r.codes[code]++
			r.first++
			r.mu.Unlock()
			if s, err = r.connect(ctx, s.hello.Connection); err != nil {
				return err
			}
		}
	}
}

// TestRollingRestart drains and replaces every gateway, one after the other and more than once, while clients send.
// Nothing that was acknowledged is missing or doubled, and nobody is cut off without being told to go elsewhere.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	d := deploy(t, layout{gateways: 2, workers: 1, env: []string{"MPIM_DRAIN=4s"}})
	ctx := t.Context()
	rollers := make([]*roller, rollingClients)
	var members []string
	for n := range rollers {
		l, err := register(ctx, d.gateways[0].url, fmt.Sprint("roller", n))
		if err != nil {
			t.Fatal(err)
		}
		rollers[n] = &roller{login: l, d: d, first: n, codes: map[int]int{}}
		members = append(members, l.User.ID)
	}
	var made struct {
		Conversation struct {
			ID string `json:"conversation"`
		} `json:"conversation"`
	}
	if _, err := rest(ctx, "POST", d.gateways[0].url+"/v1/groups", rollers[0].Token, map[string]any{"title": "Rolling", "members": members[1:]}, &made); err != nil {
		t.Fatal(err)
	}
	stop, failed := make(chan struct{}), make(chan error, len(rollers))
	for _, r := range rollers {
		r.to = made.Conversation.ID
		go func() { failed <- r.run(ctx, stop) }()
	}
	for range rollingRounds {
		for _, g := range d.gateways {
			waitMore(t, rollers)
			if err := g.Stop(); err != nil {
				t.Fatal(err)
			}
			if err := g.Restart(); err != nil {
				t.Fatal(err)
			}
			d.waitReady(t)
		}
	}
	waitMore(t, rollers)
	close(stop)
	for range rollers {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	checkRolling(t, d, rollers)
}

// waitMore waits until each client has sent some more.
func waitMore(t *testing.T, rollers []*roller) {
	t.Helper()
	for _, r := range rollers {
		r.mu.Lock()
		before := len(r.sent)
		r.mu.Unlock()
		waitFor(t, 30*time.Second, "clients go on", func() error {
			r.mu.Lock()
			defer r.mu.Unlock()
			if len(r.sent) < before+20 {
				return fmt.Errorf("%s sent %d since", r.User.Username, len(r.sent)-before)
			}
			return nil
		})
	}
}

// checkRolling compares what was acknowledged with what the log has and with the closes that clients saw.
func checkRolling(t *testing.T, d *deployment, rollers []*roller) {
	t.Helper()
	acknowledged, owners := 0, make(map[int64]string)
	for _, r := range rollers {
		for i, seq := range r.sent {
			if i > 0 && seq <= r.sent[i-1] {
				t.Errorf("%s: %d was answered after %d", r.User.Username, seq, r.sent[i-1])
			}
			if other, taken := owners[seq]; taken {
				t.Errorf("%d was answered to %s and to %s", seq, other, r.User.Username)
			}
			owners[seq] = r.User.ID
			acknowledged++
		}
		for code, times := range r.codes {
			if code != 4000 {
				t.Errorf("%s was cut off with %d, %d times", r.User.Username, code, times)
			}
		}
		if len(r.codes) == 0 {
			t.Errorf("%s was never sent elsewhere", r.User.Username)
		}
	}
	newest := slices.MaxFunc(rollers, func(a, b *roller) int { return cmp.Compare(a.sent[len(a.sent)-1], b.sent[len(b.sent)-1]) })
	var head int64
	texts := make(map[string]int64)
	for after := int64(0); ; {
		var page struct{ Messages []message }
		url := fmt.Sprintf("%s/v1/conversations/%s/messages?limit=200&after=%d&after_position=%s", d.gateways[0].url, newest.to, after, newest.position)
		if _, err := rest(t.Context(), "GET", url, newest.Token, nil, &page); err != nil {
			t.Fatal(err)
		}
		if len(page.Messages) == 0 {
			break
		}
		for _, m := range page.Messages {
			if owner, known := owners[m.Seq]; known && owner != m.Sender {
				t.Errorf("%d is of %s, and was answered to %s", m.Seq, m.Sender, owner)
			}
			if other, twice := texts[m.ClientID]; twice {
				t.Errorf("%s stands at %d and at %d", m.ClientID, other, m.Seq)
			}
			texts[m.ClientID] = m.Seq
			delete(owners, m.Seq)
			after, head = m.Seq, m.Seq
		}
	}
	if len(owners) > 0 {
		t.Errorf("%d acknowledged messages are missing: %v", len(owners), owners)
	}
	if len(texts) < acknowledged {
		t.Errorf("%d messages of %d acknowledged", len(texts), acknowledged)
	}
	t.Logf("%d messages acknowledged, the last at %d", acknowledged, head)
}
