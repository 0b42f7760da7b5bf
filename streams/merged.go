package streams

import (
	"context"
	"iter"
	"time"

	"mpim/schema"
)

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
