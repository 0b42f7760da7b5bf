package webhook_test

import (
	"slices"
	"testing"
	"time"

	"mpim/domain"
	"mpim/handlers/webhook"
	"mpim/projections/webhooks"
)

func TestDeliversInOrderWhatWasAskedFor(t *testing.T) {
	bubble(t, func(w *world) {
		t := w.t
		w.hook("all", "*")
		w.hook("some", "member.*")
		w.append(3, domain.TypeMemberAdded)
		w.append(2, domain.TypeUserBlocked)
		stop := w.run(webhook.Config{})
		defer stop()
		after(t, 2*time.Second)
		w.append(1, domain.TypeMemberLeft)
		after(t, 2*time.Second)
		byHook := make(map[string][]int64)
		for _, r := range w.requests {
			byHook[r.URL] = append(byHook[r.URL], r.seqs...)
		}
		if got := byHook["https://example.org/all"]; !slices.Equal(got, upTo(6)) {
			t.Errorf("all got %v", got)
		}
		if got := byHook["https://example.org/some"]; !slices.Equal(got, []int64{1, 2, 3, 6}) {
			t.Errorf("some got %v", got)
		}
		for id, c := range w.at {
			if c.Seq != 6 {
				t.Errorf("%s stands at %d", id, c.Seq)
			}
		}
	})
}

// An event that comes alone is not kept back; what waits is sent together.
func TestBatches(t *testing.T) {
	bubble(t, func(w *world) {
		t := w.t
		w.hook("all", "*")
		w.append(250, domain.TypeMemberAdded)
		stop := w.run(webhook.Config{})
		defer stop()
		after(t, 2*time.Second)
		var sizes []int
		for _, r := range w.requests {
			sizes = append(sizes, len(r.seqs))
		}
		if !slices.Equal(sizes, []int{100, 100, 50}) || !slices.Equal(w.sent(), upTo(250)) {
			t.Errorf("sizes %v", sizes)
		}
		w.append(1, domain.TypeMemberAdded)
		began := time.Now()
		after(t, 2*time.Second)
		w.mu.Lock()
		defer w.mu.Unlock()
		if last := w.requests[len(w.requests)-1]; len(last.seqs) != 1 || last.at.Sub(began) > 200*time.Millisecond {
			t.Errorf("one event came after %s", last.at.Sub(began))
		}
	})
}

