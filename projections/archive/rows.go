package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"mpim/projections/archive/segment"
	"mpim/schema"
)

// head is what is known of a segment without its data.
type head struct {
	bun.BaseModel `bun:"table:archive_segments"`

	Partition int   `bun:"log_partition,pk"`
	From      int64 `bun:"from_seq,pk"`
	To        int64 `bun:"to_seq"`
	Count     int64 `bun:"count"`
	Tier      int   `bun:"tier"`
	// Bytes are those of the events before they were compressed.
	Bytes int64 `bun:"bytes"`
	// FirstAt and LastAt are the earliest and the latest time of an event in it, ReachedAt the latest up to its end.
	FirstAt   time.Time `bun:"first_at"`
	LastAt    time.Time `bun:"last_at"`
	ReachedAt time.Time `bun:"reached_at"`
	SHA256    []byte    `bun:"sha256"`
	CreatedAt time.Time `bun:"created_at"`
}

// row is a segment.
type row struct {
	head `bun:",extend"`

	Data []byte `bun:"data"`
}

// partitionRow is how far the archive is in a partition.
type partitionRow struct {
	bun.BaseModel `bun:"table:archive_partitions"`

	Partition  int       `bun:"log_partition,pk"`
	ArchivedTo int64     `bun:"archived_to"`
	VerifiedTo int64     `bun:"verified_to"`
	StreamID   string    `bun:"stream_id"`
	ReachedAt  time.Time `bun:"reached_at"`
	Token      int64     `bun:"token"`
	UpdatedAt  time.Time `bun:"updated_at"`
}

// tierFull is the tier of segments that are not merged any more.
const tierFull = 9

// Bounds of a segment. It has to fit into one packet to the server, and is decompressed whole.
const (
	maxEvents = 32768
	maxBytes  = 8 << 20
)

// newRow encodes records. Reached is the latest time before them.
func newRow(records []*schema.Record, tier int, level segment.Level, reached time.Time) (*row, error) {
	r := &row{head: describe(records, reached)}
	r.Tier, r.CreatedAt = tier, now()
	var err error
	if r.Data, err = segment.Encode(records, level); err != nil {
		return nil, err
	}
	r.setHash()
	return r, nil
}

// describe returns what a row says of its records. Reached is the latest time before them.
func describe(records []*schema.Record, reached time.Time) head {
	first := records[0]
	h := head{Partition: first.Partition, From: first.Seq, To: records[len(records)-1].Seq, Count: int64(len(records)), ReachedAt: reached}
	for _, record := range records {
		h.Bytes += sizeOf(record)
		if record.At.IsZero() {
			continue
		}
		if h.FirstAt.IsZero() || record.At.Before(h.FirstAt) {
			h.FirstAt = record.At
		}
		if record.At.After(h.LastAt) {
			h.LastAt = record.At
		}
	}
	if h.LastAt.After(h.ReachedAt) {
		h.ReachedAt = h.LastAt
	}
	if h.FirstAt.IsZero() { // no event of it has a time that can be read
		h.FirstAt, h.LastAt = h.ReachedAt, h.ReachedAt
	}
	return h
}

func (r *row) setHash() {
	sum := sha256.Sum256(r.Data)
	r.SHA256 = sum[:]
}

// decode returns the records of a segment that was read. An error says where it is damaged.
func (r *row) decode() ([]*schema.Record, error) {
	if sum := sha256.Sum256(r.Data); !bytes.Equal(sum[:], r.SHA256) {
		return nil, &DamagedError{Partition: r.Partition, From: r.From, To: r.To, Cause: errHash}
	}
	records, err := segment.Decode(r.Data)
	if err != nil {
		return nil, &DamagedError{Partition: r.Partition, From: r.From, To: r.To, Cause: err}
	}
	if records[0].Partition != r.Partition || records[0].Seq != r.From || records[len(records)-1].Seq != r.To {
		return nil, &DamagedError{Partition: r.Partition, From: r.From, To: r.To, Cause: errPlace}
	}
	return records, nil
}

// cut returns how many of the records make one segment.
func cut(records []*schema.Record) (n int) {
	size := int64(0)
	for n < len(records) && n < maxEvents {
		if size += sizeOf(records[n]); n > 0 && size > maxBytes {
			break
		}
		n++
	}
	return n
}

func sizeOf(r *schema.Record) int64 { return int64(len(r.ID) + len(r.Metadata) + len(r.Payload)) }

// isFull says whether a segment is long enough to stay.
func isFull(count, size int64) bool { return count >= maxEvents*3/4 || size >= maxBytes*3/4 }

// same wants the row that the database has to be the one that was written, byte by byte.
func (r *row) same(ctx context.Context, tx bun.Tx) error {
	var kept row
	err := tx.NewSelect().Model(&kept).Where("log_partition = ? AND from_seq = ?", r.Partition, r.From).Scan(ctx)
	if err != nil {
		return fmt.Errorf("read the segment back: %w", err)
	}
	if kept.To != r.To || !bytes.Equal(kept.Data, r.Data) {
		return &DamagedError{Partition: r.Partition, From: r.From, To: r.To, Cause: errHash}
	}
	_, err = kept.decode()
	return err
}

func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
