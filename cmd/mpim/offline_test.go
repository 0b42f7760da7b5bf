package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"mpim/handlers/webhook"
)

// A message that finds no connection of its recipient is told to the configured service, once unless it fails; others are not.
func TestOfflineHook(t *testing.T) {
	t.Parallel()
	r := startReceiver(t)
	r.secret = []byte(strings.Repeat("secret ", 5))
	d := deploy(t, layout{gateways: 1, workers: 2, env: []string{
		"MPIM_OFFLINE_HOOK_URL=http://" + r.address, "MPIM_OFFLINE_HOOK_SECRET=" + webhook.FormatSecret(r.secret),
	}})
	type told struct {
		Recipients []string `json:"recipients"`
		Event      struct {
			Event string `json:"event"`
			Data  struct{ Body body }
		} `json:"event"`
	}
	var mu sync.Mutex
	var all []told
	refuse := ""
	r.answers(func(w http.ResponseWriter, request *http.Request, content []byte) bool {
		var one struct{ Data told }
		if err := json.Unmarshal(content, &one); err != nil {
			t.Errorf("%s: %v", content, err)
		}
		mu.Lock()
		defer mu.Unlock()
		if request.Header.Get("Idempotency-Key") != one.Data.Event.Event {
			t.Errorf("key %q for event %s", request.Header.Get("Idempotency-Key"), one.Data.Event.Event)
		}
		if one.Data.Event.Data.Body.Text == refuse {
			w.WriteHeader(http.StatusBadRequest)
			return true
		}
		all = append(all, one.Data)
		return true
	})
	tells := func(text string, users ...string) error {
		mu.Lock()
		defer mu.Unlock()
		for _, one := range all {
			if one.Event.Data.Body.Text == text {
				if fmt.Sprint(one.Recipients) != fmt.Sprint(users) {
					return fmt.Errorf("%q was told for %v, want %v", text, one.Recipients, users)
				}
				return nil
			}
		}
		return fmt.Errorf("%q was not told: %v", text, all)
	}
	base := d.gateways[0].url
	people := make(map[string]login)
	for _, name := range []string{"alice", "bob", "carol"} {
		l, err := register(t.Context(), base, name)
		if err != nil {
			t.Fatal(err)
		}
		people[name] = l
	}
	send := func(to, words string) {
		t.Helper()
		if _, err := rest(t.Context(), "POST", base+"/v1/messages", people["alice"].Token, map[string]any{
			"to": map[string]any{"user": people[to].User.ID}, "client_id": words, "body": text(words),
		}, nil); err != nil {
			t.Fatal(err)
		}
	}
	// The groups stand once the first message is told of.
	n := 0
	waitFor(t, 30*time.Second, "the hook works", func() error {
		n++
		send("carol", fmt.Sprintf("try %d", n))
		return tells(fmt.Sprintf("try %d", n), people["carol"].User.ID)
	})
	socket, err := connect(t.Context(), base, people["bob"].Token, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	send("bob", "while he is here")
	send("carol", "a")
	waitFor(t, 20*time.Second, "carol is told of", func() error { return tells("a", people["carol"].User.ID) })
	socket.close()
	waitFor(t, 20*time.Second, "bob is told of once he has gone", func() error {
		n++
		send("bob", fmt.Sprintf("after %d", n))
		return tells(fmt.Sprintf("after %d", n), people["bob"].User.ID)
	})
	if err := tells("while he is here"); err == nil || !strings.Contains(err.Error(), "was not told") {
		t.Errorf("bob was connected: %v", err)
	}
	if err := d.workers[0].Kill(); err != nil {
		t.Fatal(err)
	}
	send("carol", "b")
	waitFor(t, 20*time.Second, "the other worker goes on", func() error { return tells("b", people["carol"].User.ID) })
	mu.Lock()
	refuse = "c"
	mu.Unlock()
	send("carol", "c")
	letter := ""
	waitFor(t, 20*time.Second, "it is given up", func() error {
		output, err := d.run(t.Context(), "deadletter", "list", "--handler", "offline", "--json")
		if err != nil {
			return err
		}
		var letters []struct {
			DeadLetter string `json:"dead_letter"`
		}
		if err := json.Unmarshal([]byte(output), &letters); err != nil {
			return err
		}
		if len(letters) != 1 {
			return fmt.Errorf("there are %s", output)
		}
		letter = letters[0].DeadLetter
		return nil
	})
	mu.Lock()
	refuse = ""
	mu.Unlock()
	if output, err := d.run(t.Context(), "deadletter", "retry", letter); err != nil {
		t.Errorf("retry: %s, %v", output, err)
	}
	if err := tells("c", people["carol"].User.ID); err != nil {
		t.Error(err)
	}
}
