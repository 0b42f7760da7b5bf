package streams

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/schema"
)

// Reader reads the log in order, from any position: what is archived and no longer in the stream first, then the stream, as
// one sequence a partition. Trimming that goes on meanwhile is not seen.
type Reader struct {
	// Client reaches the server; it is not closed.
	Client redis.UniversalClient
	// Partitions is the log's.
	Partitions int
	// Segments is the archive. Without it what was trimmed cannot be read, and reading it is a GapError.
	Segments Segments
	// Page is how many entries one call reads. The default is 1,000.
	Page int64
	// Opener opens what is sealed in records. By default they are as the log has them.
	Opener Opener
}

// Opener opens the personal members of records.
type Opener interface {
	// Open opens the records in place. An error says that the keys cannot be had just now.
	Open(ctx context.Context, records []*schema.Record) error
}

// opened returns the records with what is sealed in them opened.
func (r Reader) opened(ctx context.Context, records ...*schema.Record) ([]*schema.Record, error) {
	if r.Opener == nil || len(records) == 0 {
		return records, nil
	}
	if err := r.Opener.Open(ctx, records); err != nil {
		return nil, fmt.Errorf("open events: %w", err)
	}
	return records, nil
}

// openedOne is opened for one record, or none.
func (r Reader) openedOne(ctx context.Context, record *schema.Record, err error) (*schema.Record, error) {
	if record == nil || err != nil {
		return record, err
	}
	_, err = r.opened(ctx, record)
	return record, err
}

// GapError says that an event does not follow the one before it: a fork of the log, or a part that is gone.
type GapError struct {
	Partition int
	// After is the last sequence that was read, Got the one that came.
	After, Got int64
	// NoArchive says that no archive was asked.
	NoArchive bool
}

// Error names the missing events.
func (e *GapError) Error() string {
	if e.Got <= e.After {
		return fmt.Sprintf("partition %d: event %d comes behind event %d: the log was forked; run `mpim log repair`", e.Partition, e.Got, e.After)
	}
	if e.NoArchive {
		return fmt.Sprintf("partition %d: event %d follows event %d: what is between is no longer in Redis; set MPIM_DATABASE_URL to read it from the archive",
			e.Partition, e.Got, e.After)
	}
	return fmt.Sprintf("partition %d: event %d follows event %d: what is between is neither in Redis nor archived", e.Partition, e.Got, e.After)
}

// Partition yields the records of one partition after the given checkpoint, up to the newest when the read began or
// later. The sequence ends with an error where the log cannot be read, or has a gap ([GapError]). An entry that cannot be
// decoded comes as a broken record.
func (r Reader) Partition(ctx context.Context, partition int, after schema.Checkpoint) iter.Seq2[*schema.Record, error] {
	return func(yield func(*schema.Record, error) bool) {
		at := place{Reader: r, partition: partition, Checkpoint: after}
		for {
			records, err := at.next(ctx)
			if err == nil {
				records, err = r.opened(ctx, records...)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			for _, record := range records {
				if !yield(record, nil) {
					return
				}
			}
			if len(records) == 0 {
				return
			}
		}
	}
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

// Latest returns the newest n records of a partition, oldest first. Those that were trimmed come from the archive, where
// there is one.
func (r Reader) Latest(ctx context.Context, partition int, n int64) ([]*schema.Record, error) {
	records, err := r.newest(ctx, partition, n)
	if err == nil {
		records, err = r.opened(ctx, records...)
	}
	if err != nil || int64(len(records)) >= n || r.Segments == nil {
		return records, err
	}
	head, err := r.Client.HGet(ctx, schema.PartitionKey(partition, metaName), "seq").Int64()
	if err != nil {
		return nil, unreachable(err)
	}
	from := max(0, head-n)
	if len(records) > 0 && records[0].Seq <= from+1 || head == 0 {
		return records, nil
	}
	records = nil
	for record, err := range r.Partition(ctx, partition, schema.Checkpoint{Seq: from}) {
		if err != nil {
			return nil, err
		}
		records = append(records, record)
	}
	return records[max(0, len(records)-int(n)):], nil
}

// newest returns the newest records that the stream holds, at most n.
func (r Reader) newest(ctx context.Context, partition int, n int64) ([]*schema.Record, error) {
	entries, err := r.Client.XRevRangeN(ctx, schema.PartitionKey(partition, logName), "+", "-", n).Result()
	if err != nil {
		return nil, unreachable(err)
	}
	records := make([]*schema.Record, 0, len(entries))
	for _, entry := range slices.Backward(entries) {
		if record := decodeEntry(partition, entry); record != nil {
			records = append(records, record)
		}
	}
	return records, nil
}

// At returns the record at a position. The error is of kind NotFound where neither stream nor archive hold it.
func (r Reader) At(ctx context.Context, p domain.Position) (*schema.Record, error) {
	record, err := r.stored(ctx, p)
	return r.openedOne(ctx, record, err)
}

// stored returns the record at a position as it is stored.
func (r Reader) stored(ctx context.Context, p domain.Position) (*schema.Record, error) {
	if p.Partition < 0 || p.Partition >= r.Partitions {
		return nil, domain.Errorf(domain.NotFound, "the log has partitions 0 to %d", r.Partitions-1)
	}
	if p.Seq < 1 {
		return nil, noRecord(p)
	}
	id, err := r.locate(ctx, p.Partition, p.Seq)
	if domain.CodeOf(err) == domain.NotFound {
		return r.archivedAt(ctx, p)
	}
	if err != nil {
		return nil, err
	}
	entries, err := r.Client.XRangeN(ctx, schema.PartitionKey(p.Partition, logName), id, id, 1).Result()
	if err != nil {
		return nil, unreachable(err)
	}
	if len(entries) == 0 { // trimmed since
		return r.archivedAt(ctx, p)
	}
	return decodeEntry(p.Partition, entries[0]), nil
}

func noRecord(p domain.Position) error {
	return domain.Errorf(domain.NotFound, "the log holds no event at %s", p)
}

// Entries returns the next entries of a partition behind a stream id, "" for the first, at most limit, as they are: nothing says that
// they follow each other. One that has no place in the log comes as a broken record without a sequence.
func (r Reader) Entries(ctx context.Context, partition int, after string, limit int) ([]*schema.Record, error) {
	from := "-"
	if after != "" {
		from = "(" + after
	}
	entries, err := r.Client.XRangeN(ctx, schema.PartitionKey(partition, logName), from, "+", int64(limit)).Result()
	if err != nil {
		return nil, unreachable(err)
	}
	records := make([]*schema.Record, len(entries))
	for i, entry := range entries {
		if records[i] = decodeEntry(partition, entry); records[i] == nil {
			records[i] = &schema.Record{StreamID: entry.ID, Broken: errors.New("it has no place in the log")}
		}
	}
	return records, nil
}

func (r Reader) pageSize() int64 {
	if r.Page > 0 {
		return r.Page
	}
	return 1000
}

// decodeEntry returns nil for an entry that has no place in the log, and a broken record for one that has a place and cannot
// be decoded.
func decodeEntry(partition int, entry redis.XMessage) *schema.Record {
	uuid, _ := entry.Values[schema.UUIDField].(string)
	metadata, _ := entry.Values[schema.MetadataField].(string)
	payload, _ := entry.Values[schema.PayloadField].(string)
	record, err := schema.DecodeRecord(partition, entry.ID, uuid, []byte(metadata), []byte(payload))
	if record.Seq < 1 {
		return nil
	}
	record.Broken = err
	return &record
}
