package batch_test

import (
	"context"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"

	"mpim/schema"
	"mpim/streams/batch"
	"mpim/streams/lease"
	"mpim/streams/streamstest"
)

// benchEvents is how many events of about 500 bytes one round reads.
const benchEvents = 20_000

// BenchmarkRead compares reading a partition through the subscriber with what bounds it: the same reads by the same client
// library, with nothing done with the answers. The second consumer finds the events decoded.
func BenchmarkRead(b *testing.B) {
	server := streamstest.StartRedis(b)
	client := server.Client()
	fill(b, client)
	b.Run("raw", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			readRaw(b, client, "raw"+strconv.Itoa(i))
		}
		b.ReportMetric(float64(b.N*benchEvents)/b.Elapsed().Seconds(), "events/s")
	})
	for _, consumers := range []int{1, 2} {
		b.Run("consumers="+strconv.Itoa(consumers), func(b *testing.B) {
			for b.Loop() {
				readBatches(b, client, consumers)
			}
			b.ReportMetric(float64(b.N*benchEvents*consumers)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

func fill(b *testing.B, client *redis.Client) {
	b.Helper()
	text := make([]byte, 200)
	for i := range text {
		text[i] = 'a' + byte(i%26)
	}
	d := draft(b, 0, string(text))
	for seq := int64(1); seq <= benchEvents; {
		pipe := client.Pipeline()
		for range 500 {
			pipe.XAdd(b.Context(), entry(0, string(d.ID), complete(d, seq), d.Payload))
			seq++
		}
		if _, err := pipe.Exec(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func readRaw(b *testing.B, client *redis.Client, group string) {
	b.Helper()
	if err := client.XGroupCreate(b.Context(), logKey(0), group, "0").Err(); err != nil {
		b.Fatal(err)
	}
	for n := 0; n < benchEvents; {
		streams, err := client.XReadGroup(b.Context(), &redis.XReadGroupArgs{
			Group: group, Consumer: "raw", Streams: []string{logKey(0), ">"}, Count: batch.DefaultSize, Block: -1, NoAck: true,
		}).Result()
		if err != nil {
			b.Fatal(err)
		}
		n += len(streams[0].Messages)
	}
}

func readBatches(b *testing.B, client *redis.Client, consumers int) {
	b.Helper()
	config := batch.Config{Client: client, Partitions: 1, Worker: "bench"}
	for i := range consumers {
		config.Consumers = append(config.Consumers, batch.Consumer{Name: "consumer" + strconv.Itoa(i), Checkpoints: newLedger()})
	}
	sub, err := batch.New(config)
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(b.Context())
	for _, c := range config.Consumers {
		messages, err := sub.Subscribe(ctx, c.Name)
		if err != nil {
			b.Fatal(err)
		}
		go sub.Hold(ctx, lease.Lease{Consumer: c.Name, Token: 1})
		go func() {
			for msg := range messages {
				to := schema.BatchFrom(msg.Context()).To
				msg.Ack()
				if to == benchEvents {
					done <- struct{}{}
				}
			}
		}()
	}
	for range consumers {
		<-done
	}
	cancel()
	if err := sub.Close(); err != nil {
		b.Fatal(err)
	}
}
