package gateway_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mpim/domain"
	"mpim/handlers/api"
	"mpim/handlers/gateway"
	"mpim/schema"
)

// change publishes a user's status.
func (w *world) change(t *testing.T, user domain.UserID, status string) {
	t.Helper()
	partition, _ := user.Partition()
	message, err := schema.EncodeStatuses([]schema.Status{{User: user, Status: status}})
	if err != nil {
		t.Fatal(err)
	}
	w.publish(schema.StatusChannel(partition), message)
}

// friends answer presence.get: those who are may be seen.
type friends struct {
	mu     sync.Mutex
	may    map[domain.UserID]bool
	asked  int
	answer chan struct{} // where it is there, each answer takes one
	err    error
}

func befriend(w *world, users ...domain.UserID) *friends {
	f := &friends{may: make(map[domain.UserID]bool)}
	f.set(true, users...)
	w.on("presence.get", gateway.Operation{}, f.get)
	return f
}

func (f *friends) set(may bool, users ...domain.UserID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, user := range users {
		f.may[user] = may
	}
}

func (f *friends) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *friends) times() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

func (f *friends) get(_ context.Context, _ api.Caller, params json.RawMessage) (string, error) {
	var p struct {
		Users []domain.UserID `json:"users"`
	}
	_ = json.Unmarshal(params, &p)
	slices.Sort(p.Users)
	var seen []string
	f.mu.Lock()
	f.asked++
	err := f.err
	for _, user := range slices.Compact(p.Users) {
		if f.may[user] {
			seen = append(seen, `{"user":"`+string(user)+`","status":"offline"}`)
		}
	}
	f.mu.Unlock()
	if f.answer != nil {
		<-f.answer
	}
	return `{"presence":[` + strings.Join(seen, ",") + `]}`, err
}

func watchFrame(users ...domain.UserID) string {
	text, _ := json.Marshal(users)
	return `{"jsonrpc":"2.0","id":1,"method":"presence.watch","params":{"users":` + string(text) + `}}`
}

func statusFrame(user domain.UserID, status string) string {
	return `{"jsonrpc":"2.0","method":"presence","params":{"user":"` + string(user) + `","status":"` + status + `","last_seen_at":null}}`
}

func removal(kind string, user domain.UserID) string {
	return `{"jsonrpc":"2.0","method":"event","params":{"conversation":"g","seq":3,"type":"` + kind + `","data":{"user":"` + string(user) + `"}}}`
}

func TestPresenceIsWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := serve(t, w, "g1")
		bob, carol := placement.User("bob"), placement.User("carol")
		// Carol is nobody the caller may see.
		w.on("presence.get", gateway.Operation{}, func(context.Context, api.Caller, json.RawMessage) (string, error) {
			return `{"presence":[{"user":"` + string(bob) + `","status":"offline"}]}`, nil
		})
		c := s.hello(t, "alice")
		answer := c.ask(`{"jsonrpc":"2.0","id":1,"method":"presence.watch","params":{"users":["` + string(bob) + `","` + string(carol) + `"]}}`)
		if want := `{"jsonrpc":"2.0","id":1,"result":{"presence":[{"user":"` + string(bob) + `","status":"offline"}]}}`; answer != want {
			t.Errorf("answer %s, want %s", answer, want)
		}
		w.change(t, carol, "online")
		w.change(t, bob, "online")
		c.want(`{"jsonrpc":"2.0","method":"presence","params":{"user":"` + string(bob) + `","status":"online","last_seen_at":null}}`)
		c.ask(`{"jsonrpc":"2.0","id":2,"method":"presence.watch","params":{"users":[]}}`)
		w.change(t, bob, "online")
		c.silent()
	})
}

// TestNothingIsPushedOfAUserBeforeItIsListed changes statuses while presence.get is being answered: a stranger's are
// never pushed, a friend's after the answer.
func TestNothingIsPushedOfAUserBeforeItIsListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := serve(t, w, "g1")
		bob, stranger := placement.User("bob"), placement.User("stranger")
		f := befriend(w, bob)
		f.answer = make(chan struct{})
		c := s.hello(t, "alice")
		for range 3 {
			c.send(watchFrame(stranger, bob))
			synctest.Wait()
			w.change(t, stranger, "online")
			w.change(t, bob, "busy")
			w.change(t, bob, "online")
			synctest.Wait()
			f.answer <- struct{}{}
			w.change(t, stranger, "away")
			// From the second time on, bob is watched already.
			var frames []string
			for len(frames) == 0 || !strings.Contains(frames[len(frames)-1], `"result"`) {
				frames = append(frames, c.next())
			}
			c.want(statusFrame(bob, "online"))
			c.silent()
			if strings.Contains(strings.Join(frames, ""), string(stranger)) {
				t.Fatalf("pushed of a stranger: %v", frames)
			}
		}
	})
}

func TestWatchesFollowOneAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := serve(t, w, "g1")
		bob, carol := placement.User("bob"), placement.User("carol")
		f := befriend(w, bob, carol)
		f.answer = make(chan struct{})
		c := s.hello(t, "alice")
		c.send(watchFrame(bob))
		c.send(watchFrame(carol))
		synctest.Wait()
		if asked := f.times(); asked != 1 {
			t.Errorf("%d watches are worked on at a time", asked)
		}
		f.answer <- struct{}{}
		f.answer <- struct{}{}
		c.next()
		c.next()
		w.change(t, bob, "online")
		w.change(t, carol, "online")
		c.want(statusFrame(carol, "online"))
		c.silent()
	})
}

func TestAFailedWatchLeavesTheOneBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := serve(t, w, "g1")
		bob, carol := placement.User("bob"), placement.User("carol")
		f := befriend(w, bob, carol)
		c := s.hello(t, "alice")
		c.ask(watchFrame(bob))
		f.fail(domain.Errorf(domain.Unavailable, "down"))
		c.ask(watchFrame(carol))
		w.change(t, carol, "online")
		w.change(t, bob, "online")
		c.want(statusFrame(bob, "online"))
		c.silent()
	})
}

// TestAWatchEndsWithMembership takes a friend away: by an event of the watcher or of the watched, or with the group.
func TestAWatchEndsWithMembership(t *testing.T) {
	alice, bob, carol := placement.User("alice"), placement.User("bob"), placement.User("carol")
	for name, event1 := range map[string]string{
		"the watcher is removed": removal("member.removed", alice),
		"the watched leaves":     removal("member.left", bob),
		"the group is dissolved": `{"jsonrpc":"2.0","method":"event","params":{"type":"conversation.dissolved","data":{}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				s := serve(t, w, "g1")
				f := befriend(w, bob, carol)
				c := s.hello(t, "alice")
				c.ask(watchFrame(bob, carol))
				f.set(false, bob)
				// As long as nobody can say who may be seen, nothing is pushed, and nothing is forgotten.
				f.fail(domain.Errorf(domain.Unavailable, "down"))
				w.push("g1", 1, false, event(event1, c.id))
				c.want(event1)
				w.change(t, bob, "online")
				w.change(t, carol, "busy")
				c.silent()
				f.fail(nil)
				c.want(statusFrame(carol, "busy"))
				w.change(t, bob, "away")
				c.silent()
				w.change(t, carol, "online")
				c.want(statusFrame(carol, "online"))
			})
		})
	}
}

func TestAnEndingDuringPresenceWatchIsNotMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := serve(t, w, "g1")
		bob := placement.User("bob")
		f := befriend(w, bob)
		f.answer = make(chan struct{})
		c := s.hello(t, "alice")
		c.send(watchFrame(bob))
		synctest.Wait()
		f.set(false, bob)
		w.push("g1", 1, false, event(removal("member.left", bob), c.id))
		c.want(removal("member.left", bob))
		w.change(t, bob, "online")
		close(f.answer)
		c.next()
		w.change(t, bob, "away")
		c.silent()
	})
}

// TestWhoIsNotConcernedIsNotAskedAbout lets others come and go, and says so in a message.
func TestWhoIsNotConcernedIsNotAskedAbout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := serve(t, w, "g1")
		bob, carol := placement.User("bob"), placement.User("carol")
		f := befriend(w, bob, carol)
		c, idle := s.hello(t, "alice"), s.hello(t, "idle")
		c.ask(watchFrame(bob))
		for _, text := range []string{
			removal("member.removed", carol),
			`{"jsonrpc":"2.0","method":"event","params":{"type":"message.sent","data":{"body":{"type":"text","text":"member.left"}}}}`,
		} {
			w.push("g1", 1, false, event(text, c.id, idle.id))
			c.want(text)
		}
		w.push("g1", 1, false, event(removal("member.removed", bob), idle.id))
		synctest.Wait()
		if asked := f.times(); asked != 1 {
			t.Errorf("asked %d times, want once", asked)
		}
	})
}

// TestALostEndingIsNoticed takes a friend away without an event. Who comes back is pushed again.
func TestALostEndingIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := serve(t, w, "g1")
		bob, carol := placement.User("bob"), placement.User("carol")
		f := befriend(w, bob, carol)
		c := s.hello(t, "alice")
		s.hello(t, "idle")
		c.ask(watchFrame(bob, carol))
		f.set(false, bob)
		<-time.After(3 * time.Minute)
		w.change(t, bob, "online")
		c.silent()
		if asked := f.times(); asked < 2 || asked > 5 {
			t.Errorf("asked %d times in 3 minutes", asked)
		}
		f.set(true, bob)
		<-time.After(3 * time.Minute)
		c.want(`{"jsonrpc":"2.0","method":"presence","params":{"user":"` + string(bob) + `","status":"offline"}}`)
		w.change(t, bob, "away")
		c.want(statusFrame(bob, "away"))
		c.silent()
		// Nobody is asked about for a connection that watches nobody.
		c.ask(watchFrame([]domain.UserID{}...))
		before := f.times()
		<-time.After(3 * time.Minute)
		if asked := f.times(); asked != before {
			t.Errorf("asked %d times more", asked-before)
		}
	})
}

func TestParamsOfPresenceWatchAreChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := serve(t, w, "g1")
		bob := placement.User("bob")
		befriend(w, bob)
		c := s.hello(t, "alice")
		if answer := c.ask(watchFrame(bob)); !strings.Contains(answer, `"result"`) {
			t.Fatalf("answer %s", answer)
		}
		for _, params := range []string{
			`{}`, `{"users":null}`, `{"users":[],"x":1}`, `{"Users":[]}`, `{"users":"x"}`, `{"users":[1]}`, `[]`, `null`,
		} {
			answer := c.ask(`{"jsonrpc":"2.0","id":1,"method":"presence.watch","params":` + params + `}`)
			if !strings.Contains(answer, `"code":-32602`) || !strings.Contains(answer, `"code":"invalid_argument"`) {
				t.Errorf("%s: answer %s", params, answer)
			}
		}
		if answer := c.ask(`{"jsonrpc":"2.0","id":1,"method":"presence.watch"}`); !strings.Contains(answer, `"code":-32602`) {
			t.Errorf("no params: answer %s", answer)
		}
		// What was refused changed nothing.
		w.change(t, bob, "online")
		c.want(statusFrame(bob, "online"))
	})
}
