package streams

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/schema"
)

// Reader reads the log in order, from any position.
type Reader struct {
	// Client reaches the server; it is not closed.
	Client redis.UniversalClient
	// Partitions is the log's.
	Partitions int
	// Page is how many entries one call reads. The default is 1,000.
	Page int64
}

// GapError says that an entry does not follow the one before it: a fork of the log, or a part that is gone.
type GapError struct {
	Partition int
	// After is the last sequence that was read, Got the one that came.
	After, Got int64
}

// Error names the missing events.
func (e *GapError) Error() string {
	return fmt.Sprintf("partition %d: event %d follows event %d: what is between is not in Redis", e.Partition, e.Got, e.After)
}

// Partition yields the records of one partition after the given checkpoint, up to the newest when the read began or
// later. The sequence ends with an error where the log cannot be read, or has a gap ([GapError]).
func (r Reader) Partition(ctx context.Context, partition int, after schema.Checkpoint) iter.Seq2[*schema.Record, error] {
	return func(yield func(*schema.Record, error) bool) {
		after, err := r.located(ctx, partition, after)
		if err != nil {
			yield(nil, err)
			return
		}
		for {
			records, err := r.page(ctx, partition, after)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, record := range records {
				if after.Seq > 0 && record.Seq != after.Seq+1 {
					yield(nil, &GapError{Partition: partition, After: after.Seq, Got: record.Seq})
					return
				}
				if !yield(record, nil) {
					return
				}
				after = schema.Checkpoint{Seq: record.Seq, StreamID: record.StreamID}
			}
			if len(records) < int(r.pageSize()) {
				return
			}
		}
	}
}

// located adds the address to a checkpoint that lacks it.
func (r Reader) located(ctx context.Context, partition int, c schema.Checkpoint) (schema.Checkpoint, error) {
	if c.Seq == 0 || c.StreamID != "" {
		return c, nil
	}
	var err error
	c.StreamID, err = r.locate(ctx, partition, c.Seq)
	return c, err
}

// Heads returns the last sequence of every partition, by its number.
func (r Reader) Heads(ctx context.Context) ([]int64, error) {
	heads := make([]int64, r.Partitions)
	replies := make([]*redis.StringCmd, len(heads))
	_, err := r.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for partition := range heads {
			replies[partition] = p.HGet(ctx, schema.PartitionKey(partition, metaName), "seq")
		}
		return nil
	})
	if err != nil {
		return nil, unreachable(err)
	}
	for partition, reply := range replies {
		if heads[partition], err = reply.Int64(); err != nil {
			return nil, fmt.Errorf("counter of partition %d: %w", partition, err)
		}
	}
	return heads, nil
}

// Latest returns the newest n records of a partition, oldest first.
func (r Reader) Latest(ctx context.Context, partition int, n int64) ([]*schema.Record, error) {
	entries, err := r.Client.XRevRangeN(ctx, schema.PartitionKey(partition, logName), "+", "-", n).Result()
	if err != nil {
		return nil, unreachable(err)
	}
	records := make([]*schema.Record, len(entries))
	for i, entry := range entries {
		if records[len(entries)-1-i], err = decodeEntry(partition, entry); err != nil {
			return nil, err
		}
	}
	return records, nil
}

// At returns the record at a position. The error is of kind NotFound where the stream does not hold it.
func (r Reader) At(ctx context.Context, p domain.Position) (*schema.Record, error) {
	if p.Partition >= r.Partitions {
		return nil, domain.Errorf(domain.NotFound, "the log has partitions 0 to %d", r.Partitions-1)
	}
	id, err := r.locate(ctx, p.Partition, p.Seq)
	if err != nil {
		return nil, err
	}
	entries, err := r.Client.XRangeN(ctx, schema.PartitionKey(p.Partition, logName), id, id, 1).Result()
	if err != nil {
		return nil, unreachable(err)
	}
	if len(entries) == 0 {
		return nil, noRecord(p)
	}
	return decodeEntry(p.Partition, entries[0])
}

func noRecord(p domain.Position) error {
	return domain.Errorf(domain.NotFound, "the stream holds no event at %s", p)
}

func (r Reader) pageSize() int64 {
	if r.Page > 0 {
		return r.Page
	}
	return 1000
}

func (r Reader) page(ctx context.Context, partition int, after schema.Checkpoint) ([]*schema.Record, error) {
	from := "-"
	if after.StreamID != "" {
		from = "(" + after.StreamID
	}
	entries, err := r.Client.XRangeN(ctx, schema.PartitionKey(partition, logName), from, "+", r.pageSize()).Result()
	if err != nil {
		return nil, unreachable(err)
	}
	records := make([]*schema.Record, len(entries))
	for i, entry := range entries {
		if records[i], err = decodeEntry(partition, entry); err != nil {
			return nil, err
		}
	}
	return records, nil
}

