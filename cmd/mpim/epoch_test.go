package main_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"mpim/handlers/client"
	"mpim/projections/database"
	"mpim/schema"
	"mpim/streams"
)

// raiseEpoch does to Redis and SQL what a repair does that finds nothing lost.
func raiseEpoch(t *testing.T, d *deployment) {
	t.Helper()
	ctx := t.Context()
	db, err := database.Open(ctx, databaseOf(d))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	inSQL := func(state string, epoch int64) {
		t.Helper()
		err := db.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
			_, err := tx.NewUpdate().Table("log_identity").Set("state = ?", state).Set("epoch = ?", epoch).Where("singleton = 1").Exec(ctx)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	redis := d.redis.Client()
	identity, err := streams.ReadIdentity(ctx, redis)
	if err != nil {
		t.Fatal(err)
	}
	run, err := streams.RedisServer{}.RunID(ctx, redis)
	if err != nil {
		t.Fatal(err)
	}
	epoch := identity.Epoch + 1
	inSQL("repairing", epoch)
	var failed error
	each := func(do func(key string) error) {
		for partition := range identity.Partitions {
			failed = errors.Join(failed, do(schema.PartitionKey(partition, "meta")))
		}
	}
	each(func(key string) error {
		return redis.HSet(ctx, key, "repairing", "1", "complete", "0", "epoch", epoch).Err()
	})
	each(func(key string) error {
		head, err := redis.HGet(ctx, key, "seq").Result()
		return errors.Join(err, redis.HDel(ctx, key, "repairing", "forked").Err(), redis.HSet(ctx, key, "run", run, "opened", head, "complete", "1").Err())
	})
	if failed != nil {
		t.Fatal(failed)
	}
	// Whoever looks in between finds that the two do not agree yet.
	pause(ctx, time.Second)
	inSQL("complete", epoch)
}

// kept is what a program keeps that follows with the Go client: what it was told since it was reset last.
type kept struct {
	mu     sync.Mutex
	texts  []string
	seqs   []int64
	resets []client.Reset
}

func (k *kept) event(e client.Event) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seqs = append(k.seqs, e.Seq)
	if text := e.Text(); text != "" {
		k.texts = append(k.texts, text)
	}
}

func (k *kept) reset(r client.Reset) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.resets = append(k.resets, r)
}