// A receiver that is out of reach gets the same request again, less and less often, and then all in order.
func TestRetries(t *testing.T) {
	bubble(t, func(w *world) {
		t := w.t
		w.hook("all", "*")
		w.append(3, domain.TypeMemberAdded)
		w.answer = func(received) error { return errDown }
		stop := w.run(webhook.Config{})
		after(t, time.Hour)
		w.mu.Lock()
		n := len(w.requests)
		for i, r := range w.requests {
			if r.ID != w.requests[0].ID || string(r.Body) != string(w.requests[0].Body) {
				t.Errorf("request %d is another: %s", i, r.ID)
			}
			if i == 0 {
				continue
			}
			want := min(5*time.Minute, time.Second<<(i-1))
			if gap := r.at.Sub(w.requests[i-1].at); gap < want/2 || gap > want+time.Millisecond {
				t.Errorf("wait %d is %s, want %s to %s", i, gap, want/2, want)
			}
		}
		w.mu.Unlock()
		if n < 18 || n > 40 {
			t.Errorf("%d requests in an hour", n)
		}
		// Another worker neither starts over nor asks at once.
		stop()
		failing := w.stands("all").Failing
		began := time.Now()
		stop = w.run(webhook.Config{})
		defer stop()
		after(t, 5*time.Minute)
		w.mu.Lock()
		if next := w.requests[n].at; next.Before(failing.NextAt) || w.at["all"].Failing.Since != failing.Since || w.at["all"].Failing.Attempts <= failing.Attempts {
			t.Errorf("it went on %s after it came, and is %+v after %+v", next.Sub(began), w.at["all"].Failing, failing)
		}
		w.answer = nil
		w.requests = nil
		w.mu.Unlock()
		w.append(2, domain.TypeMemberAdded)
		after(t, 5*time.Minute)
		if !slices.Equal(w.sent(), upTo(5)) {
			t.Errorf("sent %v", w.sent())
		}
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	bubble(t, func(w *world) {
		t := w.t
		w.hook("all", "*")
		w.append(1, domain.TypeMemberAdded)
		w.answer = func(received) error {
			if w.count() == 1 {
				return &webhook.RefusedError{Status: 503, RetryAfter: 30 * time.Minute}
			}
			return nil
		}
		stop := w.run(webhook.Config{})
		defer stop()
		after(t, 29*time.Minute)
		if n := w.count(); n != 1 {
			t.Errorf("%d requests before the receiver's time", n)
		}
		after(t, 2*time.Minute)
		if n := w.count(); n != 2 || w.stands("all").Seq != 1 {
			t.Errorf("%d requests after it", n)
		}
	})
}

// One event that the receiver can never take goes alone to the dead letters, and all others are taken, in order.
func TestPoisonEventGoesAlone(t *testing.T) {
	bubble(t, func(w *world) {
		t := w.t
		w.hook("all", "*")
		w.append(40, domain.TypeMemberAdded)
		var taken []int64
		w.answer = func(r received) error {
			if slices.Contains(r.seqs, 17) {
				return &webhook.RefusedError{Status: 422}
			}
			taken = append(taken, r.seqs...)
			return nil
		}
		stop := w.run(webhook.Config{})
		defer stop()
		after(t, 20*time.Minute)
		want := slices.DeleteFunc(upTo(40), func(seq int64) bool { return seq == 17 })
		if !slices.Equal(taken, want) {
			t.Errorf("taken %v", taken)
		}
		if len(w.letters) != 1 || w.letters[0].Seq != 17 || w.letters[0].ID() != "webhook:all@0:17" || w.letters[0].Failures < 3 ||
			w.letters[0].LastFailedAt.Sub(w.letters[0].FirstFailedAt) < 10*time.Minute {
			t.Errorf("dead letters %+v", w.letters)
		}
	})
}

// A receiver that is away for days loses one batch a day, and nothing that waits behind.
func TestGivesUp(t *testing.T) {
	bubble(t, func(w *world) {
		t := w.t
		w.hook("all", "*")
		w.append(500, domain.TypeMemberAdded)
		w.answer = func(received) error { return errDown }
		stop := w.run(webhook.Config{Look: time.Minute, Refresh: time.Minute})
		defer stop()
		after(t, 49*time.Hour)
		w.mu.Lock()
		if len(w.letters) != 200 || w.at["all"].Seq != 200 {
			t.Errorf("%d dead letters, checkpoint %d", len(w.letters), w.at["all"].Seq)
		}
		w.requests, w.answer = nil, nil
		w.mu.Unlock()
		after(t, 5*time.Minute)
		if got := w.sent(); !slices.Equal(got, upTo(500)[200:]) {
			t.Errorf("sent afterwards: %v", got)
		}
	})
}

func TestUnreadableEventIsSetAside(t *testing.T) {
	bubble(t, func(w *world) {
		t := w.t
		w.hook("all", "*")
		w.append(2, domain.TypeMemberAdded)
		w.append(1, "no.such.type")
		w.append(1, domain.TypeMemberAdded)
		stop := w.run(webhook.Config{})
		defer stop()
		after(t, 2*time.Second)
		if !slices.Equal(w.sent(), []int64{1, 2, 4}) || len(w.letters) != 1 || w.letters[0].Seq != 3 {
			t.Errorf("sent %v, dead letters %+v", w.sent(), w.letters)
		}
	})
}

// Rewinding reaches who waits for a receiver, and gives the same events other ids.
func TestRewindAndRemove(t *testing.T) {
	bubble(t, func(w *world) {
		t := w.t
		w.hook("all", "*")
		w.append(10, domain.TypeMemberAdded)
		stop := w.run(webhook.Config{})
		defer stop()
		after(t, 2*time.Second)
		w.mu.Lock()
		first := w.requests[0].ID
		w.answer = func(received) error { return errDown }
		w.mu.Unlock()
		w.append(1, domain.TypeMemberAdded)
		after(t, time.Hour)
		w.mu.Lock()
		w.answer, w.requests = nil, nil
		w.hooks[0].Rewinds++
		w.at["all"] = webhooks.Checkpoint{Webhook: "all", Token: 1, Rewinds: 1}
		w.mu.Unlock()
		after(t, 5*time.Second)
		if !slices.Equal(w.sent(), upTo(11)) || w.requests[0].ID == first {
			t.Errorf("sent %v under %s after %s", w.sent(), w.requests[0].ID, first)
		}
		w.mu.Lock()
		w.hooks, w.requests = nil, nil
		delete(w.at, "all")
		w.mu.Unlock()
		after(t, 2*time.Second)
		w.append(1, domain.TypeMemberAdded)
		after(t, 2*time.Second)
		if n := w.count(); n > 0 {
			t.Errorf("%d requests after it was removed", n)
		}
	})
}

// Passing over what nobody asked for costs few writes.
func TestPassingOverIsCheap(t *testing.T) {
	bubble(t, func(w *world) {
		t := w.t
		w.hook("some", "message.*")
		stop := w.run(webhook.Config{})
		defer stop()
		for range 100 {
			w.append(10, domain.TypeMemberAdded)
			after(t, 100*time.Millisecond)
		}
		after(t, 2*time.Second)
		if w.at["some"].Seq != 1000 || w.saves > 15 {
			t.Errorf("checkpoint %d after %d writes", w.at["some"].Seq, w.saves)
		}
	})
}

// A request that is under way when the lease is handed over ends, and is not sent again.
func TestHandOverFinishesTheRequest(t *testing.T) {
	bubble(t, func(w *world) {
		t := w.t
		w.hook("all", "*")
		w.append(1, domain.TypeMemberAdded)
		began := make(chan struct{}, 1)
		w.answer = func(received) error {
			began <- struct{}{}
			after := time.NewTimer(time.Second)
			<-after.C
			return nil
		}
		stop := w.run(webhook.Config{})
		<-began
		stop()
		if w.at["all"].Seq != 1 {
			t.Errorf("the checkpoint is %d after it was taken", w.at["all"].Seq)
		}
	})
}
