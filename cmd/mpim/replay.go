package main

import (
	"bufio"
	"iter"

	"mpim/schema"
)

type replayCommand struct {
	JSON bool `help:"Print JSON Lines."`
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
	defer func() { _ = s.redis.Close() }()
	if err := wanted.fit(s.identity.Partitions); err != nil {
		return err
	}
	bar := newProgress(i, "replaying")
	heads, err := s.reader().Heads(i.ctx)
	if err != nil {
		return explain("replay", err)
	}
	for _, partition := range wanted.partitions(s.identity.Partitions) {
		bar.total += heads[partition]
	}
	defer bar.done()
	out := bufio.NewWriterSize(i.stdout, 1<<16)
	printer := eventPrinter{w: out, json: c.JSON}
	printed := 0
	for record, err := range s.replay(i, wanted) {
		if err != nil {
			_ = out.Flush()
			return explain("replay", err)
		}
		bar.add(1)
		if wanted.match(record) {
			if err := printer.print(record); err != nil {
				return err
			}
			if printed++; printed == c.Limit {
				break
			}
		}
		if wanted.past(record) {
			break
		}
	}
	return out.Flush()
}

// replay yields the partitions that may hold what is wanted.
func (s *stores) replay(i *invocation, wanted *chosen) iter.Seq2[*schema.Record, error] {
	partitions := wanted.partitions(s.identity.Partitions)
	if len(partitions) == 1 {
		return s.reader().Partition(i.ctx, partitions[0], schema.Checkpoint{Seq: wanted.start(partitions[0])})
	}
	return s.reader().Merged(i.ctx, nil)
}
