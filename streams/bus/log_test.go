package bus_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"mpim/schema"
)

func TestAfterTellsALogThatLostItsEnd(t *testing.T) {
	for name, address := range stores(t) {
		t.Run(name, func(t *testing.T) {
			client, b := open(t, address)
			ctx, key := t.Context(), schema.PartitionKey(1, "log")
			expect := func(after string, want schema.StreamID, stands bool) {
				t.Helper()
				if got, ok, err := b.After(ctx, 1, after); err != nil || got != want || ok != stands {
					t.Errorf("after %q: %v, %v, %v, want %v, %v", after, got, ok, err, want, stands)
				}
			}
			id := func(ms uint64) schema.StreamID { return schema.StreamID{Milliseconds: ms} }
			expect("", schema.StreamID{}, true)
			expect("5-0", schema.StreamID{}, false)
			for _, entry := range []string{"10-0", "20-0", "40-0"} {
				if err := client.XAdd(ctx, &redis.XAddArgs{Stream: key, ID: entry, Values: []string{"a", "b"}}).Err(); err != nil {
					t.Fatal(err)
				}
			}
			expect("", id(10), true)
			expect("5-0", id(10), true) // trimmed
			expect("10-0", id(20), true)
			expect("40-0", schema.StreamID{}, true)
			expect("30-0", schema.StreamID{}, false)
			expect("50-0", schema.StreamID{}, false)
		})
	}
}

func TestCheckpointsBelongToTheNewestToken(t *testing.T) {
	for name, address := range stores(t) {
		t.Run(name, func(t *testing.T) {
			_, b := open(t, address)
			ctx := t.Context()
			if c, ok, err := b.TakeCheckpoint(ctx, 2, 5); err != nil || !ok || c != (schema.Checkpoint{}) {
				t.Fatal(c, ok, err)
			}
			save := schema.PushCheckpoint{Partition: 2, Token: 5, Checkpoint: schema.Checkpoint{Seq: 9, StreamID: "7-1"}}
			if lost, err := b.SaveCheckpoints(ctx, []schema.PushCheckpoint{save}); err != nil || len(lost) != 0 {
				t.Fatal(lost, err)
			}
			if c, ok, err := b.TakeCheckpoint(ctx, 2, 6); err != nil || !ok || c != save.Checkpoint {
				t.Fatal(c, ok, err)
			}
			if _, ok, err := b.TakeCheckpoint(ctx, 2, 5); err != nil || ok {
				t.Fatal("an old token took the checkpoint", err)
			}
			save.Seq = 10
			if lost, err := b.SaveCheckpoints(ctx, []schema.PushCheckpoint{save}); err != nil || len(lost) != 1 {
				t.Fatal("an old token moved the checkpoint", lost, err)
			}
		})
	}
}
