package audit

import (
	"bytes"
	"context"

	"mpim/schema"
)

// streamWalk walks over the stream of a partition beside the archive.
type streamWalk struct {
	walk *walk
	// after is the address of the last entry that was read, last the sequence of the last one that was looked at.
	after string
	last  int64
	page  []*schema.Record
	ended bool
}

// entriesAtOnce is how many entries one read takes.
const entriesAtOnce = 2000

// begin reads the first entries, before the archive is read: so nothing that is trimmed meanwhile is missed.
func (s *streamWalk) begin(ctx context.Context) error {
	_, err := s.peek(ctx)
	return err
}

// peek returns the next entry that has a place in the log, nil at the end.
func (s *streamWalk) peek(ctx context.Context) (*schema.Record, error) {
	for {
		for len(s.page) > 0 {
			if s.page[0].Seq > 0 {
				return s.page[0], nil
			}
			s.walk.problems.add(s.walk.partition, at(s.walk.partition, s.last+1), "entry "+s.page[0].StreamID+" of the stream is no event of the log: somebody else wrote it")
			s.drop()
		}
		if s.ended {
			return nil, nil
		}
		page, err := s.walk.Stream.Entries(ctx, s.walk.partition, s.after, entriesAtOnce)
		if err != nil {
			return nil, err
		}
		s.page, s.ended = page, len(page) == 0
		if !s.ended {
			s.after = page[len(page)-1].StreamID
		}
	}
}

func (s *streamWalk) drop() { s.page = s.page[1:] }

// compare wants the stream to hold an archived event as it is, where it holds it.
func (s *streamWalk) compare(ctx context.Context, r *schema.Record) error {
	for r.Seq > s.last {
		e, err := s.peek(ctx)
		if err != nil || e == nil {
			return err
		}
		if e.Seq > r.Seq {
			if s.last == 0 {
				return nil // the stream begins later
			}
			return s.gap(ctx, r.Seq, e.Seq-1)
		}
		s.drop()
		if e.Seq <= s.last {
			s.again(e)
			continue
		}
		s.last = e.Seq
		if e.Seq < r.Seq {
			continue
		}
		if what := differs(e, r); what != "" {
			s.walk.problems.events(s.walk.partition, r.Seq, r.Seq, "has another %s in Redis than in the archive", what)
		}
	}
	return nil
}

func (s *streamWalk) again(e *schema.Record) {
	s.walk.problems.events(s.walk.partition, e.Seq, e.Seq, "stands in Redis behind event %s: the log was forked, or somebody else wrote", at(s.walk.partition, s.last))
}

// gap is called where the stream does not go on as the archive does.
func (s *streamWalk) gap(ctx context.Context, from, to int64) error {
	first, err := s.walk.Stream.Entries(ctx, s.walk.partition, "", 1)
	if err != nil {
		return err
	}
	if len(first) == 0 || first[0].Seq <= from { // else it was trimmed meanwhile
		s.walk.problems.events(s.walk.partition, from, to, "{are} archived, and missing in the middle of Redis's stream")
	}
	s.last = to
	return nil
}

// beyond wants the stream to hold what is not archived, without a hole, up to what the log had when the verification began.
func (s *streamWalk) beyond(ctx context.Context, archived int64) error {
	next, counter := archived+1, s.walk.counters[s.walk.partition]
	for next <= counter {
		e, err := s.peek(ctx)
		if err != nil {
			return err
		}
		if e == nil {
			break
		}
		if e.Seq > next {
			if err := s.missing(ctx, next, min(e.Seq-1, counter)); err != nil {
				return err
			}
			next = e.Seq
		}
		s.drop()
		if e.Seq <= s.last {
			s.again(e)
		}
		s.last = max(s.last, e.Seq)
		if e.Seq == next {
			next++
		}
	}
	if next <= counter {
		return s.missing(ctx, next, counter)
	}
	return nil
}

// missing is called for events that are in neither, unless they were archived and trimmed meanwhile.
func (s *streamWalk) missing(ctx context.Context, from, to int64) error {
	extent, err := s.walk.archive.Extent(ctx, s.walk.partition)
	if err != nil {
		return err
	}
	if extent.State.ArchivedTo < to || s.walk.state.ArchivedTo >= to {
		s.walk.problems.events(s.walk.partition, from, to, "{are} neither in the archive nor in Redis, which has counted them")
	}
	return nil
}

// differs returns the name of a field that two records of one position have otherwise.
func differs(a, b *schema.Record) string {
	switch {
	case a.ID != b.ID:
		return "uuid"
	case !bytes.Equal(a.Metadata, b.Metadata):
		return "metadata"
	case !bytes.Equal(a.Payload, b.Payload):
		return "payload"
	default:
		return ""
	}
}