// TestNewEpoch raises the epoch of the log under running processes, as a repair does: they go on by themselves, and clients drop
// what they have.
func TestNewEpoch(t *testing.T) {
	t.Parallel()
	// A worker would take up a repair that nobody is at.
	d := deploy(t, layout{gateways: 1, workers: 2, env: []string{"MPIM_LOG_AUTO_REPAIR=false"}})
	ctx := t.Context()
	base := d.gateways[0].url
	ann, err := register(ctx, base, "ann")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := register(ctx, base, "ben"); err != nil {
		t.Fatal(err)
	}
	var atBen kept
	ben, err := client.Login(ctx, client.Config{URLs: []string{base}, Handler: client.Handler{Event: atBen.event, Reset: atBen.reset}}, "ben", "ben-password")
	if err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- ben.Run(running) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("ben ended with %v", err)
		}
	})
	var pushed pushes
	socket, err := connect(ctx, base, ann.Token, "", pushed.add)
	if err != nil {
		t.Fatal(err)
	}
	message := func(n int) map[string]any {
		return map[string]any{"to": map[string]any{"user": ben.Self().ID}, "client_id": strconv.Itoa(n), "body": text(strconv.Itoa(n))}
	}
	var last sent
	send := func(n int) {
		t.Helper()
		waitFor(t, 40*time.Second, "message "+strconv.Itoa(n), func() error {
			_, err := rest(ctx, "POST", base+"/v1/messages", ann.Token, message(n), &last)
			return err
		})
	}
	const before, during, after = 20, 40, 60
	for n := range before {
		send(n)
	}
	first := last
	waitFor(t, 10*time.Second, "ben to hear", func() error { return atBen.heard(before) })

	var raising sync.WaitGroup
	raising.Go(func() { raiseEpoch(t, d) })
	for n := before; n < during; n++ {
		send(n)
	}
	raising.Wait()
	start := time.Now()

	// The socket was closed with the word to come back, and what comes back sees another epoch.
	select {
	case <-socket.closed:
	case <-time.After(20 * time.Second):
		t.Fatal("the socket is open, though the log goes on under another epoch")
	}
	if code := socket.code(); code != 4000 {
		t.Errorf("it was closed with %d", code)
	}
	old := socket.hello.Epoch
	waitFor(t, 40*time.Second, "ann to connect", func() error {
		socket, err = connect(ctx, base, ann.Token, "", pushed.add)
		return err
	})
	t.Logf("connected again %s after the repair", time.Since(start).Round(time.Millisecond))
	if socket.hello.Epoch == old || !strings.HasSuffix(socket.hello.Epoch, "-2") {
		t.Errorf("the epoch is %s, it was %s", socket.hello.Epoch, old)
	}
	send(during)
	var page struct {
		Epoch         string
		Conversations []struct {
			Conversation string
			HeadSeq      int64 `json:"head_seq"`
			Events       []event
			Reset        bool
			Complete     bool
		}
	}
	waitFor(t, 20*time.Second, "sync", func() error {
		return socket.call(ctx, "sync", map[string]any{"epoch": old, "since": map[string]any{first.Conversation: first.Seq}}, &page)
	})
	if page.Epoch != socket.hello.Epoch || len(page.Conversations) != 1 || !page.Conversations[0].Reset || len(page.Conversations[0].Events) > 0 ||
		page.Conversations[0].HeadSeq != last.Seq {
		t.Errorf("sync with the old epoch gives %+v, want a reset at %d", page, last.Seq)
	}

	// What was sent before is known.
	var again sent
	if _, err := rest(ctx, "POST", base+"/v1/messages", ann.Token, message(before-1), &again); err != nil || !again.Duplicate || again.Event != first.Event {
		t.Errorf("sent again it is %+v, %v", again, err)
	}
	waitFor(t, 20*time.Second, "ben to be reset", func() error {
		atBen.mu.Lock()
		defer atBen.mu.Unlock()
		if len(atBen.resets) == 0 {
			return errors.New("he was not")
		}
		return nil
	})
	for n := during + 1; n < after; n++ {
		send(n)
	}
	d.waitReady(t)
	d.wantEachOnce(t, ann, last.Conversation, after)
	atBen.check(t, last.Seq)
	for _, p := range append(slices.Clone(d.gateways), d.workers...) {
		if n := strings.Count(p.Output(), "ready "); n != 1 {
			t.Errorf("a process said %d times that it is ready", n)
		}
		if strings.Contains(p.Output(), "did not stop cleanly") {
			t.Errorf("a part did not stop with its life:\n%s", p.Tail())
		}
	}
	waitFor(t, 20*time.Second, "all to be registered, in their second life alone", func() error {
		lives, err := d.redis.Client().HKeys(ctx, "appenders").Result()
		if err == nil && len(lives) != len(d.gateways)+len(d.workers)+1 {
			err = fmt.Errorf("registered are %v", lives)
		}
		return err
	})
}

func (k *kept) heard(messages int) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.texts) < messages {
		return fmt.Errorf("heard %d of %d", len(k.texts), messages)
	}
	return nil
}

// check waits until the newest event was heard, and wants one reset, no event twice, and none missing behind the reset.
func (k *kept) check(t *testing.T, newest int64) {
	t.Helper()
	waitFor(t, 20*time.Second, "ben to hear the last", func() error {
		k.mu.Lock()
		defer k.mu.Unlock()
		if n := len(k.seqs); n == 0 || k.seqs[n-1] < newest {
			return fmt.Errorf("it heard %v and %+v, not yet %d", k.seqs, k.resets, newest)
		}
		return nil
	})
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.resets) != 1 {
		t.Fatalf("ben was reset by %+v", k.resets)
	}
	want := int64(1)
	for _, seq := range k.seqs {
		if seq != want && seq == k.resets[0].HeadSeq+1 {
			want = seq // what lies before is paged
		}
		if seq != want {
			t.Fatalf("ben heard %v, reset at %d", k.seqs, k.resets[0].HeadSeq)
		}
		want++
	}
}

// wantEachOnce reads the history of a conversation and wants each number once, in order.
func (d *deployment) wantEachOnce(t *testing.T, reader login, conversation string, messages int) {
	t.Helper()
	waitFor(t, 30*time.Second, "history to hold everything", func() error {
		var page struct {
			Messages []struct {
				Body struct{ Text string }
			}
		}
		url := d.gateways[0].url + "/v1/conversations/" + conversation + "/messages?limit=200"
		if _, err := rest(t.Context(), "GET", url, reader.Token, nil, &page); err != nil {
			return err
		}
		if len(page.Messages) < messages {
			return fmt.Errorf("it holds %d of %d", len(page.Messages), messages)
		}
		for n, m := range page.Messages {
			if m.Body.Text != strconv.Itoa(n) || n >= messages {
				t.Fatalf("message %d is %q, of %d", n, m.Body.Text, len(page.Messages))
			}
		}
		return nil
	})
}
