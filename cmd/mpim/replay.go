package main

import (
	"bufio"
	"iter"

	"mpim/schema"
)

type replayCommand struct {
	JSON   bool   `help:"Print JSON Lines; with --as-of, one document."`
	AsOf   string `help:"Print, instead of events, the conversation as it stood then, or what the user could see." placeholder:"TIME|POSITION"`
	Follow bool   `short:"f" help:"Go on with each event as it is appended."`
	filters
}

// Run prints every matching event from the first, in order in each partition and merged by time.
func (c *replayCommand) Run(i *invocation) error {
	wanted, err := c.parse()
	if err != nil {
		return err
	}
	s, err := i.openLog()
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	s.openKeys(i)
	if c.AsOf != "" {
		return c.runAsOf(i, s)
	}
	if err := wanted.fit(s.identity.Partitions); err != nil {
		return err
	}
	bar, err := s.progressOver(i, wanted.partitions(s.identity.Partitions))
	if err != nil {
		return err
	}
	defer bar.done()
	after := make([]schema.Checkpoint, s.identity.Partitions)
	if c.Follow {
		// Where to go on from: partitions that are not read have nothing that is wanted.
		if after, err = s.ends(i); err != nil {
			return explain("replay", err)
		}
	}
	for _, partition := range wanted.partitions(s.identity.Partitions) {
		after[partition] = schema.Checkpoint{Seq: wanted.start(partition)}
	}
	read := func(yield func(*schema.Record, error) bool) {
		for record, err := range s.replay(i, wanted) {
			if err == nil {
				bar.step()
				after[record.Partition] = schema.Checkpoint{Seq: record.Seq, StreamID: record.StreamID}
			}
			if !yield(record, err) || err == nil && wanted.past(record) {
				return
			}
		}
	}
	printed, err := c.print(i, s.opened(i.ctx, read, wanted.match))
	if err != nil || !c.Follow || c.Limit > 0 && printed == c.Limit {
		return err
	}
	bar.done()
	return s.follow(i, wanted, after, c.JSON, c.Limit-printed)
}

// print prints records up to the limit, and returns how many.
func (c *replayCommand) print(i *invocation, records iter.Seq2[*schema.Record, error]) (printed int, err error) {
	out := bufio.NewWriterSize(i.stdout, 1<<16)
	printer := eventPrinter{w: out, json: c.JSON}
	for record, err := range records {
		if err != nil {
			_ = out.Flush()
			return printed, explain("replay", err)
		}
		if err := printer.print(record); err != nil {
			return printed, err
		}
		if printed++; printed == c.Limit {
			break
		}
	}
	return printed, out.Flush()
}

// follow prints what is appended from here on: as many as are left, or, where that is no positive number, until the context ends.
func (s *stores) follow(i *invocation, wanted *chosen, after []schema.Checkpoint, asJSON bool, left int) error {
	printer := eventPrinter{w: i.stdout, json: asJSON}
	if left == 0 {
		left = -1 // for ever
	}
	for record, err := range s.stored().Follow(i.ctx, after) {
		if err != nil {
			return explain("follow the log", err)
		}
		if wanted.match(record) {
			if err := s.open(i.ctx, record); err != nil {
				return explain("follow the log", err)
			}
			if err := printer.print(record); err != nil {
				return err
			}
			left--
		}
		if left == 0 || wanted.past(record) {
			return nil
		}
	}
	return nil
}

// replay yields the partitions that may hold what is wanted, as they are stored.
func (s *stores) replay(i *invocation, wanted *chosen) iter.Seq2[*schema.Record, error] {
	partitions := wanted.partitions(s.identity.Partitions)
	if len(partitions) == 1 {
		return s.replayOne(i, wanted, partitions[0])
	}
	after, err := s.stored().Since(i.ctx, wanted.fromTime)
	if err != nil {
		return func(yield func(*schema.Record, error) bool) { yield(nil, err) }
	}
	return s.stored().Merged(i.ctx, after)
}

// replayOne yields one partition, from where what is wanted may begin.
func (s *stores) replayOne(i *invocation, wanted *chosen, partition int) iter.Seq2[*schema.Record, error] {
	start := wanted.start(partition)
	if segments := s.segments(); segments != nil && !wanted.fromTime.IsZero() {
		before, err := segments.Before(i.ctx, partition, wanted.fromTime)
		if err != nil {
			return func(yield func(*schema.Record, error) bool) { yield(nil, err) }
		}
		start = max(start, before)
	}
	return s.stored().Partition(i.ctx, partition, schema.Checkpoint{Seq: start})
}
