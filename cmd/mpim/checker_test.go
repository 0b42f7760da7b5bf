package main_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mpim/streams/streamstest"
)

// What the checker runs. CHECKER_DURATION makes it longer, as in 10m.
const (
	checkerPairs  = 50
	checkerGroups = 5
	groupSize     = 6
	// sparsePairs send only before a fault, so that their last message has no successor to show that it is missing.
	sparsePairs = 10
)

// checkerRun is one run of the checker.
type checkerRun struct {
	t     *testing.T
	d     *deployment
	proxy *cutProxy
	// zombie stands between the last worker and Redis.
	zombie   *cutProxy
	chatters []*chatter
	// members are the chatters of each conversation, by its id.
	members map[string][]*chatter
	// sparse are those that wait for eve.
	sparse map[string]bool
	// fault is the latest one.
	fault atomic.Value
	// retries counts requests that had to be sent again.
	retries atomic.Int64

	mu       sync.Mutex
	messages []acknowledged
	failures int
	eve      chan struct{}
}

// fail reports a broken promise, and the fault that came before it.
func (r *checkerRun) fail(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failures++; r.failures <= 30 {
		r.t.Errorf("after %q: %s", r.fault.Load(), fmt.Sprintf(format, args...))
	}
}

func (r *checkerRun) record(a acknowledged) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, a)
}

// beforeFault returns what is closed right before the next fault.
func (r *checkerRun) beforeFault() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.eve
}

// announce lets the sparse conversations send, and names the fault that comes, or that lasts.
func (r *checkerRun) announce(ctx context.Context, fault string) {
	r.mu.Lock()
	close(r.eve)
	r.eve = make(chan struct{})
	r.mu.Unlock()
	pause(ctx, 30*time.Millisecond)
	r.fault.Store(fault)
	r.t.Logf("fault: %s", fault)
}

