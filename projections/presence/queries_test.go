package presence_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/presence"
	"mpim/projections/projectionstest"
	"mpim/schema"
	"mpim/streams/streamstest"
)

// world is a log that is folded into live presence as it grows, with somebody who watches.
type world struct {
	*testing.T
	client  *redis.Client
	log     *projectionstest.Log
	p       *presence.Projection
	queries *presence.Queries
	choices *presence.Choices
	routes  *presence.Routes
	watcher *watcher
}

// watcher hears what is published.
type watcher struct {
	mu    sync.Mutex
	heard []string
}

func (w *watcher) PublishStatuses(_ context.Context, partition int, statuses []schema.Status) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range statuses {
		if partition != 3 {
			return fmt.Errorf("published for partition %d", partition)
		}
		w.heard = append(w.heard, strings.TrimSpace(fmt.Sprintf("%s %s", s.Status, s.Text)))
	}
	return nil
}

// take returns what was heard since the last time.
func (w *watcher) take() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	heard := strings.Join(w.heard, ", ")
	w.heard = nil
	return heard
}

func newWorld(t *testing.T, client *redis.Client) *world {
	t.Helper()
	w := &world{
		T: t, client: client, log: projectionstest.NewLog(3), watcher: &watcher{},
		queries: presence.NewQueries(client), routes: presence.NewRoutes(client),
	}
	w.choices = presence.NewChoices(client, w.watcher)
	w.p = presence.New(presence.Config{Client: client, Partitions: 16, Publisher: w.watcher})
	if _, err := w.p.Take(t.Context(), 3, 1); err != nil {
		t.Fatal(err)
	}
	return w
}

func onBoth(t *testing.T, test func(w *world)) {
	t.Helper()
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(newWorld(t, streamstest.StartRedis(t).Client()))
	})
	t.Run("miniredis", func(t *testing.T) {
		t.Parallel()
		test(newWorld(t, streamstest.Miniredis(t)))
	})
}

// happens appends an event of alice's that happened some time ago.
func (w *world) happens(ago time.Duration, fact domain.Fact) *schema.Record {
	w.Helper()
	w.log.Start(time.Now().Add(-ago - time.Second))
	r := w.log.Append(w.T, alice.Aggregate(), alice, fact)
	if err := w.p.Apply(w.Context(), projections.Step{Batch: *w.log.Batch(1, r.Seq, r.Seq)}); err != nil {
		w.Fatal(err)
	}
	return r
}

// wants compares what others are told of alice, and what they heard since the last time.
func (w *world) wants(status, heard string) presence.Presence {
	w.Helper()
	all, err := w.queries.Get(w.Context(), []domain.UserID{carol, alice, "nonsense"})
	if err != nil {
		w.Fatal(err)
	}
	if all[0].Status != presence.Offline || !all[0].LastSeenAt.IsZero() || all[2].Status != presence.Offline {
		w.Errorf("others are %+v", all)
	}
	p := all[1]
	if got := strings.TrimSpace(string(p.Status) + " " + p.Text); got != status {
		w.Errorf("alice is %q, want %q", got, status)
	}
	if got := w.watcher.take(); got != heard {
		w.Errorf("heard %q, want %q", got, heard)
	}
	return p
}

func (w *world) choose(status presence.Status, text string) {
	w.Helper()
	if err := w.choices.Set(w.Context(), alice, status, text); err != nil {
		w.Fatal(err)
	}
}

func TestPresenceFollowsConnections(t *testing.T) {
	t.Parallel()
	onBoth(t, func(w *world) {
		w.wants("offline", "")
		w.happens(10*time.Second, connected("c1", "g1"))
		w.wants("online", "online")
		w.happens(9*time.Second, connected("c2", "g2"))
		w.happens(8*time.Second, disconnected("c1", "closed"))
		w.wants("online", "")
		last := w.happens(7*time.Second, disconnected("c2", "closed"))
		if p := w.wants("offline", "offline"); !p.LastSeenAt.Equal(last.At) {
			w.Errorf("seen at %v, want %v", p.LastSeenAt, last.At)
		}
		// Who was lost may come back; who is expired was gone for long.
		w.happens(6*time.Second, connected("c3", "g1"))
		w.happens(5*time.Second, disconnected("c3", "lost"))
		w.wants("online", "online")
		w.happens(4*time.Second, connected("c4", "g1"))
		w.happens(3*time.Second, disconnected("c4", "expired"))
		w.wants("offline", "offline")
		// Known already.
		w.happens(2*time.Second, disconnected("c4", "closed"))
		w.wants("offline", "")
	})
}

