package recent

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/projections/checkpoint"
	"mpim/schema"
)

// conversation is what a fold does to one conversation.
type conversation struct {
	id  domain.ConversationID
	key string
	// added are the events of this fold, in order and without a gap.
	added []Event
	// stored are events from before that matter to this fold, by sequence; those that it changed are in changed.
	stored  map[domain.Seq]Event
	changed []domain.Seq
	erased  []erasure
	// old says that those that are added would have run out by now.
	old bool
}

func (p *Projection) fold(ctx context.Context, records []*schema.Record, w *checkpoint.Writes) error {
	conversations, changes, err := p.sort(records)
	if err != nil {
		return err
	}
	if err := p.load(ctx, changes); err != nil {
		return err
	}
	if err := p.loadErased(ctx, conversations); err != nil {
		return err
	}
	for _, change := range changes {
		if err := change.in.apply(change); err != nil {
			return err
		}
	}
	for _, c := range conversations {
		if err := c.erase(); err != nil {
			return err
		}
		c.write(w)
	}
	return nil
}

// change is an event that concerns an earlier message.
type change struct {
	in *conversation
	// seq is the event's own sequence, message that of the message it concerns.
	seq, message domain.Seq
	// ends says that the message is gone with it; else the event edits the message.
	ends bool
}

// sort splits the records by conversation, in the order in which they first come.
func (p *Projection) sort(records []*schema.Record) (all []*conversation, changes []change, err error) {
	byID := make(map[domain.ConversationID]*conversation)
	for _, r := range records {
		erases := r.Type == domain.TypeAccountErased && r.Conversation() != ""
		if r.ConversationSeq < 1 && !erases || !p.Handles(r.Type) {
			continue
		}
		c := byID[r.Conversation()]
		if c == nil {
			c = &conversation{id: r.Conversation(), key: p.Key(r.Partition, keyName(r.Conversation()))}
			byID[c.id] = c
			all = append(all, c)
		}
		if erases {
			c.erases(r.Actor)
			continue
		}
		e, err := newEvent(r)
		if err != nil {
			return nil, nil, err
		}
		if n := len(c.added); n > 0 && c.added[n-1].Seq+1 != e.Seq {
			// An event between was discarded. Nothing before the hole can be told to be whole.
			c.added = c.added[:0]
		}
		c.added = append(c.added, e)
		// A build that comes late to a long history shall not hold all of it for the next days.
		c.old = !p.live && time.Since(r.At) > TTL
		concerned, err := concerns(r)
		if err != nil {
			return nil, nil, err
		}
		// Deciders let nothing else pass; what the log holds all the same changes nothing.
		if concerned.message > 0 && concerned.message < concerned.seq {
			concerned.in = c
			changes = append(changes, concerned)
		}
	}
	return all, changes, nil
}

// concerns says which message an event edits or ends, if it does.
func concerns(r *schema.Record) (change, error) {
	switch r.Type {
	case domain.TypeMessageEdited, domain.TypeMessageRecalled, domain.TypeMessageExpired:
	default:
		return change{}, nil
	}
	fact, err := r.Fact()
	if err != nil {
		return change{}, err
	}
	switch fact := fact.(type) {
	case *domain.MessageEdited:
		return change{seq: r.ConversationSeq, message: fact.Message}, nil
	case *domain.MessageRecalled:
		return change{seq: r.ConversationSeq, message: fact.Message, ends: true}, nil
	case *domain.MessageExpired:
		return change{seq: r.ConversationSeq, message: fact.Message, ends: true}, nil
	default:
		return change{}, nil
	}
}

// load reads the stored events that changes concern: of an edit the message, to see whether it is gone already, and of an
// end everything from the message on, because edits of it go with it.
func (p *Projection) load(ctx context.Context, changes []change) error {
	var ranges []keyRange
	var owners []*conversation
	for _, change := range changes {
		if change.message >= change.in.added[0].Seq {
			continue
		}
		limit := 1
		if change.ends {
			limit = Size
		}
		ranges = append(ranges, keyRange{change.in.key, change.message - 1, limit})
		owners = append(owners, change.in)
	}
	if len(ranges) == 0 {
		return nil
	}
	replies, err := readRanges(ctx, direct{p.Client()}, ranges)
	if err != nil {
		return checkpoint.Outside(fmt.Errorf("read what is changed: %w", err))
	}
	for i, reply := range replies {
		c := owners[i]
		if c.stored == nil {
			c.stored = make(map[domain.Seq]Event)
		}
		for _, element := range reply.elements {
			e, err := parseElement(c.id, element)
			if err != nil {
				return err
			}
			if e.Seq < c.added[0].Seq {
				c.stored[e.Seq] = e
			}
		}
	}
	return nil
}

// apply takes the bodies of what is gone.
func (c *conversation) apply(change change) error {
	message, ok := c.at(change.message)
	// Had the events come one by one, a message further back would be out of reach by now.
	ok = ok && change.seq-change.message < Size
	switch {
	case ok && !message.is(domain.TypeMessageSent):
		return nil
	case !change.ends && ok && message.Gone:
		return c.empty(change.seq)
	case !change.ends:
		return nil
	case ok:
		if err := c.empty(change.message); err != nil {
			return err
		}
	}
	for seq, e := range c.stored {
		if seq > change.message && e.edited() == change.message {
			if err := c.empty(seq); err != nil {
				return err
			}
		}
	}
	for _, e := range c.added {
		if e.Seq > change.message && e.Seq < change.seq && e.edited() == change.message {
			if err := c.empty(e.Seq); err != nil {
				return err
			}
		}
	}
	return nil
}

// at returns an event of this fold, or a stored one that was loaded.
func (c *conversation) at(seq domain.Seq) (Event, bool) {
	if i, ok := c.index(seq); ok {
		return c.added[i], true
	}
	e, ok := c.stored[seq]
	return e, ok
}

// index returns where an event stands among those of this fold; false for none of them.
func (c *conversation) index(seq domain.Seq) (int, bool) {
	if len(c.added) == 0 {
		return 0, false
	}
	i := int(seq - c.added[0].Seq)
	return i, i >= 0 && i < len(c.added)
}

// empty takes the body of an event, if it is at hand.
func (c *conversation) empty(seq domain.Seq) error {
	e, ok := c.at(seq)
	if !ok || e.Gone {
		return nil
	}
	e, err := e.withoutBody()
	if err != nil {
		return err
	}
	if i, ok := c.index(seq); ok {
		c.added[i] = e
		return nil
	}
	c.stored[seq] = e
	c.changed = append(c.changed, seq)
	return nil
}

func (c *conversation) write(w *checkpoint.Writes) {
	limit := strconv.Itoa(Size)
	for _, seq := range c.changed {
		w.Do("PUT", c.key, limit, formatSeq(seq), c.stored[seq].element())
	}
	if len(c.added) == 0 || c.old {
		return
	}
	args := make([]string, 0, 2+len(c.added))
	args = append(args, limit, formatSeq(c.added[0].Seq))
	for _, e := range c.added {
		args = append(args, e.element())
	}
	w.Do("PUT", c.key, args...)
	w.Do("PEXPIRE", c.key, strconv.FormatInt(TTL.Milliseconds(), 10))
}

func formatSeq(seq domain.Seq) string { return strconv.FormatInt(int64(seq), 10) }

// direct is a pipeline to whatever build the keys belong to.
type direct struct{ client redis.UniversalClient }

// Pipelined implements pipeline.
func (d direct) Pipelined(ctx context.Context, ask func(p redis.Pipeliner) error) error {
	_, err := d.client.Pipelined(ctx, ask)
	return err
}
