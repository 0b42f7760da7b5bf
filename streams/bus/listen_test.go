package bus_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/schema"
	"mpim/streams/bus"
	"mpim/streams/streamstest"
)

func containsBlocked(clients string) bool { return strings.Contains(clients, "flags=b") }

// ear notes what a listener is told, "" for each time that it is ready.
type ear chan string

func (e ear) wait(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-e:
		if got != want {
			t.Fatalf("heard %q, want %q", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("heard nothing, want %q", want)
	}
}

// listen listens until the test ends, again after each break.
func listen(t *testing.T, b *bus.Bus, channels ...string) ear {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	e := make(ear, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			err := b.Listen(ctx, channels, func() { e <- "" }, func(channel string, payload []byte) { e <- channel + " " + string(payload) })
			if (err == nil) != (ctx.Err() != nil) {
				t.Errorf("returned %v, context %v", err, ctx.Err())
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	e.wait(t, "")
	return e
}

func TestListenHearsWhatIsPublished(t *testing.T) {
	for name, address := range stores(t) {
		t.Run(name, func(t *testing.T) {
			_, b := open(t, address)
			e := listen(t, b, schema.GatewayChannel("g"), schema.StatusChannel(2))
			failed, err := b.Publish(t.Context(), []schema.Outgoing{
				{Gateway: "g", Payload: []byte("one")}, {Gateway: "other", Payload: []byte("x")}, {Gateway: "g", Payload: []byte("two")},
			})
			if err != nil || len(failed) > 0 {
				t.Fatal(failed, err)
			}
			e.wait(t, "gateway:{g} one")
			e.wait(t, "gateway:{g} two")
			if err := b.PublishStatuses(t.Context(), 2, []schema.Status{{User: "u1", Status: "online"}}); err != nil {
				t.Fatal(err)
			}
			e.wait(t, schema.StatusChannel(2)+` [{"user":"u1","status":"online"}]`)
		})
	}
}

func TestListenTellsThatItMayHaveMissedSomething(t *testing.T) {
	client := streamstest.Server.Client()
	b := newBus(t, client)
	e := listen(t, b, schema.GatewayChannel("broken"), schema.StatusChannel(0))
	for range 3 {
		if err := client.Do(t.Context(), "client", "kill", "type", "pubsub").Err(); err != nil {
			t.Fatal(err)
		}
		e.wait(t, "")
		if _, err := b.Publish(t.Context(), []schema.Outgoing{{Gateway: "broken", Payload: []byte("x")}}); err != nil {
			t.Fatal(err)
		}
		e.wait(t, "gateway:{broken} x")
	}
}

// A connection on which the server has stopped talking is half open: nothing tells so but asking.
func TestListenNoticesAServerThatFellSilent(t *testing.T) {
	t.Parallel()
	server := newServer(t)
	b := newBus(t, server.Client())
	e := listen(t, b, schema.GatewayChannel("g"))
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-e:
		t.Fatalf("heard %q", got)
	case <-time.After(8 * time.Second):
	}
	if err := server.Continue(); err != nil {
		t.Fatal(err)
	}
	e.wait(t, "")
}

func TestPublishSaysWhatWasNotPublished(t *testing.T) {
	t.Parallel()
	server := newServer(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() { _ = client.Close() })
	b := newBus(t, client)
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	messages := []schema.Outgoing{{Gateway: "a"}, {Gateway: "b"}}
	failed, err := b.Publish(t.Context(), messages)
	if err == nil || len(failed) != 2 {
		t.Fatal(failed, err)
	}
}
