package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mpim/handlers/webhook"
)

// receiver is a service that is told of events. It takes them, or does what answer says.
type receiver struct {
	t       *testing.T
	address string
	secret  []byte

	mu     sync.Mutex
	server *http.Server
	// taken are the events that were answered with 200, by partition, in the order of their coming.
	taken  map[int][]delivered
	tests  int
	answer func(w http.ResponseWriter, r *http.Request, body []byte) bool
}

// delivered is an event as the receiver got it.
type delivered struct {
	Event        string          `json:"event"`
	Type         string          `json:"type"`
	Partition    int             `json:"partition"`
	PartitionSeq int64           `json:"partition_seq"`
	Data         json.RawMessage `json:"data"`
}

func startReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{t: t, address: "127.0.0.1:0", taken: make(map[int][]delivered)}
	r.start()
	t.Cleanup(r.die)
	return r
}

// start listens, at the same address in every life.
func (r *receiver) start() {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", r.address)
	if err != nil {
		r.t.Fatal(err)
	}
	r.address = listener.Addr().String()
	server := &http.Server{Handler: r, ReadHeaderTimeout: time.Second}
	r.mu.Lock()
	r.server = server
	r.mu.Unlock()
	go func() { _ = server.Serve(listener) }() // it ends with the server
}

// die breaks every connection and refuses new ones.
func (r *receiver) die() {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.server.Close()
}

func (r *receiver) answers(answer func(w http.ResponseWriter, r *http.Request, body []byte) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return // it was killed in the middle
	}
	if err := webhook.Verify(r.secret, request.Header, body, time.Now()); err != nil {
		r.t.Errorf("a request that is not signed well: %v", err)
	}
	var content struct {
		Type string
		Data struct{ Events []delivered }
	}
	if err := json.Unmarshal(body, &content); err != nil {
		r.t.Errorf("%s: %v", body, err)
	}
	r.mu.Lock()
	answer := r.answer
	r.mu.Unlock()
	if answer != nil && answer(w, request, body) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if content.Type == "test" {
		r.tests++
	}
	for _, e := range content.Data.Events {
		r.taken[e.Partition] = append(r.taken[e.Partition], e)
	}
}

// first returns the events of a partition without those that came again, and an error where one came before an older one.
func (r *receiver) first(partition int) (events []delivered, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var last int64
	seen := make(map[int64]bool)
	for _, e := range r.taken[partition] {
		if seen[e.PartitionSeq] {
			continue
		}
		seen[e.PartitionSeq] = true
		if e.PartitionSeq < last {
			err = fmt.Errorf("partition %d: event %d came for the first time after %d", partition, e.PartitionSeq, last)
		}
		last = e.PartitionSeq
		events = append(events, e)
	}
	return events, err
}

// messages returns the texts of all messages that came.
func (r *receiver) messages() map[string]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	texts := make(map[string]bool)
	for _, events := range r.taken {
		for _, e := range events {
			var data struct{ Body struct{ Text string } }
			if json.Unmarshal(e.Data, &data) == nil {
				texts[data.Body.Text] = true
			}
		}
	}
	return texts
}

