package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"mpim/handlers/client"
)

// synced answers sync with what stands above the sequence asked for, up to head.
func synced(head int64) func(json.RawMessage) (any, *refused) {
	return func(params json.RawMessage) (any, *refused) {
		var in struct{ Since map[string]int64 }
		_ = json.Unmarshal(params, &in)
		var events []client.Event
		for seq := in.Since["c1"] + 1; seq <= head; seq++ {
			events = append(events, event("c1", seq))
		}
		var list []any
		if len(events) > 0 {
			list = append(list, map[string]any{"conversation": "c1", "head_seq": head, "events": events, "complete": true})
		}
		return map[string]any{"conversations": list, "epoch": "e1", "user_seq": 1}, nil
	}
}

func TestEventsComeOnceAndInOrder(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	r := run(t, f, nil)
	conn := f.connection(t)
	for _, seq := range []int64{1, 2, 2, 1, 3} {
		f.push(t, conn, "event", event("c1", seq))
	}
	r.waitEvents(t, 1, 2, 3)
	f.on("sync", synced(6))
	f.push(t, conn, "event", event("c1", 6)) // 4 and 5 are missing
	f.push(t, conn, "event", event("c1", 5))
	f.push(t, conn, "event", event("c1", 7))
	r.waitEvents(t, 1, 2, 3, 4, 5, 6, 7)
	asked := f.params("sync")
	if last := asked[len(asked)-1]; !strings.Contains(last, `"only":true`) || !strings.Contains(last, `"since":{"c1":3}`) {
		t.Errorf("the gap was asked for with %s", last)
	}
	eventually(t, func() bool {
		all := f.params("receipt.delivered")
		return len(all) > 0 && strings.Contains(all[len(all)-1], `"delivered_seq":7`)
	}, func() any { return f.params("receipt.delivered") })
}

func TestResyncCatchesUpEverything(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	r := run(t, f, nil)
	conn := f.connection(t)
	f.on("sync", synced(3))
	f.push(t, conn, "resync", map[string]any{})
	r.waitEvents(t, 1, 2, 3)
}

func TestReconnectResumesAndCatchesUp(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	r := run(t, f, nil)
	conn := f.connection(t)
	f.push(t, conn, "event", event("c1", 1))
	r.waitEvents(t, 1)
	f.on("sync", synced(4))
	_ = conn.Close(4000, "draining")
	r.waitEvents(t, 1, 2, 3, 4)
	hellos := f.params("hello")
	if len(hellos) != 2 || !strings.Contains(hellos[1], `"resume":{"connection":"k1"}`) {
		t.Errorf("said hello with %q", hellos)
	}
}

func TestPagesAndUnfinishedConversations(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("sync", func(params json.RawMessage) (any, *refused) {
		var in struct {
			Since map[string]int64
			Only  bool
			After string
		}
		_ = json.Unmarshal(params, &in)
		conversation := func(id string, complete bool, seqs ...int64) any {
			var events []client.Event
			for _, seq := range seqs {
				events = append(events, event(id, seq))
			}
			return map[string]any{"conversation": id, "head_seq": 40, "events": events, "complete": complete}
		}
		answer := map[string]any{"epoch": "e1"}
		switch {
		case in.Only && in.Since["c1"] == 20:
			answer["conversations"] = []any{conversation("c1", true, 30)} // 31 to 40 are not for this user
		case in.After == "p2":
			answer["conversations"] = []any{conversation("c2", true, 40)}
		default:
			answer["conversations"], answer["next"] = []any{conversation("c1", false, 10, 20)}, "p2"
		}
		return answer, nil
	})
	r := run(t, f, nil)
	r.waitEvents(t, 10, 20, 40, 30)
	eventually(t, func() bool { return r.Save().Standing["c1"] == 40 }, func() any { return r.Save().Standing })
	f.push(t, f.connection(t), "event", event("c1", 41))
	r.waitEvents(t, 10, 20, 40, 30, 41)
}

func TestResetAndOtherEpoch(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("sync", func(json.RawMessage) (any, *refused) {
		return map[string]any{"epoch": "e2", "position": "p", "conversations": []any{
			map[string]any{"conversation": "c1", "head_seq": 5, "events": []any{}, "complete": true, "reset": true},
		}}, nil
	})
	saved := client.Saved{
		Token: "t", ExpiresAt: time.Now().Add(time.Hour), Epoch: "e1", Standing: map[string]int64{"c1": 9, "c2": 9},
	}
	r := run(t, f, &saved)
	conn := f.connection(t)
	f.push(t, conn, "event", event("c1", 6))
	r.waitEvents(t, 6)
	f.push(t, conn, "event", event("c2", 1))
	r.waitEvents(t, 6, 1)
	want := client.Reset{Conversation: "c1", HeadSeq: 5, Position: "p"}
	if r.mu.Lock(); len(r.resets) == 0 || r.resets[0] != want {
		t.Errorf("reset with %v", r.resets)
	}
	r.mu.Unlock()
}

