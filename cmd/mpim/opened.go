package main

import (
	"context"
	"iter"

	"mpim/schema"
	"mpim/streams"
)

// openedAtOnce is of how many records that were read those that are wanted are opened together: so their keys are asked for in
// few calls, and few segments are held for the sake of some of their records.
const openedAtOnce = 1024

// stored reads records as the log has them, with what is sealed in them left sealed.
func (s *stores) stored() streams.Reader {
	reader := s.reader()
	reader.Opener = nil
	return reader
}

// opened yields the records that are wanted, with what is sealed in them opened where this process reaches the keys. The others
// are left as they are stored. Wanted is asked once of each record, in order, up to openedAtOnce records ahead.
func (s *stores) opened(ctx context.Context, records iter.Seq2[*schema.Record, error], wanted func(*schema.Record) bool) iter.Seq2[*schema.Record, error] {
	return func(yield func(*schema.Record, error) bool) {
		var waiting []*schema.Record
		read := 0
		for record, err := range records {
			if err != nil {
				if s.pass(ctx, waiting, yield) {
					yield(nil, err)
				}
				return
			}
			if wanted(record) {
				waiting = append(waiting, record)
			}
			if read++; read%openedAtOnce == 0 {
				if !s.pass(ctx, waiting, yield) {
					return
				}
				waiting = waiting[:0]
			}
		}
		s.pass(ctx, waiting, yield)
	}
}

// pass opens records and yields them. It is false where nothing more is to be yielded.
func (s *stores) pass(ctx context.Context, records []*schema.Record, yield func(*schema.Record, error) bool) bool {
	if err := s.open(ctx, records...); err != nil {
		yield(nil, err)
		return false
	}
	for _, record := range records {
		if !yield(record, nil) {
			return false
		}
	}
	return true
}

// open opens records in place, where this process reaches the keys.
func (s *stores) open(ctx context.Context, records ...*schema.Record) error {
	if s.ring == nil || len(records) == 0 {
		return nil
	}
	return s.ring.Open(ctx, records)
}
