package audit

import (
	"context"
	"fmt"
	"strconv"

	"mpim/schema"
)

// confirm wants records that were read from the archive to be those of the stream, as far as that still holds them. Between archiving and
// signing who can write to the database could change them, and have the change signed; and could keep a head from being written to
// have the time for it.
func (s *Signer) confirm(ctx context.Context, partition int, records []*schema.Record) error {
	if s.config.Stream == nil {
		return nil
	}
	first, err := s.config.Stream.Entries(ctx, partition, "", 1)
	if err != nil {
		return err
	}
	if len(first) == 0 || first[0].Seq > records[len(records)-1].Seq {
		return nil // trimmed: the archive is all there is
	}
	if before := first[0].Seq - records[0].Seq; before > 0 {
		records = records[before:]
	}
	rest, err := s.follow(ctx, partition, earlier(records[0].StreamID), records)
	if err == nil && len(rest) > 0 { // the address is what the archive says; a repair may have given another
		rest, err = s.follow(ctx, partition, "", records)
	}
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("event %s is archived, and the stream, which begins before it, does not hold it: `mpim audit verify` says more", rest[0].Position)
	}
	return err
}

// follow compares records with the entries behind an address, and returns those that it did not find there.
func (s *Signer) follow(ctx context.Context, partition int, after string, records []*schema.Record) ([]*schema.Record, error) {
	for len(records) > 0 {
		page, err := s.config.Stream.Entries(ctx, partition, after, entriesAtOnce)
		if err != nil || len(page) == 0 {
			return records, err
		}
		after = page[len(page)-1].StreamID
		for _, e := range page {
			if len(records) == 0 || e.Seq > records[0].Seq {
				return records, nil
			}
			if e.Seq < records[0].Seq {
				continue
			}
			if what := differs(e, records[0]); what != "" {
				return nil, fmt.Errorf("event %s has another %s in the archive than in Redis, and is not signed: `mpim audit verify` says more", records[0].Position, what)
			}
			records = records[1:]
		}
	}
	return nil, nil
}

// earlier returns an address before another one, "" where that is none.
func earlier(address string) string {
	id, err := schema.ParseStreamID(address)
	if err != nil || id.Milliseconds == 0 {
		return ""
	}
	return strconv.FormatUint(id.Milliseconds-1, 10) + "-0"
}
