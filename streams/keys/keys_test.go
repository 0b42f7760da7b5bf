package keys_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/schema/seal"
	"mpim/streams/bus"
	"mpim/streams/keys"
	"mpim/streams/streamstest"
)

func TestMain(m *testing.M) { os.Exit(streamstest.Main(m)) }

// each runs a test on the embedded store, and on a server.
func each(t *testing.T, test func(t *testing.T, client *redis.Client, cache keys.Cache)) {
	t.Helper()
	for name, address := range map[string]string{"miniredis": miniredis.RunT(t).Addr(), "redis": streamstest.Server.Addr()} {
		t.Run(name, func(t *testing.T) {
			client := redis.NewClient(&redis.Options{Addr: address, DisableIdentity: true})
			t.Cleanup(func() { _ = client.Close() })
			if err := client.FlushDB(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			b, err := bus.New(bus.Config{Client: client, Partitions: 4})
			if err != nil {
				t.Fatal(err)
			}
			test(t, client, keys.Cache{Client: client, Listener: b})
		})
	}
}

const ann, bob = domain.UserID("u-ann"), domain.UserID("u-bob")

func TestWhatWasDestroyedDoesNotComeBack(t *testing.T) {
	each(t, func(t *testing.T, _ *redis.Client, cache keys.Cache) {
		t.Helper()
		ctx := t.Context()
		put := []seal.Wrapped{{User: ann, Wrapping: "w1", Key: []byte("\x00 a\n\xff")}, {User: bob, Wrapping: "w1", Key: []byte("b")}}
		if err := cache.Put(ctx, put, time.Minute); err != nil {
			t.Fatal(err)
		}
		kept, err := cache.Get(ctx, []domain.UserID{ann, "u-nobody", bob})
		if err != nil || len(kept) != 2 || kept[0].User != ann || kept[0].Wrapping != "w1" || string(kept[0].Key) != string(put[0].Key) ||
			kept[0].Left <= 0 || kept[0].Left > time.Minute || kept[0].Destroyed() {
			t.Fatalf("%+v, %v", kept, err)
		}
		if err := cache.Destroy(ctx, ann); err != nil {
			t.Fatal(err)
		}
		// A process that asked SQL just before.
		if err := cache.Put(ctx, put, time.Minute); err != nil {
			t.Fatal(err)
		}
		kept, err = cache.Get(ctx, []domain.UserID{ann, bob})
		if err != nil || len(kept) != 2 || !kept[0].Destroyed() || kept[0].Left < seal.MaxAge || kept[1].Destroyed() {
			t.Errorf("%+v, %v", kept, err)
		}
	})
}

func TestOthersHearOfIt(t *testing.T) {
	each(t, func(t *testing.T, client *redis.Client, cache keys.Cache) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		gone, lost, done := make(chan domain.UserID, 1), make(chan struct{}, 8), make(chan error)
		go func() {
			done <- cache.Destroyed(ctx, func(u domain.UserID) { gone <- u }, func() { lost <- struct{}{} })
		}()
		<-lost
		if err := cache.Destroy(t.Context(), ann); err != nil {
			t.Fatal(err)
		}
		if user := <-gone; user != ann {
			t.Errorf("heard of %s", user)
		}
		if cache.Client.Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub").Err() == nil {
			// What was published meanwhile is lost, and that is told.
			<-lost
			if err := cache.Destroy(t.Context(), bob); err != nil {
				t.Fatal(err)
			}
			if user := <-gone; user != bob {
				t.Errorf("heard of %s", user)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Keys that were written by something else are not taken for keys.
func TestForeignValues(t *testing.T) {
	each(t, func(t *testing.T, client *redis.Client, cache keys.Cache) {
		t.Helper()
		client.Set(t.Context(), "user:key:{"+string(ann)+"}", "for ever", 0)
		client.HSet(t.Context(), "user:key:{"+string(bob)+"}", "a", "b")
		if kept, err := cache.Get(t.Context(), []domain.UserID{ann}); err != nil || len(kept) != 0 {
			t.Errorf("%+v, %v", kept, err)
		}
		if _, err := cache.Get(t.Context(), []domain.UserID{bob}); err == nil {
			t.Error("a hash was taken for a key")
		}
	})
}