func TestSendIsRepeatedUnderItsClientIDAndKeepsItsPlace(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	var attempts atomic.Int64
	f.on("message.send", func(params json.RawMessage) (any, *refused) {
		var m client.Message
		_ = json.Unmarshal(params, &m)
		switch attempts.Add(1) {
		case 1:
			return nil, &refused{Code: "unavailable", RetryAfter: 20}
		case 2: // the answer is lost
			f.mu.Lock()
			conn := f.conn
			f.mu.Unlock()
			_ = conn.CloseNow()
		default:
		}
		return map[string]any{"conversation": "c1", "seq": attempts.Load()}, nil
	})
	r := run(t, f, nil)
	conn := f.connection(t)
	f.mu.Lock()
	f.conn = conn
	f.mu.Unlock()
	const sends = 5
	results := make(chan error, sends)
	for n := range sends {
		before := len(f.params("message.send"))
		go func() {
			_, err := r.Send(t.Context(), client.Message{To: client.ToConversation("c1"), Body: client.Text(strconv.Itoa(n))})
			results <- err
		}()
		if n == 0 {
			eventually(t, func() bool { return len(f.params("message.send")) > before }, func() any { return f.methods() })
		}
	}
	for range sends {
		if err := <-results; err != nil {
			t.Fatal(err)
		}
	}
	all := f.params("message.send")
	if len(all) != sends+2 || all[0] != all[1] || all[0] != all[2] || !strings.Contains(all[0], `"client_id":"`) {
		t.Errorf("sent %q", all)
	}
}

func TestCallReturnsWhatTheServerRefuses(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.on("user.get", func(json.RawMessage) (any, *refused) { return nil, &refused{Code: "not_found"} })
	r := run(t, f, nil)
	_, err := r.User(t.Context(), "@nobody")
	if refusal, ok := errors.AsType[*client.Error](err); !ok || refusal.Code != "not_found" {
		t.Errorf("the error is %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f.on("user.get", func(json.RawMessage) (any, *refused) { return nil, &refused{Code: "unavailable"} })
	if _, err := r.User(ctx, "@bob"); !errors.Is(err, context.Canceled) {
		t.Errorf("a call whose time is up returns %v", err)
	}
}

func TestCloseCodes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code websocket.StatusCode
		ends error
	}{
		{1001, nil},
		{1009, nil},
		{4000, nil},
		{4001, nil},
		{4002, nil},
		{4003, nil},
		{4100, client.ErrLoggedOut},
		{4101, client.ErrLoggedOut},
		{4102, client.ErrSuspended},
		{4103, client.ErrRefused},
	} {
		t.Run(strconv.Itoa(int(c.code)), func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			r := run(t, f, nil)
			_ = f.connection(t).Close(c.code, "")
			if c.ends == nil {
				_ = f.connection(t) // it came back
				return
			}
			select {
			case err := <-r.ended:
				if !errors.Is(err, c.ends) {
					t.Errorf("ended with %v", err)
				}
				r.ended <- err
			case <-time.After(10 * time.Second):
				t.Fatal("it goes on")
			}
			if err := r.Call(t.Context(), "ping", nil, nil); !errors.Is(err, c.ends) {
				t.Errorf("a call afterwards returns %v", err)
			}
			if n := len(f.params("hello")); n != 1 {
				t.Errorf("said hello %d times", n)
			}
		})
	}
}

func TestSaveGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	r := run(t, f, nil)
	f.push(t, f.connection(t), "event", event("c1", 1))
	r.waitEvents(t, 1)
	var saved client.Saved
	eventually(t, func() bool { saved = r.Save(); return saved.Standing["c1"] == 1 }, func() any { return saved.Standing })
	text, err := json.Marshal(saved)
	if err != nil {
		t.Fatal(err)
	}
	var kept client.Saved
	if err := json.Unmarshal(text, &kept); err != nil {
		t.Fatal(err)
	}
	f.on("sync", synced(2))
	again := run(t, f, &kept)
	again.waitEvents(t, 2)
	if asked := f.params("sync"); !slices.ContainsFunc(asked, func(p string) bool { return strings.Contains(p, `"since":{"c1":1}`) }) {
		t.Errorf("synchronised with %q", asked)
	}
}
