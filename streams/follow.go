package streams

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/schema"
)

// Follow yields records as they are appended after the given checkpoints, one a partition, until the context ends. Each
// call waits a second at most, since go-redis does not interrupt a blocking read. A partition that is far behind is read as
// Partition does first.
func (r Reader) Follow(ctx context.Context, after []schema.Checkpoint) iter.Seq2[*schema.Record, error] {
	return func(yield func(*schema.Record, error) bool) {
		for ctx.Err() == nil {
			records, err := r.await(ctx, after)
			for _, record := range records {
				switch at := after[record.Partition]; {
				case record.Seq == at.Seq+1:
					after[record.Partition] = schema.Checkpoint{Seq: record.Seq, StreamID: record.StreamID}
					if !yield(record, nil) {
						return
					}
				case record.Seq <= at.Seq && !idLess(at.StreamID, record.StreamID): // it was among those that Partition yielded
				case !r.fill(ctx, record.Partition, after, yield):
					return
				}
			}
			if err != nil {
				if ctx.Err() == nil {
					yield(nil, err)
				}
				return
			}
		}
	}
}

// fill yields what lies between where a partition was read and its end. It is false where nothing more is to be yielded.
func (r Reader) fill(ctx context.Context, partition int, after []schema.Checkpoint, yield func(*schema.Record, error) bool) bool {
	for record, err := range r.Partition(ctx, partition, after[partition]) {
		if !yield(record, err) || err != nil {
			return false
		}
		after[partition] = schema.Checkpoint{Seq: record.Seq, StreamID: record.StreamID}
	}
	return true
}

func idLess(a, b string) bool {
	left, _ := schema.ParseStreamID(a)
	right, _ := schema.ParseStreamID(b)
	return left.Compare(right) < 0
}

// await returns what comes after the checkpoints, waiting a second at most.
func (r Reader) await(ctx context.Context, after []schema.Checkpoint) ([]*schema.Record, error) {
	streams, err := r.Client.XRead(ctx, followArgs(after, r.Partitions, r.pageSize())).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, unreachable(err)
	}
	byKey := make(map[string]int, r.Partitions)
	for partition := range r.Partitions {
		byKey[schema.PartitionKey(partition, logName)] = partition
	}
	var records []*schema.Record
	for _, stream := range streams {
		for _, entry := range stream.Messages {
			if record := decodeEntry(byKey[stream.Stream], entry); record != nil {
				records = append(records, record)
			}
		}
	}
	return r.opened(ctx, records...)
}

func followArgs(after []schema.Checkpoint, partitions int, page int64) *redis.XReadArgs {
	args := &redis.XReadArgs{Count: page, Block: time.Second}
	for partition := range partitions {
		args.Streams = append(args.Streams, schema.PartitionKey(partition, logName))
	}
	for partition := range partitions {
		id := after[partition].StreamID
		if id == "" {
			id = "0"
		}
		args.Streams = append(args.Streams, id)
	}
	return args
}