// locate finds the stream id of a partition sequence by halving the time between the first entry and the last: the
// server gives ids by its clock, so sequences rise with them.
func (r Reader) locate(ctx context.Context, partition int, seq int64) (string, error) {
	key := schema.PartitionKey(partition, logName)
	wanted := domain.Position{Partition: partition, Seq: seq}
	last, err := r.Latest(ctx, partition, 1)
	if err != nil {
		return "", err
	}
	if len(last) == 0 || seq > last[0].Seq || seq < 1 {
		return "", noRecord(wanted)
	}
	low, high := int64(0), milliseconds(last[0].StreamID) // the entry is at or after low, and not after high
	for low < high {
		middle := low + (high-low+1)/2
		entries, err := r.Client.XRangeN(ctx, key, strconv.FormatInt(middle, 10), "+", 1).Result()
		if err != nil {
			return "", unreachable(err)
		}
		record, err := decodeEntry(partition, entries[0])
		if err != nil {
			return "", err
		}
		switch {
		case record.Seq == seq:
			return record.StreamID, nil
		case record.Seq < seq:
			low = middle
		default:
			high = middle - 1
		}
	}
	return r.scan(ctx, key, wanted, low)
}

// scan looks through the entries of one millisecond and those after it.
func (r Reader) scan(ctx context.Context, key string, wanted domain.Position, from int64) (string, error) {
	start := strconv.FormatInt(from, 10)
	for {
		entries, err := r.Client.XRangeN(ctx, key, start, "+", r.pageSize()).Result()
		if err != nil {
			return "", unreachable(err)
		}
		for _, entry := range entries {
			record, err := decodeEntry(wanted.Partition, entry)
			if err != nil {
				return "", err
			}
			if record.Seq == wanted.Seq {
				return record.StreamID, nil
			}
			if record.Seq > wanted.Seq {
				return "", noRecord(wanted)
			}
		}
		if len(entries) < int(r.pageSize()) {
			return "", noRecord(wanted)
		}
		start = "(" + entries[len(entries)-1].ID
	}
}

func milliseconds(streamID string) int64 {
	ms, _, _ := strings.Cut(streamID, "-")
	n, _ := strconv.ParseInt(ms, 10, 64)
	return n
}

func decodeEntry(partition int, entry redis.XMessage) (*schema.Record, error) {
	uuid, _ := entry.Values[schema.UUIDField].(string)
	metadata, _ := entry.Values[schema.MetadataField].(string)
	payload, _ := entry.Values[schema.PayloadField].(string)
	record, err := schema.DecodeRecord(partition, entry.ID, uuid, []byte(metadata), []byte(payload))
	if err != nil {
		return nil, err
	}
	return &record, nil
}

// Merged yields the records of all partitions after the given sequences (nil for all), in order in each partition and
// merged by effective time: the latest time that the partition has reached, since clocks step back and logs do not.
func (r Reader) Merged(ctx context.Context, after []int64) iter.Seq2[*schema.Record, error] {
	return func(yield func(*schema.Record, error) bool) {
		var sources []*source
		defer func() {
			for _, s := range sources {
				s.stop()
			}
		}()
		for partition := range r.Partitions {
			checkpoint := schema.Checkpoint{}
			if partition < len(after) {
				checkpoint.Seq = after[partition]
			}
			s := &source{}
			s.next, s.stop = iter.Pull2(r.Partition(ctx, partition, checkpoint))
			sources = append(sources, s)
			s.advance()
		}
		for {
			first := earliest(sources)
			if first == nil {
				return
			}
			if !yield(first.record, first.err) || first.err != nil {
				return
			}
			first.advance()
		}
	}
}

// source is one partition of a merge.
type source struct {
	next   func() (*schema.Record, error, bool)
	stop   func()
	record *schema.Record
	err    error
	ok     bool
	at     time.Time
}

func (s *source) advance() {
	s.record, s.err, s.ok = s.next()
	if s.ok && s.err == nil && s.record.At.After(s.at) {
		s.at = s.record.At
	}
}

// earliest returns the source whose record comes next, one that failed before all others, nil at the end.
func earliest(sources []*source) *source {
	var first *source
	for _, s := range sources {
		switch {
		case !s.ok:
		case s.err != nil:
			return s
		case first == nil || s.at.Before(first.at):
			first = s
		}
	}
	return first
}

// Follow yields records as they are appended after the given checkpoints, one a partition, until the context ends. Each
// call waits a second at most, since go-redis does not interrupt a blocking read.
func (r Reader) Follow(ctx context.Context, after []schema.Checkpoint) iter.Seq2[*schema.Record, error] {
	return func(yield func(*schema.Record, error) bool) {
		for ctx.Err() == nil {
			records, err := r.await(ctx, after)
			for _, record := range records {
				if !yield(record, nil) {
					return
				}
				after[record.Partition] = schema.Checkpoint{Seq: record.Seq, StreamID: record.StreamID}
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

// await returns what comes after the checkpoints, waiting a second at most, and an error behind what could be read.
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
			record, err := decodeEntry(byKey[stream.Stream], entry)
			if err != nil {
				return records, err
			}
			records = append(records, record)
		}
	}
	return records, nil
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