// TestChecker lets 50 pairs and 5 groups talk while everything that can break is broken, and then looks at every promise:
// what was acknowledged is there, once, in order, for everybody, and every projection is what a fresh fold makes.
func TestChecker(t *testing.T) {
	length := time.Minute
	if s := os.Getenv("CHECKER_DURATION"); s != "" {
		var err error
		if length, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	redis := streamstest.StartRedis(t, streamstest.With("appendfsync", "always"))
	proxy, zombie := startProxy(t, redis.Addr()), startProxy(t, redis.Addr())
	r := &checkerRun{
		t: t, proxy: proxy, zombie: zombie, members: make(map[string][]*chatter), sparse: make(map[string]bool), eve: make(chan struct{}),
		d: deploy(t, layout{gateways: 2, workers: 2, server: redis, redisURL: proxy.url(), lastWorkerURL: zombie.url(), fsynced: true}),
	}
	r.fault.Store("none")
	r.populate(t.Context())

	connected, disconnect := context.WithCancel(t.Context())
	defer disconnect()
	talking, hush := context.WithCancel(t.Context())
	defer hush()
	var online, senders sync.WaitGroup
	for _, c := range r.chatters {
		online.Go(func() { c.work(connected) })
	}
	stopTalking := make(chan struct{})
	for conversation, members := range r.members {
		for _, c := range members {
			senders.Go(func() { r.talk(talking, stopTalking, c, conversation) })
		}
	}
	r.breakThings(length)
	close(stopTalking)
	// What is on its way is sent until it is acknowledged: nothing is given up.
	time.AfterFunc(time.Minute, hush)
	senders.Wait()
	if talking.Err() != nil {
		t.Error("some messages were not taken within a minute after the last fault")
	}
	r.fault.Store("all")
	r.verify(t.Context())
	disconnect()
	online.Wait()
	// What a deposed worker wrote long ago arrives last of all, and after its end.
	r.settle(t.Context())
	if err := r.d.workers[1].Kill(); err != nil {
		t.Fatal(err)
	}
	if zombie.held.Load() == 0 {
		t.Error("the deposed worker wrote nothing that could arrive late")
	}
	r.verifyNothingSetBack(t.Context(), zombie.release)
	r.settle(t.Context())
	r.verifyProjections(t.Context())
	r.report()
}

// populate registers everybody and makes their conversations.
func (r *checkerRun) populate(ctx context.Context) {
	base := r.d.gateways[0].url
	r.chatters = make([]*chatter, 2*checkerPairs)
	var wait sync.WaitGroup
	atOnce := make(chan struct{}, 16) // more would be told to try again
	for n := range r.chatters {
		wait.Go(func() {
			atOnce <- struct{}{}
			defer func() { <-atOnce }()
			l, err := register(ctx, base, fmt.Sprintf("user%03d%s", n, []string{"", "x"}[n%2]))
			for codeOf(err) == "unavailable" { // too many at the same time, for this machine
				pause(ctx, 100*time.Millisecond)
				l, err = register(ctx, base, fmt.Sprintf("user%03d%s", n, []string{"", "x"}[n%2]))
			}
			if err != nil {
				r.t.Error(err)
			}
			r.chatters[n] = newChatter(r, l, n/2%2 == 0)
		})
	}
	wait.Wait()
	if r.t.Failed() {
		r.t.FailNow()
	}
	for n := range checkerPairs {
		one, other := r.chatters[2*n], r.chatters[2*n+1]
		var first sent
		_, err := rest(ctx, "POST", base+"/v1/messages", one.Token, map[string]any{
			"to": map[string]any{"user": other.User.ID}, "client_id": "first", "body": text("hello"),
		}, &first)
		if err != nil {
			r.t.Fatal(err)
		}
		r.members[first.Conversation] = []*chatter{one, other}
		r.sparse[first.Conversation] = n < sparsePairs
	}
	for n := range checkerGroups {
		var ids []string
		members := r.chatters[n*groupSize+2*sparsePairs:][:groupSize]
		for _, c := range members[1:] {
			ids = append(ids, c.User.ID)
		}
		var made struct {
			Conversation struct {
				ID string `json:"conversation"`
			} `json:"conversation"`
		}
		_, err := rest(ctx, "POST", base+"/v1/groups", members[0].Token, map[string]any{"title": fmt.Sprint("Group ", n), "members": ids, "client_id": "g"}, &made)
		if err != nil {
			r.t.Fatal(err)
		}
		r.members[made.Conversation.ID] = members
	}
}

// talk sends numbered messages to one conversation until it is told to stop.
func (r *checkerRun) talk(ctx context.Context, stop <-chan struct{}, c *chatter, conversation string) {
	for n := 1; ; n++ {
		if r.sparse[conversation] {
			select {
			case <-r.beforeFault():
			case <-stop:
				return
			}
		} else {
			timer := time.NewTimer(700 * time.Millisecond)
			select {
			case <-timer.C:
			case <-stop:
				timer.Stop()
				return
			}
		}
		c.send(ctx, conversation, n)
	}
}

// breakThings breaks one thing after the other for about the given time.
func (r *checkerRun) breakThings(length time.Duration) {
	ctx := r.t.Context()
	unit := length / 60
	rest := func(seconds int) { pause(ctx, time.Duration(seconds)*unit) }
	must := func(err error) {
		if err != nil {
			r.t.Fatal(err)
		}
	}
	gateway, worker, frozen := r.d.gateways[0], r.d.workers[0], r.d.workers[1]
	rest(4)
	r.announce(ctx, "answers of Redis lost")
	r.proxy.cutCommands()
	r.zombie.cutCommands()
	rest(4)
	r.proxy.cutSubscriptions(time.Second)
	r.announce(ctx, "subscriptions cut")
	rest(5)
	r.announce(ctx, "gateway killed")
	must(gateway.Kill())
	rest(2)
	must(gateway.Restart())
	rest(5)
	r.announce(ctx, "worker killed")
	must(worker.Kill())
	rest(3)
	must(worker.Restart())
	rest(5)
	r.announce(ctx, "worker held")
	must(frozen.Pause())
	held := time.AfterFunc(15*time.Second, func() { _ = frozen.Continue() })
	rest(4)
	r.announce(ctx, "redis killed")
	must(r.d.redis.Kill())
	rest(1)
	must(r.d.redis.Restart())
	rest(6)
	r.announce(ctx, "answers of Redis lost again")
	r.proxy.cutCommands()
	rest(2)
	r.proxy.cutSubscriptions(time.Second)
	r.announce(ctx, "subscriptions cut while a worker is held")
	rest(6)
	r.announce(ctx, "MariaDB stopped")
	must(r.d.database.Stop())
	pause(ctx, 5*time.Second)
	must(r.d.database.Restart())
	rest(4)
	if held.Stop() {
		must(frozen.Continue())
	}
	rest(3)
	r.announce(ctx, "what a worker writes held")
	r.zombie.hold()
	pause(ctx, 9*time.Second) // its leases end, and the other worker goes on
	r.proxy.cutSubscriptions(time.Second)
	r.announce(ctx, "the last subscriptions cut")
	r.proxy.cutCommands()
	rest(3)
}
