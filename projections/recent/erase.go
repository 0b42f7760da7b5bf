package recent

import (
	"context"
	"fmt"

	"mpim/domain"
	"mpim/projections/checkpoint"
)

// erasure says that all that a user wrote goes: what is stored, and what this fold adds up to a sequence.
type erasure struct {
	user domain.UserID
	upTo domain.Seq
}

// erases notes that what the user wrote so far goes.
func (c *conversation) erases(user domain.UserID) {
	e := erasure{user: user}
	if n := len(c.added); n > 0 {
		e.upTo = c.added[n-1].Seq
	}
	c.erased = append(c.erased, e)
}

// loadErased reads all that is stored of conversations from which something is erased.
func (p *Projection) loadErased(ctx context.Context, all []*conversation) error {
	var ranges []keyRange
	var owners []*conversation
	for _, c := range all {
		if len(c.erased) > 0 {
			ranges = append(ranges, keyRange{c.key, 0, Size})
			owners = append(owners, c)
		}
	}
	if len(ranges) == 0 {
		return nil
	}
	replies, err := readRanges(ctx, direct{p.Client()}, ranges)
	if err != nil {
		return checkpoint.Outside(fmt.Errorf("read what is erased: %w", err))
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
			// What earlier changes of this fold were applied to is in memory already.
			if _, loaded := c.stored[e.Seq]; !loaded && (len(c.added) == 0 || e.Seq < c.added[0].Seq) {
				c.stored[e.Seq] = e
			}
		}
	}
	return nil
}

// erase takes the bodies of what erased users wrote.
func (c *conversation) erase() error {
	for _, erased := range c.erased {
		for _, e := range c.stored {
			if err := c.eraseOne(e, erased.user); err != nil {
				return err
			}
		}
		for _, e := range c.added {
			if e.Seq > erased.upTo {
				break
			}
			if err := c.eraseOne(e, erased.user); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *conversation) eraseOne(e Event, user domain.UserID) error {
	if e.Gone || !e.is(domain.TypeMessageSent) && !e.is(domain.TypeMessageEdited) {
		return nil
	}
	h, err := e.Header()
	if err != nil || h.Actor != user {
		return err
	}
	return c.empty(e.Seq)
}
