package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"mpim/projections/builds"
)

type projectionVerifyCommand struct {
	named
	JSON bool `help:"Print the differences as JSON Lines, nothing where there are none."`
}

// maxDifferences is how many differences are printed; the rest is counted.
const maxDifferences = 100

// Run folds the log anew, beside everything, and compares the live build with that.
func (c *projectionVerifyCommand) Run(i *invocation) error {
	s, err := openStores(i.ctx, i.settings, i.logger)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if err := s.openLog(i.ctx); err != nil {
		return err
	}
	if err := s.reachKeys(i.ctx, i.settings); err != nil {
		return err
	}
	heads, err := s.reader().Heads(i.ctx)
	if err != nil {
		return err
	}
	bar := &sharedProgress{progress: newProgress(i, "folding")}
	for _, head := range heads {
		bar.total += head
	}
	p := &differencePrinter{i: i, json: c.JSON}
	if err = s.verify(i.ctx, c.Name, bar.add, p.print); err != nil {
		bar.done()
		return err
	}
	bar.done()
	return p.end()
}

// verify compares the live state of a projection with a fresh fold.
func (s *stores) verify(ctx context.Context, name string, seen func(int64), report func(builds.Difference) error) error {
	f, err := s.family(name)
	if err != nil {
		return err
	}
	return f.Verify(ctx, s.reader(), seen, report)
}

// sharedProgress is a progress that several goroutines add to.
type sharedProgress struct {
	mu sync.Mutex
	*progress
}

func (p *sharedProgress) add(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range n {
		p.step()
	}
}

// differencePrinter prints differences as they are found.
type differencePrinter struct {
	i     *invocation
	json  bool
	found int
}

func (p *differencePrinter) print(d builds.Difference) error {
	if p.found++; p.found > maxDifferences {
		return nil
	}
	if p.json {
		return json.NewEncoder(p.i.stdout).Encode(d)
	}
	_, err := fmt.Fprintf(p.i.stdout, "%s\n  live:  %s\n  fresh: %s\n", d.Where, d.Live, d.Fresh)
	return err
}

// end says what was found.
func (p *differencePrinter) end() error {
	switch {
	case p.found == 0 && !p.json:
		fmt.Fprintln(p.i.stdout, "ok")
	case p.found > maxDifferences:
		fmt.Fprintf(p.i.stderr, "mpim: %d differences, of which the first %d were printed\n", p.found, maxDifferences)
	}
	if p.found > 0 {
		return errProblemsFound
	}
	return nil
}
