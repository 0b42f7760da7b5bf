package stock_test

import (
	"context"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill-redisstream/pkg/redisstream"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"mpim/streams/stock"
	"mpim/streams/streamstest"
)

var partitions atomic.Int64

func TestMain(m *testing.M) {
	// The stock subscriber sleeps half a second after a failed read, whatever becomes of it meanwhile.
	os.Exit(streamstest.Main(m, goleak.IgnoreAnyFunction("github.com/ThreeDotsLabs/watermill-redisstream/pkg/redisstream.(*Subscriber).read")))
}

// world is one partition's stream, and somebody who appends to it and looks.
type world struct {
	*testing.T
	topic  string
	client *redis.Client
}

func newWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	return &world{T: t, topic: stock.Topic(int(partitions.Add(1))), client: streamstest.Server.Client()}
}

func (w *world) append(uuids ...string) {
	w.Helper()
	for _, uuid := range uuids {
		m := message.NewMessage(uuid, []byte(`{}`))
		m.Metadata.Set("type", "message.sent")
		values, err := redisstream.DefaultMarshallerUnmarshaller{}.Marshal("", m)
		if err != nil {
			w.Fatal(err)
		}
		if err := w.client.XAdd(w.Context(), &redis.XAddArgs{Stream: w.topic, Values: values}).Err(); err != nil {
			w.Fatal(err)
		}
	}
}

// read begins to read as a consumer, until stop is called.
func (w *world) read(consumer string) (messages <-chan *message.Message, stop func()) {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	subscriber, err := stock.New(stock.Config{
		Client: redis.NewClient(&redis.Options{Addr: streamstest.Server.Addr(), ContextTimeoutEnabled: true}), Group: "g", Consumer: consumer,
		TakeOver: 2 * time.Second, Keep: 50 * time.Millisecond,
	})
	if err != nil {
		w.Fatal(err)
	}
	if messages, err = subscriber.Subscribe(ctx, w.topic); err != nil {
		w.Fatal(err)
	}
	return messages, func() {
		cancel()
		for range messages { // until it is closed
		}
		if err := subscriber.Close(); err != nil {
			w.Error(err)
		}
	}
}

// take takes so many messages, and acknowledges them.
func (w *world) take(messages <-chan *message.Message, n int) (uuids []string) {
	w.Helper()
	for range n {
		select {
		case m := <-messages:
			uuids = append(uuids, m.UUID)
			m.Ack()
		case <-time.After(20 * time.Second):
			w.Fatalf("only %v came", uuids)
		}
	}
	return uuids
}

// until polls until check is true.
func (w *world) until(what string, check func() bool) {
	w.Helper()
	limit := time.After(20 * time.Second)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !check() {
		select {
		case <-ticker.C:
		case <-limit:
			w.Fatalf("never: %s", what)
		}
	}
}

func (w *world) groupStands() bool {
	groups, err := w.client.XInfoGroups(w.Context(), w.topic).Result()
	return err == nil && len(groups) == 1
}

func TestBeginsAtTheEnd(t *testing.T) {
	w := newWorld(t)
	w.append("before")
	messages, stop := w.read("c")
	defer stop()
	w.until("the group stands", w.groupStands)
	w.append("1", "2")
	if got := w.take(messages, 2); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("got %v", got)
	}
}

// What a worker had in hand when it was killed goes to another.
func TestAnotherTakesOver(t *testing.T) {
	w := newWorld(t)
	messages, stop := w.read("killed")
	w.until("the group stands", w.groupStands)
	w.append("1", "2")
	<-messages // not acknowledged
	stop()
	messages, stop = w.read("other")
	defer stop()
	got := w.take(messages, 2)
	slices.Sort(got)
	if !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("got %v", got)
	}
}

// An entry that nobody can decode is handed on, and does not stop the rest.
func TestUndecodableEntry(t *testing.T) {
	w := newWorld(t)
	messages, stop := w.read("c")
	defer stop()
	w.until("the group stands", w.groupStands)
	for _, values := range [][]string{{"nonsense", "1"}, {"_watermill_message_uuid", "1", "metadata", "\xff\xff", "payload", "{}"}} {
		if err := w.client.XAdd(t.Context(), &redis.XAddArgs{Stream: w.topic, Values: values}).Err(); err != nil {
			t.Fatal(err)
		}
		m := <-messages
		if m.Metadata.Get(stock.BrokenKey) == "" {
			t.Errorf("%v came as sound: %v", values, m)
		}
		m.Ack()
	}
	w.append("1")
	if got := w.take(messages, 1); got[0] != "1" {
		t.Errorf("got %v", got)
	}
}

// A group that was lost is made again where it was: nothing is passed over, and what was done long ago does not come again.
func TestLostGroup(t *testing.T) {
	w := newWorld(t)
	messages, stop := w.read("c")
	defer stop()
	w.until("the group stands", w.groupStands)
	w.append("1", "2", "3")
	w.take(messages, 2)
	third := <-messages
	entries, err := w.client.XRange(t.Context(), w.topic, "-", "+").Result()
	if err != nil {
		t.Fatal(err)
	}
	w.until("it is kept that 2 is done and 3 is not", func() bool {
		place, err := w.client.HGet(t.Context(), w.topic[:len(w.topic)-len("log")]+"reactors", "g").Result()
		return err == nil && place >= entries[1].ID && place < entries[2].ID
	})
	if err := w.client.XGroupDestroy(t.Context(), w.topic, "g").Err(); err != nil {
		t.Fatal(err)
	}
	w.append("4")
	third.Ack()
	if got := w.take(messages, 2); !slices.Equal(got, []string{"3", "4"}) {
		t.Errorf("got %v", got)
	}
}