func TestChoices(t *testing.T) {
	t.Parallel()
	onBoth(t, func(w *world) {
		w.choose(presence.Away, "lunch")
		w.wants("offline", "")
		w.happens(10*time.Second, connected("c1", "g1"))
		w.wants("away lunch", "away lunch")
		w.choose(presence.Busy, "")
		w.wants("busy", "busy")
		w.choose(presence.Busy, "")
		w.wants("busy", "")
		w.choose(presence.Invisible, "ignored")
		seen := w.wants("offline", "offline").LastSeenAt
		if time.Since(seen) > time.Minute {
			w.Errorf("seen at %v", seen)
		}
		// Nothing it does tells that it is there.
		w.happens(5*time.Second, disconnected("c1", "closed"))
		w.happens(4*time.Second, connected("c2", "g1"))
		w.choose(presence.Invisible, "")
		if p := w.wants("offline", ""); !p.LastSeenAt.Equal(seen) {
			w.Errorf("seen at %v, then at %v", seen, p.LastSeenAt)
		}
		w.choose(presence.Online, "back")
		w.wants("online back", "online back")
		for _, refused := range []struct {
			status presence.Status
			text   string
			code   domain.Code
		}{
			{presence.Offline, "", domain.InvalidArgument},
			{presence.Online, "\x00", domain.InvalidArgument},
			{presence.Online, "\xff", domain.InvalidArgument},
			{presence.Online, strings.Repeat("é", 129), domain.TooLarge},
		} {
			if err := w.choices.Set(w.Context(), alice, refused.status, refused.text); domain.CodeOf(err) != refused.code {
				w.Errorf("%q %q: got %v", refused.status, refused.text, err)
			}
		}
	})
}

func TestRoutesAreLeased(t *testing.T) {
	t.Parallel()
	onBoth(t, func(w *world) {
		r := w.happens(10*time.Second, connected("c1", "g1"))
		w.happens(9*time.Second, connected("c2", "g2"))
		all, err := w.routes.Connections(w.Context(), alice)
		want := presence.Connection{ID: "c1", User: alice, Session: "s1", Gateway: "g1", Client: "test/1", At: r.At}
		if err != nil || len(all) != 2 || all[0] != want || all[1].Gateway != "g2" {
			w.Errorf("got %+v, %v", all, err)
		}
		route, status := "route:{"+string(alice)+"}", "user:status:{"+string(alice)+"}"
		ttl := func(key string, most time.Duration) {
			w.Helper()
			if got := w.client.PTTL(w.Context(), key).Val(); got > most || got < most-10*time.Second {
				w.Errorf("%s lives for %v, want %v", key, got, most)
			}
		}
		ttl(route, time.Minute)
		ttl(status, 5*time.Minute)
		for _, key := range []string{route, status} {
			if err := w.client.PExpire(w.Context(), key, time.Second).Err(); err != nil {
				w.Fatal(err)
			}
		}
		if err := w.routes.Extend(w.Context(), all); err != nil {
			w.Fatal(err)
		}
		ttl(route, time.Minute)
		ttl(status, 5*time.Minute)
		// A gateway that was suspended for too long finds its routes gone, and has them back.
		if err := w.client.Del(w.Context(), route).Err(); err != nil {
			w.Fatal(err)
		}
		if err := w.routes.Extend(w.Context(), all[:1]); err != nil {
			w.Fatal(err)
		}
		ttl(route, time.Minute)
		if got, err := w.queries.Connections(w.Context(), alice); err != nil || len(got) != 1 || got[0] != want {
			w.Errorf("got %+v, %v", got, err)
		}
		w.happens(time.Second, disconnected("c1", "closed"))
		if got, err := w.routes.Connections(w.Context(), alice); err != nil || len(got) != 0 {
			w.Errorf("got %+v, %v", got, err)
		}
	})
}
