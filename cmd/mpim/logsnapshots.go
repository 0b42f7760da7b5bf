package main

import (
	"encoding/json"
	"fmt"

	"mpim/streams"
	"mpim/streams/fold"
)

type logSnapshotsCommand struct {
	Verify  logSnapshotsVerifyCommand  `cmd:"" help:"Compare decision state and due lists with what the events come to."`
	Rebuild logSnapshotsRebuildCommand `cmd:"" help:"Write decision state and due lists anew where they are not what the events come to."`
}

type logSnapshotsVerifyCommand struct {
	JSON bool `help:"Print one JSON document."`
}

// snapshotsLine is what `log snapshots verify --json` prints.
type snapshotsLine struct {
	OK         bool     `json:"ok"`
	Aggregates int      `json:"aggregates"`
	Problems   []string `json:"problems"`
}

// Run folds the whole log and compares. It exits with 1 where something differs.
func (c *logSnapshotsVerifyCommand) Run(i *invocation) error {
	s, err := i.openLog()
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	s.openKeys(i)
	line := snapshotsLine{}
	if line.Aggregates, line.Problems, err = s.foldAll(i, nil, func(partition int, step func(int64)) (int, []fold.Difference, error) {
		return fold.Verify(i.ctx, s.reader(), s.states(), partition, step)
	}); err != nil {
		return explain("log snapshots verify", err)
	}
	line.OK = len(line.Problems) == 0
	if err := c.print(i, line); err != nil {
		return err
	}
	if !line.OK {
		return errProblemsFound
	}
	return nil
}

func (s *stores) states() streams.States {
	return streams.States{Client: s.redis, Identity: s.identity}
}

// foldAll does something with each of the partitions, all of them for nil, and tells how far it is.
func (s *stores) foldAll(
	i *invocation, partitions []int, do func(partition int, step func(int64)) (int, []fold.Difference, error),
) (aggregates int, differences []string, err error) {
	heads, err := s.reader().Heads(i.ctx)
	if err != nil {
		return 0, nil, err
	}
	if partitions == nil {
		for partition := range heads {
			partitions = append(partitions, partition)
		}
	}
	bar := newProgress(i, "folding")
	defer bar.done()
	for _, partition := range partitions {
		bar.total += heads[partition]
	}
	differences = []string{}
	for _, partition := range partitions {
		n, found, err := do(partition, func(int64) { bar.step() })
		aggregates += n
		for _, difference := range found {
			differences = append(differences, difference.String())
		}
		if err != nil {
			return aggregates, differences, err
		}
	}
	return aggregates, differences, nil
}

func (c *logSnapshotsVerifyCommand) print(i *invocation, line snapshotsLine) error {
	if c.JSON {
		return json.NewEncoder(i.stdout).Encode(line)
	}
	for _, problem := range line.Problems {
		fmt.Fprintln(i.stdout, problem)
	}
	if line.OK {
		_, err := fmt.Fprintf(i.stdout, "ok: %d aggregates are what their events come to\n", line.Aggregates)
		return err
	}
	_, err := fmt.Fprintf(i.stdout, "%d differences in %d aggregates: `mpim log snapshots rebuild` puts them right\n", len(line.Problems), line.Aggregates)
	return err
}

type logSnapshotsRebuildCommand struct {
	Partition *int `help:"Rebuild this partition alone." placeholder:"N"`
	Yes       bool `help:"Do not ask."`
	JSON      bool `help:"Print one JSON document."`
}

// rebuiltLine is what `log snapshots rebuild --json` prints.
type rebuiltLine struct {
	Aggregates int      `json:"aggregates"`
	Rebuilt    []string `json:"rebuilt"`
}

// Run folds the log and writes what is stored otherwise. Commands may go on meanwhile.
func (c *logSnapshotsRebuildCommand) Run(i *invocation) error {
	if err := i.confirm(c.Yes, "This writes decision state and due lists anew where they are not what the events come to."); err != nil {
		return err
	}
	s, err := i.openLog()
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	s.openKeys(i)
	var partitions []int
	if c.Partition != nil {
		if *c.Partition < 0 || *c.Partition >= s.identity.Partitions {
			return usagef("there is no partition %d: the log has partitions 0 to %d", *c.Partition, s.identity.Partitions-1)
		}
		partitions = []int{*c.Partition}
	}
	line := rebuiltLine{}
	if line.Aggregates, line.Rebuilt, err = s.foldAll(i, partitions, func(partition int, step func(int64)) (int, []fold.Difference, error) {
		return fold.Rebuild(i.ctx, s.reader(), s.states(), s.states(), partition, step)
	}); err != nil {
		return explain("log snapshots rebuild", err)
	}
	if c.JSON {
		return json.NewEncoder(i.stdout).Encode(line)
	}
	for _, rebuilt := range line.Rebuilt {
		fmt.Fprintln(i.stdout, "put right:", rebuilt)
	}
	_, err = fmt.Fprintf(i.stdout, "%d aggregates are what their events come to; %d differences were put right\n", line.Aggregates, len(line.Rebuilt))
	return err
}
