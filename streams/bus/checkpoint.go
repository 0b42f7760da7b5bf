package bus

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"mpim/schema"
)

// TakeCheckpoint returns how far a partition is pushed, and refuses from then on whoever saves under an older token. It
// is false where a newer token has taken it. A partition that was never pushed has the zero Checkpoint.
func (b *Bus) TakeCheckpoint(ctx context.Context, partition int, token int64) (c schema.Checkpoint, ok bool, err error) {
	kept, err := takeScript.Run(ctx, b.client, []string{schema.PartitionKey(partition, checkpointName)}, token).StringSlice()
	if err != nil {
		return c, false, unreachable(err)
	}
	if len(kept) != 2 {
		return c, false, nil
	}
	if kept[0] != "" {
		if c.Seq, err = strconv.ParseInt(kept[0], 10, 64); err != nil {
			return c, false, fmt.Errorf("checkpoint of push in partition %d: %w", partition, err)
		}
	}
	c.StreamID = kept[1]
	return c, true, nil
}

// SaveCheckpoints saves how far partitions are pushed, in one round trip, and returns those that a newer token has taken.
func (b *Bus) SaveCheckpoints(ctx context.Context, saves []schema.PushCheckpoint) (lost []schema.PushCheckpoint, err error) {
	if len(saves) == 0 {
		return nil, nil
	}
	calls := make([]call, len(saves))
	for i, s := range saves {
		calls[i] = call{
			keys: []string{schema.PartitionKey(s.Partition, checkpointName)},
			args: []any{s.Token, s.Seq, s.StreamID},
		}
	}
	results, err := b.evalAll(ctx, saveScript, calls)
	if err != nil {
		return nil, err
	}
	for i, result := range results {
		saved, err := result.Int()
		if err != nil {
			return nil, unreachable(err)
		}
		if saved == 0 {
			lost = append(lost, saves[i])
		}
	}
	return lost, nil
}

// LogHeads returns where the logs of the given partitions end now, in their order; the zero Checkpoint for one without
// events.
func (b *Bus) LogHeads(ctx context.Context, partitions []int) ([]schema.Checkpoint, error) {
	last := make([]*redis.XMessageSliceCmd, len(partitions))
	_, err := b.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, partition := range partitions {
			last[i] = p.XRevRangeN(ctx, schema.PartitionKey(partition, logName), "+", "-", 1)
		}
		return nil
	})
	if err != nil {
		return nil, unreachable(err)
	}
	heads := make([]schema.Checkpoint, len(partitions))
	for i, reply := range last {
		if heads[i], err = headOf(partitions[i], reply.Val()); err != nil {
			return nil, err
		}
	}
	return heads, nil
}

// After returns the id of the first event of a partition's log after the given one, zero where there is none. It is false
// where the log has older events but not the given one: its end was lost, and it grew again.
func (b *Bus) After(ctx context.Context, partition int, streamID string) (first schema.StreamID, stands bool, err error) {
	key := schema.PartitionKey(partition, logName)
	from, skip := "-", 0
	if streamID != "" {
		from, skip = streamID, 1
	}
	var oldest, next *redis.XMessageSliceCmd
	_, err = b.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		oldest = p.XRangeN(ctx, key, "-", "+", 1)
		next = p.XRangeN(ctx, key, from, "+", int64(1+skip))
		return nil
	})
	if err != nil {
		return first, false, unreachable(err)
	}
	entries := next.Val()
	if skip == 1 {
		if len(entries) > 0 && entries[0].ID == streamID {
			entries = entries[1:]
		} else if stands, err = isTrimmed(oldest.Val(), streamID); err != nil || !stands {
			return first, false, err
		}
	}
	if len(entries) > 0 {
		first, err = schema.ParseStreamID(entries[0].ID)
	}
	return first, true, err
}

// isTrimmed says whether an entry may be gone because it is older than the oldest.
func isTrimmed(oldest []redis.XMessage, streamID string) (bool, error) {
	if len(oldest) == 0 {
		return false, nil
	}
	begin, err := schema.ParseStreamID(oldest[0].ID)
	if err != nil {
		return false, err
	}
	id, err := schema.ParseStreamID(streamID)
	return id.Compare(begin) < 0, err
}

func headOf(partition int, entries []redis.XMessage) (schema.Checkpoint, error) {
	if len(entries) == 0 {
		return schema.Checkpoint{}, nil
	}
	e := entries[0]
	field := func(name string) string { s, _ := e.Values[name].(string); return s }
	record, err := schema.DecodeRecord(partition, e.ID,
		field(schema.UUIDField), []byte(field(schema.MetadataField)), []byte(field(schema.PayloadField)))
	if err != nil {
		return schema.Checkpoint{}, fmt.Errorf("end of the log: %w", err)
	}
	return schema.Checkpoint{Seq: record.Seq, StreamID: e.ID}, nil
}
