package streams

import (
	"context"
	"strconv"
	"strings"

	"mpim/domain"
	"mpim/schema"
)

// locate finds the stream id of a partition sequence by halving the time between the first entry and the last: the
// server gives ids by its clock, so sequences rise with them.
func (r Reader) locate(ctx context.Context, partition int, seq int64) (string, error) {
	wanted := domain.Position{Partition: partition, Seq: seq}
	last, err := r.newest(ctx, partition, 1)
	if err != nil {
		return "", err
	}
	if len(last) == 0 || seq > last[0].Seq || seq < 1 {
		return "", noRecord(wanted)
	}
	low, high := int64(0), milliseconds(last[0].StreamID) // the entry is at or after low, and not after high
	for low < high {
		middle := low + (high-low+1)/2
		record, err := r.firstFrom(ctx, partition, strconv.FormatInt(middle, 10))
		if err != nil {
			return "", err
		}
		switch {
		case record == nil: // trimmed or lost this moment
			return "", noRecord(wanted)
		case record.Seq == seq:
			return record.StreamID, nil
		case record.Seq < seq:
			low = middle
		default:
			high = middle - 1
		}
	}
	return r.scan(ctx, wanted, low)
}

// scan looks through the entries of one millisecond and those after it.
func (r Reader) scan(ctx context.Context, wanted domain.Position, from int64) (string, error) {
	page := stretch{from: strconv.FormatInt(from, 10), to: "+"}
	for {
		records, next, err := r.stretch(ctx, wanted.Partition, page)
		if err != nil {
			return "", err
		}
		for _, record := range records {
			if record.Seq == wanted.Seq {
				return record.StreamID, nil
			}
			if record.Seq > wanted.Seq {
				return "", noRecord(wanted)
			}
		}
		if next == "" {
			return "", noRecord(wanted)
		}
		page.from = "(" + next
	}
}

// firstFrom returns the first record from an address on, nil where there is none.
func (r Reader) firstFrom(ctx context.Context, partition int, from string) (*schema.Record, error) {
	r.Page = 1
	for {
		records, next, err := r.stretch(ctx, partition, stretch{from: from, to: "+"})
		if err != nil || next == "" && len(records) == 0 {
			return nil, err
		}
		if len(records) > 0 {
			return records[0], nil
		}
		from, r.Page = "("+next, 100
	}
}

func milliseconds(streamID string) int64 {
	ms, _, _ := strings.Cut(streamID, "-")
	n, _ := strconv.ParseInt(ms, 10, 64)
	return n
}
