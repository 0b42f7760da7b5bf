package main

import (
	"path"
	"time"

	"mpim/domain"
	"mpim/schema"
)

// filters choose events. An empty one chooses all.
type filters struct {
	From         string `help:"First time (RFC 3339) or position (partition:sequence), included." placeholder:"TIME|POSITION"`
	To           string `help:"Last time or position, included." placeholder:"TIME|POSITION"`
	Conversation string `help:"Events of this conversation." placeholder:"ID"`
	User         string `help:"Events that this user caused or that concern it." placeholder:"ID"`
	Type         string `help:"Event types, as a pattern: message.*" placeholder:"GLOB"`
	Partition    *int   `help:"One partition." placeholder:"N"`
	Limit        int    `help:"At most so many events; 0 for all." default:"0"`
}

// chosen is filters as they were understood.
type chosen struct {
	filters
	fromTime, toTime         time.Time
	fromPosition, toPosition *domain.Position
	// reached is the latest time that each partition has come to: times of a partition never step back.
	reached map[int]time.Time
}

func (f filters) parse() (*chosen, error) {
	c := &chosen{filters: f, reached: make(map[int]time.Time)}
	var err error
	if c.fromTime, c.fromPosition, err = parseBound("--from", f.From); err != nil {
		return nil, err
	}
	if c.toTime, c.toPosition, err = parseBound("--to", f.To); err != nil {
		return nil, err
	}
	if _, err := path.Match(f.Type, ""); err != nil {
		return nil, usagef("--type %q is no pattern: write something like message.*", f.Type)
	}
	if f.Conversation != "" {
		if _, ok := domain.ConversationID(f.Conversation).Partition(); !ok {
			return nil, usagef("--conversation %q is no conversation id", f.Conversation)
		}
	}
	if f.User != "" {
		if _, ok := domain.UserID(f.User).Partition(); !ok {
			return nil, usagef("--user %q is no user id", f.User)
		}
	}
	if !c.fromTime.IsZero() && !c.toTime.IsZero() && c.fromTime.After(c.toTime) {
		return nil, usagef("--from %s is later than --to %s", f.From, f.To)
	}
	return c, nil
}

// fit refuses filters that name partitions that the log does not have, or several at once: an event is in one.
func (c *chosen) fit(partitions int) error {
	named := c.named()
	for _, one := range named {
		if one.partition < 0 || one.partition >= partitions {
			return usagef("%s names partition %d: the log has partitions 0 to %d", one.flag, one.partition, partitions-1)
		}
		if one.partition != named[0].partition {
			return usagef("%s names partition %d and %s partition %d: nothing can match", named[0].flag, named[0].partition, one.flag, one.partition)
		}
	}
	return nil
}

// namedPartition is a partition with the flag that names it.
type namedPartition struct {
	flag      string
	partition int
}

func (c *chosen) named() []namedPartition {
	var named []namedPartition
	if c.Partition != nil {
		named = append(named, namedPartition{"--partition", *c.Partition})
	}
	if partition, ok := domain.ConversationID(c.Conversation).Partition(); ok {
		named = append(named, namedPartition{"--conversation", partition})
	}
	if c.fromPosition != nil {
		named = append(named, namedPartition{"--from", c.fromPosition.Partition})
	}
	if c.toPosition != nil {
		named = append(named, namedPartition{"--to", c.toPosition.Partition})
	}
	return named
}

func parseBound(flag, text string) (time.Time, *domain.Position, error) {
	if text == "" {
		return time.Time{}, nil, nil
	}
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return at, nil, nil
	}
	position, err := domain.ParsePosition(text)
	if err != nil {
		return time.Time{}, nil, usagef("%s %q is neither a time (2026-01-02T15:04:05Z) nor a position (3:17)", flag, text)
	}
	return time.Time{}, &position, nil
}

// partitions returns those that may hold what is asked for.
func (c *chosen) partitions(all int) []int {
	if named := c.named(); len(named) > 0 {
		return []int{named[0].partition}
	}
	list := make([]int, all)
	for i := range list {
		list[i] = i
	}
	return list
}

// start returns the sequence in a partition after which to read.
func (c *chosen) start(partition int) int64 {
	if c.fromPosition != nil && c.fromPosition.Partition == partition && c.fromPosition.Seq > 0 {
		return c.fromPosition.Seq - 1
	}
	return 0
}

// match says whether a record is asked for. Records of a partition have to come in order.
func (c *chosen) match(r *schema.Record) bool {
	if r.At.After(c.reached[r.Partition]) {
		c.reached[r.Partition] = r.At
	}
	at := c.reached[r.Partition]
	switch {
	case c.Partition != nil && r.Partition != *c.Partition,
		!c.fromTime.IsZero() && at.Before(c.fromTime),
		!c.toTime.IsZero() && at.After(c.toTime),
		c.fromPosition != nil && (r.Partition != c.fromPosition.Partition || r.Seq < c.fromPosition.Seq),
		c.toPosition != nil && (r.Partition != c.toPosition.Partition || r.Seq > c.toPosition.Seq),
		c.Conversation != "" && string(r.Conversation()) != c.Conversation:
		return false
	}
	if c.Type != "" {
		if ok, _ := path.Match(c.Type, string(r.Type)); !ok {
			return false
		}
	}
	return c.User == "" || concerns(r, domain.UserID(c.User))
}

// past says that no later record can match: records come in the order of the times that their partitions have reached.
func (c *chosen) past(r *schema.Record) bool {
	return !c.toTime.IsZero() && c.reached[r.Partition].After(c.toTime)
}

// concerns says whether the user caused the event, owns the account, or is named in its data. What people wrote names nobody:
// it may be sealed.
func concerns(r *schema.Record, user domain.UserID) bool {
	return r.Actor == user || r.Aggregate.ID == string(user) || r.Names(user)
}
