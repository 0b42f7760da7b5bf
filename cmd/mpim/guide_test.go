package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mpim/domain"
	"mpim/projections/database"
	"mpim/projections/projectionstest"
	"mpim/streams"
)

var goBlock = regexp.MustCompile("(?ms)^```go\n(.*?)^```")

// past is how many events the deployment has when the projection is added, and reactions how many of them matter.
const (
	past      = 20_000
	reactions = past / 10
)

// openLog lets the test append to the deployment's log.
func (d *deployment) openLog(t *testing.T) (*streams.Log, streams.Identity) {
	t.Helper()
	identity, err := streams.ReadIdentity(t.Context(), d.redis.Client())
	if err != nil {
		t.Fatal(err)
	}
	log, err := streams.New(streams.Config{Client: d.redis.Client(), Identity: identity})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- log.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return log, identity
}

// fill appends the past of a deployment: messages, and reactions to them.
func fill(t *testing.T, log *streams.Log, identity streams.Identity, past int) {
	t.Helper()
	const some = 500
	for n := range past / some {
		creator := domain.UserID(fmt.Sprintf("u%020d00", n))
		id := identity.Placement().Group(creator, strconv.Itoa(n))
		events := make([]domain.Fact, some)
		for i := range events {
			events[i] = &domain.MessageSent{ClientID: strconv.Itoa(i), Body: domain.Body{Type: domain.TextBody, Text: "the quick brown fox"}}
			if i%10 == 9 {
				events[i] = &domain.MessageReacted{Message: domain.Seq(i), Emoji: "👍", Removed: i%100 == 99}
			}
		}
		commit := domain.Commit{
			Aggregate: id.Aggregate(), Actor: creator, At: time.Now().UTC().Truncate(time.Millisecond), Events: events, Entropy: make([]byte, domain.EventEntropy),
		}
		copy(commit.Entropy, fmt.Sprintf("%08d", n))
		if _, err := log.Append(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
	}
}

// listed is a line of `projection list --all --json`.
type listed struct {
	Name       string  `json:"name"`
	Build      int     `json:"build"`
	State      string  `json:"state"`
	Applied    int64   `json:"applied"`
	LagSeconds float64 `json:"lag_seconds"`
}

func (d *deployment) build(t *testing.T, name string, number int) listed {
	t.Helper()
	output, err := d.run(t.Context(), "projection", "list", "--all", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var lines []listed
	if err := json.Unmarshal([]byte(output), &lines); err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		if l.Name == name && l.Build == number {
			return l
		}
	}
	return listed{}
}

// The projection of the guide is compiled and run as it stands there, over a deployment with a past, while its workers are
// killed; then a second version of it is built, promoted and gone back from, while messages come.
func TestTheGuideToANewProjection(t *testing.T) {
	d := deploy(t, layout{gateways: 1, workers: 1})
	log, identity := d.openLog(t)
	fill(t, log, identity, past)

	// The new binary: a worker that is killed while it builds, and one that goes on.
	d.choose(t, emojiVersion+"=1")
	worker := d.start(t, "first", "worker")
	waited := make(chan error, 1)
	go func() {
		output, err := d.run(t.Context(), "projection", "build", "emoji", "--wait")
		if err == nil && !strings.Contains(output, "build 1 of emoji is ") {
			err = fmt.Errorf("it printed %q", output)
		}
		waited <- err
	}()
	waitFor(t, 30*time.Second, "the build has begun", func() error {
		if l := d.build(t, "emoji", 1); l.Applied == 0 {
			return fmt.Errorf("%+v", l)
		}
		return nil
	})
	if err := worker.Kill(); err != nil {
		t.Fatal(err)
	}
	d.start(t, "first-again", "worker")
	if err := <-waited; err != nil {
		t.Fatal(err)
	}
	if output, err := d.run(t.Context(), "projection", "promote", "emoji", "--yes"); err != nil || !strings.Contains(output, "build 1 of emoji is live") {
		t.Fatalf("promote: %s, %v", output, err)
	}
	counts := fmt.Sprintf("stands=%d", reactions*8/10)
	wantCounts(t, d, counts)

	// The next version, beside it, while people write.
	d.choose(t, emojiVersion+"=2")
	next := d.start(t, "second", "worker")
	var worst atomic.Int64
	stop := d.write(t, log, identity, &worst)
	began := time.Now()
	if output, err := d.run(t.Context(), "projection", "build", "emoji", "--wait"); err != nil || !strings.Contains(output, "build 2 of emoji is ready") {
		t.Fatalf("build: %s, %v", output, err)
	}
	t.Logf("build 2 took %s beside live messages; what is live was %s behind at worst", time.Since(began), time.Duration(worst.Load()))
	for _, step := range []struct{ command, want string }{
		{"promote", "build 2 of emoji is live"}, {"rollback", "build 1 of emoji is live"}, {"promote", "build 2 of emoji is live"},
	} {
		if output, err := d.run(t.Context(), "projection", step.command, "emoji", "--yes"); err != nil || !strings.Contains(output, step.want) {
			t.Fatalf("%s: %s, %v", step.command, output, err)
		}
	}
	stop()
	if err := next.Kill(); err != nil {
		t.Fatal(err)
	}
	// The binary of the version before runs on what the next one has left behind, once it is gone back to.
	d.choose(t, emojiVersion+"=1")
	if _, err := d.run(t.Context(), "projection", "rollback", "emoji", "--yes"); err != nil {
		t.Fatal(err)
	}
	wantCounts(t, d, counts)
	if output, err := d.run(t.Context(), "projection", "verify", "emoji"); err != nil || output != "ok\n" {
		t.Errorf("verify: %s, %v", output, err)
	}
	if output, err := d.run(t.Context(), "projection", "drop", "emoji", "--build", "2", "--yes"); err != nil || !strings.Contains(output, "dropped build 2") {
		t.Errorf("drop: %s, %v", output, err)
	}
}

// wantCounts waits until analysts see a count.
func wantCounts(t *testing.T, d *deployment, want string) {
	t.Helper()
	db := d.open(t)
	waitFor(t, 30*time.Second, "the view shows the build", func() error {
		if rows := projectionstest.Rows(t.Context(), t, db, "SELECT stands FROM emoji_counts"); len(rows) != 1 || rows[0] != want {
			return fmt.Errorf("it has %q, want %s", rows, want)
		}
		return nil
	})
}

// open opens the deployment's database.
func (d *deployment) open(t *testing.T) *database.DB {
	t.Helper()
	for _, setting := range d.env {
		if url, ok := strings.CutPrefix(setting, "MPIM_DATABASE_URL="); ok {
			db, err := database.Open(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			return db
		}
	}
	t.Fatal("the deployment has no database")
	return nil
}

// write appends a message every few milliseconds and notes how long history takes to show it at worst, until it is stopped.
func (d *deployment) write(t *testing.T, log *streams.Log, identity streams.Identity, worst *atomic.Int64) (stop func()) {
	t.Helper()
	db := d.open(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	creator := domain.UserID(fmt.Sprintf("u%020d00", 7))
	id := identity.Placement().Group(creator, "live")
	go func() {
		defer close(done)
		for n := 0; ctx.Err() == nil; n++ {
			commit := domain.Commit{
				Aggregate: id.Aggregate(), Actor: creator, At: time.Now().UTC().Truncate(time.Millisecond), Entropy: make([]byte, domain.EventEntropy),
				Events: []domain.Fact{&domain.MessageSent{ClientID: strconv.Itoa(n), Body: domain.Body{Type: domain.TextBody, Text: "live"}}},
			}
			copy(commit.Entropy, fmt.Sprintf("l%07d", n))
			began := time.Now()
			if _, err := log.Append(ctx, commit); err != nil {
				return
			}
			for ctx.Err() == nil {
				rows := projectionstest.Rows(context.WithoutCancel(ctx), t, db, "SELECT COUNT(*) AS n FROM history_1_messages WHERE conversation = ?", string(id))
				if rows[0] == fmt.Sprintf("n=%d", n+1) {
					break
				}
				pause(ctx, 2*time.Millisecond)
			}
			worst.Store(max(worst.Load(), int64(time.Since(began))))
			pause(ctx, 5*time.Millisecond)
		}
	}()
	return func() {
		cancel()
		<-done
	}
}
