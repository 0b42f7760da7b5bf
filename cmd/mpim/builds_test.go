package main_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestBuildsSurviveKills kills workers while builds read the past, and the commands that begin, promote and drop builds, at
// random. Nobody who reads meanwhile sees a failure or goes back, and in the end everything is what a fresh fold makes.
func TestBuildsSurviveKills(t *testing.T) {
	for name, test := range map[string]struct {
		url     string
		rebuilt []string
	}{
		"mariadb": {"", []string{"presence", "members", "inbox", "recent", "history"}},
		"sqlite":  {"sqlite://" + filepath.Join(t.TempDir(), "mpim.db"), []string{"members", "history"}},
	} {
		t.Run(name, func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			d := deploy(t, layout{gateways: 1, workers: 2, databaseURL: test.url})
			k := &killer{t: t, d: d, rebuilt: test.rebuilt, random: rand.New(rand.NewPCG(seed, 0))}
			groups := k.settle()
			log, identity := d.openLog(t)
			fill(t, log, identity, 12_000)
			stop := k.read(groups)
			k.build()
			k.promote()
			k.backAndForth()
			k.drop()
			stop()
			for _, name := range test.rebuilt {
				if output, err := d.run(t.Context(), "projection", "verify", name); err != nil || output != "ok\n" {
					t.Errorf("verify %s: %v\n%s", name, err, output)
				}
			}
		})
	}
}

// killer builds projections anew and kills whoever is at work on that.
type killer struct {
	t      *testing.T
	d      *deployment
	random *rand.Rand
	// rebuilt are the projections that are built anew.
	rebuilt []string
	people  []login
	killed  int
	// synchronises says that readers synchronise too, which has to wait for projections.
	synchronises atomic.Bool
}

// settle registers three people and makes their groups, with messages.
func (k *killer) settle() (groups []string) {
	base := k.d.gateways[0].url
	for _, name := range []string{"ann", "ben", "cat"} {
		l, err := register(k.t.Context(), base, name)
		if err != nil {
			k.t.Fatal(err)
		}
		k.people = append(k.people, l)
	}
	for n := range 3 {
		var made struct {
			Conversation struct {
				ID string `json:"conversation"`
			} `json:"conversation"`
		}
		_, err := rest(k.t.Context(), "POST", base+"/v1/groups", k.people[0].Token, map[string]any{
			"title": fmt.Sprint("Group ", n), "members": []string{k.people[1].User.ID, k.people[2].User.ID}, "client_id": strconv.Itoa(n),
		}, &made)
		if err != nil {
			k.t.Fatal(err)
		}
		groups = append(groups, made.Conversation.ID)
	}
	return groups
}

// read writes and reads without pause until it is stopped.
func (k *killer) read(groups []string) (stop func()) {
	ctx, cancel := context.WithCancel(k.t.Context())
	var both sync.WaitGroup
	both.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			_, err := rest(ctx, "POST", k.d.gateways[0].url+"/v1/messages", k.people[0].Token, map[string]any{
				"to": map[string]any{"conversation": groups[n%3]}, "client_id": strconv.Itoa(n), "body": text("hello"),
			}, nil)
			if err != nil && ctx.Err() == nil {
				k.t.Errorf("send: %v", err)
			}
			pause(ctx, 10*time.Millisecond)
		}
	})
	reads := 0
	both.Go(func() {
		last := make(map[string]int64)
		k.await(ctx, "everybody is shown", func() error { return k.look(ctx, groups, make(map[string]int64)) })
		for ; ctx.Err() == nil; reads++ {
			if err := k.look(ctx, groups, last); err != nil && ctx.Err() == nil {
				k.t.Errorf("read %d: %v", reads, err)
			}
		}
	})
	return func() {
		cancel()
		both.Wait()
		k.t.Logf("%d rounds of reads; %d workers and commands were killed", reads, k.killed)
		if reads < 100 || k.killed < 5 {
			k.t.Error("too little happened for the run to mean anything")
		}
	}
}

// await is waitFor outside of the goroutine of the test.
func (k *killer) await(ctx context.Context, what string, check func() error) {
	var err error
	for limit := time.Now().Add(20 * time.Second); ctx.Err() == nil && time.Now().Before(limit); pause(ctx, 20*time.Millisecond) {
		if err = check(); err == nil {
			return
		}
	}
	k.t.Errorf("not in time: %s: %v", what, err)
}

