package repair

import (
	"context"
	"fmt"

	"mpim/schema"
)

// Plan is what is to be done with one partition.
type Plan struct {
	Partition int
	// Head is the last event in Redis, Archived the last in the archive, Seen the highest that anybody is known to have seen.
	Head, Archived, Seen int64
	// Common is the last event up to which everybody who has seen the partition has seen the same.
	Common int64
	// End is the last event when all is written back, before log.repaired.
	End int64
	// Anew says that the partition is written from nothing.
	Anew bool
	// kept is up to where the branch that had been there before is kept.
	kept int64
	// Losses are what log.repaired is to say. There are none where nothing is damaged.
	Losses []Loss
}

// Loss says that Redis came back without the events From to To; the last Lost of them are gone, and those before are written
// back.
type Loss struct{ From, To, Lost int64 }

// Damaged says whether something is to be written.
func (p Plan) Damaged() bool { return len(p.Losses) > 0 }

// Restores returns how many events are written back.
func (p Plan) Restores() (n int64) {
	for _, l := range p.Losses {
		n += l.To - l.From + 1 - l.Lost
	}
	return n
}

// Lost returns how many events are gone.
func (p Plan) Lost() (n int64) {
	for _, l := range p.Losses {
		n += l.Lost
	}
	return n
}

// Seen is how far somebody outside Redis has seen a partition.
type Seen struct {
	Partition int
	schema.Checkpoint
}

// plans says what is to be done with each partition. What others have seen is asked for first: it can only be less than what a
// sound log has a moment later.
func (r *Repairer) plans(ctx context.Context, partitions int) ([]Plan, []meta, error) {
	own := make([]int64, partitions)
	for n := range own {
		own[n] = r.Seen(n)
	}
	ends, err := r.Archive.Ends(ctx)
	if err != nil {
		return nil, nil, err
	}
	seen, err := r.Consumers.Seen(ctx)
	if err != nil {
		return nil, nil, err
	}
	metas, err := r.metas(ctx, partitions)
	if err != nil {
		return nil, nil, err
	}
	run, err := r.Server.RunID(ctx, r.Client)
	if err != nil {
		return nil, nil, err
	}
	all := make([]Plan, partitions)
	for n, m := range metas {
		m.seen = max(m.seen, own[n])
		if m.run != run {
			m.opened = -1 // that was before
		}
		if m.forked > 0 && m.parted >= 0 {
			m.opened = m.parted
		}
		var outside []schema.Checkpoint
		for _, s := range seen {
			if s.Partition == n {
				outside = append(outside, s.Checkpoint)
			}
		}
		if all[n], err = r.plan(ctx, n, m, ends[n], outside); err != nil {
			return nil, nil, fmt.Errorf("partition %d: %w", n, err)
		}
	}
	return all, metas, nil
}

// plan says what is to be done with a partition. Outside are the checkpoints of those outside.
func (r *Repairer) plan(ctx context.Context, partition int, m meta, archived int64, outside []schema.Checkpoint) (Plan, error) {
	p := Plan{Partition: partition, Head: m.seq, Archived: archived}
	if !m.exists {
		p.Head = m.last
	}
	l := &line{Repairer: r, partition: partition, archivedTo: archived}
	agreed, err := l.agreed(ctx, m)
	if err != nil {
		return p, err
	}
	switch {
	case m.last != p.Head || p.Head == 0 && archived > 0 || agreed < min(p.Head, archived):
		// There is no stream, or not the one that the counter counts, or another than was archived.
		p.Anew, p.End, p.kept = true, archived, archived
	case archived > p.Head:
		p.End, p.kept = archived, archived
	default:
		p.End, p.kept = p.Head, p.Head
	}
	l.end = p.End
	gone, err := p.gone(ctx, l, m, outside)
	if err != nil {
		return p, err
	}
	if p.End == p.Head && gone > 0 && m.opened >= 0 {
		p.kept = min(p.Head, m.opened) // what was appended since is another branch than what was seen before
	}
	p.Common = p.kept
	if p.Anew && p.Head > 0 {
		p.Common = agreed
	}
	p.lose(max(gone, p.kept), agreed)
	return p, nil
}

// gone returns the highest that anybody has seen of what the line will not have; 0 where nobody has seen such.
func (p *Plan) gone(ctx context.Context, l *line, m meta, outside []schema.Checkpoint) (int64, error) {
	highest := m.forked
	p.Seen = max(p.Head, p.Archived, m.forked, m.seen)
	if m.seen > p.Head { // else it may have been of what Redis has
		highest = max(highest, m.seen)
	}
	for _, c := range outside {
		p.Seen = max(p.Seen, c.Seq)
		lost, err := l.lacks(ctx, c)
		if err == nil && lost && p.Anew {
			lost, err = l.otherwise(ctx, c) // who followed the branch that goes misses what that one has
		}
		if err != nil {
			return 0, err
		}
		if lost {
			highest = max(highest, c.Seq)
		}
	}
	return highest, nil
}

// shorten plans for a head that is lower than it was, where the line was to end with what only Redis had.
func (p *Plan) shorten(head int64) {
	if p.Anew || p.End <= p.Archived || head >= p.End {
		return
	}
	end := max(head, p.Archived)
	first := p.Losses[0]
	kept := min(first.From-1, end)
	from, to := min(first.From, head+1), max(first.To, p.End)
	p.Losses = []Loss{{From: from, To: to, Lost: to - kept}}
	p.End, p.Common = end, min(p.Common, end)
}

// lose says what is lost, where the branch that had been there before was seen up to a sequence, and Redis and the archive agree
// up to another.
func (p *Plan) lose(seen, agreed int64) {
	from := p.kept + 1
	switch {
	case p.Anew:
		from = agreed + 1
	case p.End > p.Head:
		from = p.Head + 1
	}
	if seen >= from {
		p.Losses = append(p.Losses, Loss{From: from, To: seen, Lost: seen - p.kept})
	}
	if p.Anew && p.Head > agreed {
		p.Losses = append(p.Losses, Loss{From: agreed + 1, To: p.Head, Lost: p.Head - agreed})
	}
}
