package streams_test

import (
	"strconv"
	"testing"

	"github.com/ThreeDotsLabs/watermill-redisstream/pkg/redisstream"

	"mpim/domain"
	"mpim/schema"
	"mpim/streams"
	"mpim/streams/streamstest"
)

// Whoever uses Watermill reads the log with its stock package alone, as a group or as one of many.
func TestStockSubscriberReadsTheLog(t *testing.T) {
	t.Parallel()
	server := streamstest.StartRedis(t)
	log := createLog(t, server.Client(), streams.Config{})
	aggregates := neighbours(log.Identity(), 2)
	const n = 20
	appended := make([]domain.Appended, n)
	for i := range appended {
		var err error
		if appended[i], err = log.Append(t.Context(), message(aggregates[i%2], i%3 == 0)); err != nil {
			t.Fatal(err)
		}
	}
	one := redisstream.SubscriberConfig{Client: server.Client(), FanOutOldestId: "0"}
	readStock(t, one, appended)
	group := redisstream.SubscriberConfig{Client: server.Client(), ConsumerGroup: "g", Consumer: "c", OldestId: "0"}
	readStock(t, group, appended)
}

func readStock(t *testing.T, config redisstream.SubscriberConfig, appended []domain.Appended) {
	t.Helper()
	subscriber, err := redisstream.NewSubscriber(config, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := subscriber.Close(); err != nil {
			t.Error(err)
		}
	}()
	messages, err := subscriber.Subscribe(t.Context(), schema.PartitionKey(1, "log"))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range appended {
		m := <-messages
		for key, value := range map[string]string{
			schema.TypeKey:         string(domain.TypeMessageSent),
			schema.PartitionSeqKey: strconv.Itoa(i + 1),
			schema.SeqKey:          strconv.FormatInt(int64(want.Seq), 10),
			schema.OrdinalKey:      strconv.FormatInt(want.Ordinal, 10),
		} {
			if m.Metadata.Get(key) != value {
				t.Errorf("message %d has %s %q, want %q", i, key, m.Metadata.Get(key), value)
			}
		}
		if m.UUID != string(want.Event) || len(m.Payload) == 0 {
			t.Errorf("message %d is %s, %s; want event %s", i, m.UUID, m.Payload, want.Event)
		}
		m.Ack()
	}
}
