package streams

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/schema"
)

// place is where a reader stands in a partition.
type place struct {
	Reader
	schema.Checkpoint

	partition int
}

// next returns the records that follow and goes behind them. There are none at the end of the log.
func (p *place) next(ctx context.Context) ([]*schema.Record, error) {
	records, err := p.fromStream(ctx)
	gap := (*GapError)(nil)
	if missing := errors.As(err, &gap) && gap.Got > gap.After; err != nil && !missing {
		return nil, err
	}
	if err != nil {
		if p.Segments == nil {
			gap.NoArchive = true
			return nil, gap
		}
		// It was trimmed, perhaps this moment, and then it is archived.
		archived, err := p.Segments.After(ctx, p.partition, p.Seq)
		if err != nil {
			return nil, err
		}
		if len(archived) == 0 || archived[0].Seq != p.Seq+1 {
			return nil, gap
		}
		records = archived
	}
	if n := len(records); n > 0 {
		p.Checkpoint = schema.Checkpoint{Seq: records[n-1].Seq, StreamID: records[n-1].StreamID}
	}
	return records, nil
}

// fromStream returns what the stream has behind the place, which must follow. A GapError tells where it goes on instead.
func (p *place) fromStream(ctx context.Context) ([]*schema.Record, error) {
	if p.Seq > 0 && p.StreamID == "" {
		id, err := p.locate(ctx, p.partition, p.Seq)
		switch {
		case domain.CodeOf(err) == domain.NotFound:
			return nil, p.beyond(ctx, err)
		case err != nil:
			return nil, err
		}
		p.StreamID = id
	}
	page := stretch{from: "-", to: "+"}
	if p.StreamID != "" {
		page.from = "(" + p.StreamID
	}
	looked := false
	for {
		records, next, err := p.stretch(ctx, p.partition, page)
		switch {
		case err != nil:
			return nil, err
		case len(records) > 0:
			return p.following(records)
		case next != "": // nothing on that page has a place in the log
			page.from = "(" + next
			continue
		}
		head, err := p.head(ctx)
		if err != nil || head <= p.Seq {
			return nil, err
		}
		if looked {
			return nil, &GapError{Partition: p.partition, After: p.Seq, Got: head + 1}
		}
		looked = true // what was appended since that page was read is no gap
	}
}

// following returns those of the records that follow the place. It fails where the first does not.
func (p *place) following(records []*schema.Record) ([]*schema.Record, error) {
	for i, record := range records {
		switch {
		case record.Seq == p.Seq+int64(i)+1:
		case i > 0:
			return records[:i], nil
		default:
			return nil, &GapError{Partition: p.partition, After: p.Seq, Got: record.Seq}
		}
	}
	return records, nil
}

// head returns the partition's counter, 0 where there is none.
func (p *place) head(ctx context.Context) (int64, error) {
	head, err := p.Client.HGet(ctx, schema.PartitionKey(p.partition, metaName), "seq").Int64()
	if err != nil && !errors.Is(err, redis.Nil) {
		return 0, unreachable(err)
	}
	return head, nil
}

// beyond returns a GapError where the log has the place, though not in the stream, and the error otherwise.
func (p *place) beyond(ctx context.Context, otherwise error) error {
	head, err := p.head(ctx)
	switch {
	case err != nil:
		return err
	case head == p.Seq:
		return nil
	case head < p.Seq:
		return otherwise
	}
	return &GapError{Partition: p.partition, After: p.Seq, Got: head + 1}
}

// stretch is a run of a stream by its addresses.
type stretch struct{ from, to string }

// stretch returns the first page of a run, and the address behind which it goes on; empty at the end.
func (r Reader) stretch(ctx context.Context, partition int, s stretch) (records []*schema.Record, next string, err error) {
	entries, err := r.Client.XRangeN(ctx, schema.PartitionKey(partition, logName), s.from, s.to, r.pageSize()).Result()
	if err != nil {
		return nil, "", unreachable(err)
	}
	records = make([]*schema.Record, 0, len(entries))
	for _, entry := range entries {
		if record := decodeEntry(partition, entry); record != nil {
			records = append(records, record)
		}
	}
	if n := len(entries); n == int(r.pageSize()) {
		next = entries[n-1].ID
	}
	return records, next, nil
}

// idAt returns the address that stands before all of a time.
func idAt(at time.Time) string { return strconv.FormatInt(max(0, at.UnixMilli()), 10) }