// look reads what each of the projections answers. Last is how far conversations were, which never goes back.
func (k *killer) look(ctx context.Context, groups []string, last map[string]int64) error {
	base, ben := k.d.gateways[0].url, k.people[1]
	var list struct {
		Conversations []struct {
			ID      string `json:"conversation"`
			HeadSeq int64  `json:"head_seq"`
			Unread  int64  `json:"unread"`
			Title   string `json:"title"`
		} `json:"conversations"`
	}
	if _, err := rest(ctx, "GET", base+"/v1/conversations", ben.Token, nil, &list); err != nil {
		return fmt.Errorf("list: %w", err)
	}
	if len(list.Conversations) != 3 {
		return fmt.Errorf("the list has %+v", list.Conversations)
	}
	for _, c := range list.Conversations {
		if c.HeadSeq < last[c.ID] || c.Title == "" {
			return fmt.Errorf("%+v, after #%d", c, last[c.ID])
		}
		last[c.ID] = c.HeadSeq
	}
	group := groups[k.people[0].User.ID[1]%3]
	var members struct {
		Members []struct {
			User string `json:"user"`
			Role string `json:"role"`
		} `json:"members"`
	}
	if _, err := rest(ctx, "GET", base+"/v1/groups/"+group+"/members", ben.Token, nil, &members); err != nil {
		return fmt.Errorf("members: %w", err)
	}
	if len(members.Members) != 3 {
		return fmt.Errorf("the group has %+v", members.Members)
	}
	var history struct {
		Messages []message `json:"messages"`
	}
	if _, err := rest(ctx, "GET", base+"/v1/conversations/"+group+"/messages?limit=5", ben.Token, nil, &history); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	if n := len(history.Messages); n > 0 {
		if newest := history.Messages[n-1].Seq; newest < last["history"] {
			return fmt.Errorf("history ends at #%d, after #%d", newest, last["history"])
		}
		last["history"] = history.Messages[n-1].Seq
	}
	if _, err := rest(ctx, "GET", base+"/v1/presence?users="+k.people[0].User.ID, ben.Token, nil, nil); err != nil {
		return fmt.Errorf("presence: %w", err)
	}
	if !k.synchronises.Load() {
		return nil
	}
	var answer syncAnswer
	if _, err := rest(ctx, "POST", base+"/v1/sync", ben.Token, map[string]any{"since": map[string]int64{group: last[group]}, "only": true}, &answer); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	for _, c := range answer.Conversations {
		if c.Reset || len(c.Events) > 0 && c.Events[0].Seq != last[group]+1 {
			return fmt.Errorf("sync after #%d gives %+v", last[group], c)
		}
	}
	return nil
}

// command runs a command to its end, after it was killed up to two times.
func (k *killer) command(args ...string) {
	k.t.Helper()
	args = append([]string{"projection"}, args...)
	for range k.random.IntN(3) {
		ctx, cancel := context.WithTimeout(k.t.Context(), time.Duration(20+k.random.IntN(250))*time.Millisecond)
		if _, err := k.d.run(ctx, args...); err != nil {
			k.killed++
		}
		cancel()
	}
	waitFor(k.t, 60*time.Second, strings.Join(args, " "), func() error {
		_, err := k.d.run(k.t.Context(), args...)
		if err != nil {
			return fmt.Errorf("%w\n%+v", err, k.d.builds(k.t, args[2]))
		}
		return nil
	})
}

// worker kills a worker and starts it again.
func (k *killer) worker() {
	k.t.Helper()
	w := k.d.workers[k.random.IntN(len(k.d.workers))]
	if err := w.Kill(); err != nil {
		k.t.Fatal(err)
	}
	k.killed++
	pause(k.t.Context(), time.Duration(k.random.IntN(300))*time.Millisecond)
	if err := w.Restart(); err != nil {
		k.t.Fatal(err)
	}
}

// build begins a build of everything and kills workers while they read the past.
func (k *killer) build() {
	k.t.Helper()
	for _, name := range k.rebuilt {
		k.command("build", name)
	}
	for range 6 {
		k.worker()
		pause(k.t.Context(), time.Duration(k.random.IntN(700))*time.Millisecond)
	}
	for _, name := range k.rebuilt {
		k.command("build", name, "--wait")
		if all := k.d.builds(k.t, name); len(all) != 2 || all[1].State != "ready" {
			k.t.Errorf("%s has %+v", name, all)
		}
	}
}

// live fails unless this build is the one that is live.
func (k *killer) live(name string, build int) {
	k.t.Helper()
	for _, b := range k.d.builds(k.t, name) {
		if (b.Build == build) != (b.State == "live") {
			k.t.Errorf("build %d of %s is %s, and %d should be live", b.Build, name, b.State, build)
		}
	}
}

