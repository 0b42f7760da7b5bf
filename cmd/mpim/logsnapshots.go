package main

import (
	"encoding/json"
	"fmt"

	"mpim/streams"
	"mpim/streams/fold"
)

type logSnapshotsCommand struct {
	Verify logSnapshotsVerifyCommand `cmd:"" help:"Compare the decision state of every aggregate with what its events come to."`
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
	heads, err := s.reader().Heads(i.ctx)
	if err != nil {
		return explain("log snapshots verify", err)
	}
	bar := newProgress(i, "folding")
	defer bar.done()
	for _, head := range heads {
		bar.total += head
	}
	line := snapshotsLine{Problems: []string{}}
	for partition := range heads {
		n, found, err := fold.Verify(i.ctx, s.reader(), streams.States{Client: s.redis}, partition, func(int64) { bar.step() })
		line.Aggregates += n
		if err != nil {
			return explain("log snapshots verify", err)
		}
		for _, difference := range found {
			line.Problems = append(line.Problems, difference.String())
		}
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
	_, err := fmt.Fprintf(i.stdout, "%d differences in %d aggregates\n", len(line.Problems), line.Aggregates)
	return err
}