// addWebhook runs `mpim webhook add` and returns the webhook's id.
func (d *deployment) addWebhook(t *testing.T, r *receiver, args ...string) string {
	t.Helper()
	output, err := d.run(t.Context(), append([]string{"webhook", "add", "http://" + r.address + "/hook", "--json", "--yes"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	var added struct{ Webhook, Secret string }
	if err := json.Unmarshal([]byte(output), &added); err != nil {
		t.Fatal(err)
	}
	if r.secret, err = webhook.ParseSecret(added.Secret); err != nil {
		t.Fatal(err)
	}
	return added.Webhook
}

// listedWebhook is what `mpim webhook list` shows of the only webhook.
type listedWebhook struct {
	Webhook      string `json:"webhook"`
	State        string `json:"state"`
	Reason       string `json:"reason"`
	BehindEvents int64  `json:"behind_events"`
	Delivered    int64  `json:"delivered"`
	DeadLetters  int    `json:"dead_letters"`
}

func (d *deployment) listWebhook(ctx context.Context) (listedWebhook, error) {
	output, err := d.run(ctx, "webhook", "list", "--json")
	if err != nil {
		return listedWebhook{}, err
	}
	var all []listedWebhook
	if err := json.Unmarshal([]byte(output), &all); err != nil {
		return listedWebhook{}, err
	}
	if len(all) != 1 {
		return listedWebhook{}, fmt.Errorf("%d webhooks", len(all))
	}
	return all[0], nil
}

// talk sends messages from alice to many others, so that many partitions have some.
func (d *deployment) talk(t *testing.T, from, n int) {
	t.Helper()
	base := d.gateways[0].url
	alice, err := register(t.Context(), base, "alice")
	if err != nil {
		t.Fatal(err)
	}
	var others []string
	for k := range 4 {
		other, err := register(t.Context(), base, fmt.Sprintf("other%d", k))
		if err != nil {
			t.Fatal(err)
		}
		others = append(others, other.User.ID)
	}
	for k := from; k < from+n; k++ {
		name := fmt.Sprintf("message %d", k)
		waitFor(t, 20*time.Second, "a message is sent", func() error {
			_, err := rest(t.Context(), "POST", base+"/v1/messages", alice.Token, map[string]any{
				"to": map[string]any{"user": others[k%len(others)]}, "client_id": name, "body": text(name),
			}, nil)
			return err
		})
	}
}

// A receiver that fails, hangs and dies, and workers that are killed: each event comes at least once, in order.
func TestWebhookIsToldOfEverythingInOrder(t *testing.T) {
	t.Parallel()
	d := deploy(t, layout{gateways: 1, workers: 2, env: []string{"MPIM_WEBHOOK_ALLOW_PRIVATE=true"}})
	r := startReceiver(t)
	began := time.Now()
	id := d.addWebhook(t, r, "--from", began.Add(-time.Hour).Format(time.RFC3339))
	if _, err := d.run(t.Context(), "webhook", "test", id); err != nil || r.tests != 1 {
		t.Errorf("test: %v, %d requests", err, r.tests)
	}

	d.talk(t, 0, 40)
	r.answers(func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		w.WriteHeader(http.StatusInternalServerError)
		return true
	})
	d.talk(t, 40, 20)
	waitFor(t, 20*time.Second, "the list says that it fails", func() error {
		w, err := d.listWebhook(t.Context())
		if err == nil && (w.State != "failing" || !strings.Contains(w.Reason, "500")) {
			err = fmt.Errorf("%+v", w)
		}
		return err
	})
	hang, hung := make(chan struct{}), make(chan struct{}, 64)
	r.answers(func(_ http.ResponseWriter, request *http.Request, _ []byte) bool {
		hung <- struct{}{}
		select {
		case <-hang:
		case <-request.Context().Done():
		}
		return true
	})
	<-hung
	if err := d.workers[0].Kill(); err != nil { // in the middle of a request, maybe
		t.Fatal(err)
	}
	d.talk(t, 60, 20)
	<-hung
	r.die()
	close(hang)
	if err := errors.Join(d.workers[1].Kill(), d.workers[0].Restart()); err != nil {
		t.Fatal(err)
	}
	d.talk(t, 80, 20)
	r.answers(nil)
	r.start()
	if err := d.workers[1].Restart(); err != nil {
		t.Fatal(err)
	}
	d.talk(t, 100, 20)
	waitFor(t, 60*time.Second, "all events have come", func() error {
		w, err := d.listWebhook(t.Context())
		if err == nil && (w.BehindEvents > 0 || w.State != "ok" || w.DeadLetters > 0) {
			err = fmt.Errorf("%+v", w)
		}
		return err
	})
	d.compareWithReplay(t, r)
	for n := range 120 {
		if name := fmt.Sprintf("message %d", n); !r.messages()[name] {
			t.Errorf("%s never came", name)
		}
	}
	d.rewindAll(t, r, id, began)
	if _, err := d.run(t.Context(), "webhook", "remove", id, "--yes"); err != nil {
		t.Error(err)
	}
	if output, err := d.run(t.Context(), "webhook", "list", "--json"); err != nil || strings.TrimSpace(output) != "[]" {
		t.Errorf("after it was removed: %s, %v", output, err)
	}
}

// compareWithReplay compares what came with what the log has.
func (d *deployment) compareWithReplay(t *testing.T, r *receiver) {
	t.Helper()
	output, err := d.run(t.Context(), "replay", "--json")
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[int][]delivered)
	decoder := json.NewDecoder(strings.NewReader(output))
	for decoder.More() {
		var e delivered
		if err := decoder.Decode(&e); err != nil {
			t.Fatal(err)
		}
		want[e.Partition] = append(want[e.Partition], e)
	}
	for partition, events := range want {
		got, err := r.first(partition)
		if err != nil {
			t.Error(err)
		}
		equal := func(a, b delivered) bool {
			return a.Event == b.Event && a.PartitionSeq == b.PartitionSeq && a.Type == b.Type && string(a.Data) == string(b.Data)
		}
		if !slices.EqualFunc(got, events, equal) {
			t.Errorf("partition %d: %d events came, the log has %d", partition, len(got), len(events))
		}
		for _, e := range got {
			if strings.Contains(string(e.Data), "_hash") {
				t.Errorf("a secret came: %s", e.Data)
			}
		}
	}
}

// rewindAll rewinds to a time before everything, and sees all come again.
func (d *deployment) rewindAll(t *testing.T, r *receiver, id string, began time.Time) {
	t.Helper()
	r.mu.Lock()
	before := len(r.taken)
	r.taken = make(map[int][]delivered)
	r.mu.Unlock()
	if _, err := d.run(t.Context(), "webhook", "rewind", id, "--from", began.Add(-time.Hour).Format(time.RFC3339)); err == nil {
		t.Error("it was rewound without --yes")
	}
	if _, err := d.run(t.Context(), "webhook", "rewind", id, "--yes", "--from", began.Add(-time.Hour).Format(time.RFC3339)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, 30*time.Second, "all events have come again", func() error {
		r.mu.Lock()
		partitions := len(r.taken)
		r.mu.Unlock()
		w, err := d.listWebhook(t.Context())
		if err == nil && (w.BehindEvents > 0 || partitions < before) {
			err = fmt.Errorf("%+v", w)
		}
		return err
	})
	d.compareWithReplay(t, r)
}

// An event that a receiver never takes goes to the dead letters; it is listed, sent again, and discarded.
func TestWebhookDeadLetters(t *testing.T) {
	t.Parallel()
	d := deploy(t, layout{gateways: 1, workers: 1, env: []string{"MPIM_WEBHOOK_ALLOW_PRIVATE=true", "MPIM_WEBHOOK_GIVE_UP=3s"}})
	r := startReceiver(t)
	id := d.addWebhook(t, r, "--types", "message.*")
	poison := func(w http.ResponseWriter, _ *http.Request, body []byte) bool {
		if !strings.Contains(string(body), "message 3") {
			return false
		}
		w.WriteHeader(http.StatusUnprocessableEntity)
		return true
	}
	r.answers(poison)
	d.talk(t, 0, 8)
	var letters []struct {
		DeadLetter string `json:"dead_letter"`
		Type       string `json:"type"`
		Reason     string `json:"reason"`
		Failures   int    `json:"failures"`
	}
	list := func() error {
		output, err := d.run(t.Context(), "deadletter", "list", "--json", "--handler", "webhook:"+id)
		if err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(output), &letters); err != nil {
			return err
		}
		if len(letters) != 1 {
			return fmt.Errorf("%d dead letters", len(letters))
		}
		return nil
	}
	waitFor(t, 30*time.Second, "the event is given up", list)
	if letters[0].Type != "message.sent" || !strings.Contains(letters[0].Reason, "422") || letters[0].Failures < 2 {
		t.Errorf("dead letter %+v", letters[0])
	}
	waitFor(t, 30*time.Second, "the others have come", func() error {
		if got := r.messages(); len(got) != 7 || got["message 3"] {
			return fmt.Errorf("%v", got)
		}
		return nil
	})
	if output, err := d.run(t.Context(), "deadletter", "show", letters[0].DeadLetter); err != nil || !strings.Contains(output, `"message 3"`) {
		t.Errorf("show: %s, %v", output, err)
	}
	failures := letters[0].Failures
	if output, err := d.run(t.Context(), "deadletter", "retry", letters[0].DeadLetter); err == nil || !strings.Contains(output, "failed: the receiver answered 422") {
		t.Errorf("retry: %s, %v", output, err)
	}
	if err := list(); err != nil || letters[0].Failures != failures+1 {
		t.Errorf("after a retry that failed: %+v, %v", letters, err)
	}
	if output, err := d.run(t.Context(), "doctor"); err == nil || !strings.Contains(output, "1 events were given up") {
		t.Errorf("doctor: %s, %v", output, err)
	}
	r.answers(nil)
	if output, err := d.run(t.Context(), "deadletter", "retry", letters[0].DeadLetter, "--yes"); err != nil || !strings.Contains(output, " done") {
		t.Errorf("retry: %s, %v", output, err)
	}
	if !r.messages()["message 3"] {
		t.Error("it did not come")
	}
	r.answers(poison)
	d.talk(t, 30, 1)
	waitFor(t, 30*time.Second, "another event is given up", list)
	if _, err := d.run(t.Context(), "deadletter", "discard", letters[0].DeadLetter, "--reason", "of no use", "--yes"); err != nil {
		t.Error(err)
	}
	if output, err := d.run(t.Context(), "deadletter", "list", "--all", "--json"); err != nil || !strings.Contains(output, `"discard_reason":"of no use"`) {
		t.Errorf("discarded: %s, %v", output, err)
	}
	if output, err := d.run(t.Context(), "webhook", "add", "http://10.0.0.1/", "--types", "mesage.*"); err == nil {
		t.Errorf("a pattern that matches nothing was taken: %s", output)
	}
}