// promote promotes, goes back and promotes again, while promoters and workers are killed.
func (k *killer) promote() {
	k.t.Helper()
	for _, name := range k.rebuilt {
		var killing sync.WaitGroup
		if k.random.IntN(2) == 0 {
			killing.Go(k.worker)
		}
		k.command("promote", name, "--yes")
		killing.Wait()
		k.live(name, 2)
	}
	for _, step := range []struct {
		command string
		build   int
	}{{"rollback", 1}, {"promote", 2}} {
		for _, name := range k.rebuilt {
			// Killed, it may have been done, and done again it would go back again: so it is not.
			waitFor(k.t, 60*time.Second, step.command+" "+name, func() error {
				_, err := k.d.run(k.t.Context(), "projection", step.command, name, "--yes")
				return err
			})
			k.live(name, step.build)
		}
	}
}

// backAndForth switches while nothing is killed: then not even who waits for projections is refused.
func (k *killer) backAndForth() {
	k.t.Helper()
	k.await(k.t.Context(), "everybody catches up", func() error {
		_, err := rest(k.t.Context(), "POST", k.d.gateways[0].url+"/v1/sync", k.people[1].Token, map[string]any{}, nil)
		return err
	})
	k.synchronises.Store(true)
	defer k.synchronises.Store(false)
	for range 2 {
		for _, command := range []string{"rollback", "promote"} {
			for _, name := range k.rebuilt {
				if output, err := k.d.run(k.t.Context(), "projection", command, name, "--yes"); err != nil {
					k.t.Errorf("%s %s: %v\n%s", command, name, err, output)
				}
			}
		}
	}
}

// drop drops the first builds, while who does so is killed, and finds nothing left of them.
func (k *killer) drop() {
	k.t.Helper()
	for _, name := range k.rebuilt {
		k.command("drop", name, "--build", "1", "--yes")
		if all := k.d.builds(k.t, name); len(all) != 2 || all[0].State != "dropped" || all[1].State != "live" {
			k.t.Errorf("%s has %+v", name, all)
		}
	}
	client := k.d.redis.Client()
	patterns := map[string][]string{
		"members": {"group:*", "user:conversations:*", "user:seq:*"}, "inbox": {"{*}:inbox:*", "{*}:last:*"}, "recent": {"{*}:recent:*"},
		"presence": {"{*}:connections", "{*}:users"},
	}
	var left, looked []string
	for _, name := range k.rebuilt {
		looked = append(looked, patterns[name]...)
	}
	for _, pattern := range looked {
		keys := client.Scan(k.t.Context(), 0, pattern, 1000).Iterator()
		for keys.Next(k.t.Context()) {
			if !strings.HasPrefix(keys.Val(), "group:info") { // which is the cache's
				left = append(left, keys.Val())
			}
		}
	}
	if len(left) > 0 {
		k.t.Errorf("%d keys are left, such as %s", len(left), slices.Sorted(slices.Values(left))[0])
	}
}

// TestTheVersionBeforeRunsAfterARollback builds the next version of a projection in Redis by a worker that knows it, beside one
// that does not, promotes it, and goes back: then the binary of the version before does everything alone.
func TestTheVersionBeforeRunsAfterARollback(t *testing.T) {
	d := deploy(t, layout{gateways: 1, workers: 1, databaseURL: "sqlite://" + filepath.Join(t.TempDir(), "mpim.db")})
	before := d.path
	k := &killer{t: t, d: d, random: rand.New(rand.NewPCG(1, 1)), killed: 10}
	groups := k.settle()
	stop := k.read(groups)
	d.choose(t, inboxVersion+"=2")
	worker := d.start(t, "next", "worker")
	for _, args := range [][]string{{"build", "inbox", "--wait"}, {"promote", "inbox", "--yes"}} {
		if output, err := d.run(t.Context(), append([]string{"projection"}, args...)...); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, output)
		}
	}
	k.live("inbox", 2)
	pause(t.Context(), 2*time.Second)
	// The build of the version before is fed by who knows it, so that one can go back however long it took.
	if err := worker.Kill(); err != nil {
		t.Fatal(err)
	}
	d.path = before
	if output, err := d.run(t.Context(), "projection", "rollback", "inbox", "--yes"); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	k.live("inbox", 1)
	pause(t.Context(), time.Second)
	stop()
	if output, err := d.run(t.Context(), "projection", "verify", "inbox"); err != nil || output != "ok\n" {
		t.Errorf("verify: %v\n%s", err, output)
	}
	if output, err := d.run(t.Context(), "projection", "drop", "inbox", "--build", "2", "--yes"); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}
