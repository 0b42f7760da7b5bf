package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"mpim/projections"
	"mpim/projections/builds"
)

// approval is the flag of commands that change something.
type approval struct {
	Yes bool `help:"Do not ask."`
}

// named is the argument of commands on one projection.
type named struct {
	Name string `arg:"" help:"Name of the projection."`
}

// withFamily opens the stores and the projection, and calls do.
func (n named) withFamily(i *invocation, do func(s *stores, f *builds.Family) error) error {
	s, err := openStores(i.ctx, i.settings, i.logger)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if err := s.openLog(i.ctx); err != nil {
		return err
	}
	f, err := s.family(n.Name)
	if err != nil {
		return err
	}
	return do(s, f)
}

type projectionBuildCommand struct {
	named
	approval
	Wait bool `help:"Show how far it is and how long it will take, and end when it is ready."`
}

// Run starts a build, or joins the one that is under way.
func (c *projectionBuildCommand) Run(i *invocation) error {
	return c.withFamily(i, func(s *stores, f *builds.Family) error {
		b, fresh, err := f.Start(i.ctx)
		if err != nil {
			return err
		}
		if fresh {
			fmt.Fprintf(i.stdout, "began %s, version %d\n", b, b.Version)
		} else {
			fmt.Fprintf(i.stdout, "%s, version %d, is %s already\n", b, b.Version, b.State)
		}
		if !c.Wait {
			return nil
		}
		return waitReady(i, s, f, b)
	})
}

type projectionPromoteCommand struct {
	named
	approval
}

// Run makes the newest ready build live.
func (c *projectionPromoteCommand) Run(i *invocation) error {
	return c.withFamily(i, func(_ *stores, f *builds.Family) error {
		next, err := f.Next(i.ctx)
		if err != nil {
			return err
		}
		return switchTo(i, f, next, c.Yes)
	})
}

type projectionRollbackCommand struct {
	named
	approval
}

// Run makes the build live that was it before.
func (c *projectionRollbackCommand) Run(i *invocation) error {
	return c.withFamily(i, func(_ *stores, f *builds.Family) error {
		previous, err := f.Previous(i.ctx)
		if err != nil {
			return err
		}
		return switchTo(i, f, previous, c.Yes)
	})
}

// switchTo makes a build live.
func switchTo(i *invocation, f *builds.Family, b builds.Build, yes bool) error {
	if b.State == projections.Live {
		fmt.Fprintf(i.stdout, "%s is live already\n", b)
		return nil
	}
	if err := i.confirm(yes, fmt.Sprintf("Make %s (version %d, %s) the one that is read?", b, b.Version, b.State)); err != nil {
		return err
	}
	if err := f.Promote(i.ctx, b); err != nil {
		return err
	}
	fmt.Fprintf(i.stdout, "%s is live\n", b)
	// The views are shown by who knows them; where that fails now, workers go on trying.
	if b.Version == f.Version() {
		if err := f.Show(i.ctx, b); err != nil {
			fmt.Fprintln(i.stderr, "mpim:", err)
		}
	}
	return nil
}

type projectionDropCommand struct {
	named
	approval
	Build int `help:"Number of the build." required:"" placeholder:"N"`
}

// Run removes a build.
func (c *projectionDropCommand) Run(i *invocation) error {
	return c.withFamily(i, func(_ *stores, f *builds.Family) error {
		if err := i.confirm(c.Yes, fmt.Sprintf("Remove build %d of %s with all that it holds?", c.Build, c.Name)); err != nil {
			return err
		}
		if err := f.Remove(i.ctx, c.Build); err != nil {
			return err
		}
		fmt.Fprintf(i.stdout, "dropped build %d of %s\n", c.Build, c.Name)
		return nil
	})
}

type projectionPauseCommand struct {
	named
	approval
}

// Run pauses a projection.
func (c *projectionPauseCommand) Run(i *invocation) error {
	return c.withFamily(i, func(_ *stores, f *builds.Family) error {
		fmt.Fprintf(i.stderr, "mpim: workers stop within two seconds; what reads %s stands still until `mpim projection resume %s`\n", c.Name, c.Name)
		return f.Registry.Pause(i.ctx, c.Name, true)
	})
}

type projectionResumeCommand struct {
	named
	approval
}

// Run resumes a projection.
func (c *projectionResumeCommand) Run(i *invocation) error {
	return c.withFamily(i, func(_ *stores, f *builds.Family) error { return f.Registry.Pause(i.ctx, c.Name, false) })
}

// Waits of `build --wait`.
const (
	lookEvery = 500 * time.Millisecond
	tellEvery = 5 * time.Second
	// stillAfter is how long nothing may move until somebody should look.
	stillAfter = 10 * time.Second
)

// waitReady tells how far a build is until it is ready.
func waitReady(i *invocation, s *stores, f *builds.Family, b builds.Build) error {
	w := newBuildWatch(i.stderr)
	for {
		standing, err := f.Standing(i.ctx)
		if err != nil {
			return err
		}
		now, ok := standing.Find(b.Number)
		if !ok || now.State == projections.Dropped {
			return fmt.Errorf("%s was dropped", b)
		}
		heads, err := s.reader().Heads(i.ctx)
		if err != nil {
			return err
		}
		status, err := f.Open(now).Status(i.ctx)
		if err != nil {
			return err
		}
		missing := status.Remaining(heads)
		w.tell(now, status.Applied(), status.Applied()+missing, standing.Paused)
		if now.State == projections.Ready || now.State == projections.Kept || now.State == projections.Live && missing == 0 {
			w.end()
			fmt.Fprintf(i.stdout, "%s is %s\n", b, now.State)
			return nil
		}
		if err := wait(i.ctx, lookEvery); err != nil {
			w.end()
			return err
		}
	}
}

// buildWatch prints how far a build is: a bar on a terminal, lines elsewhere.
type buildWatch struct {
	w        io.Writer
	terminal bool
	told     time.Time
	state    projections.State
	rate     float64
	at       time.Time
	applied  int64
	moved    time.Time
}

func newBuildWatch(w io.Writer) *buildWatch {
	return &buildWatch{w: w, terminal: isTerminal(w), moved: time.Now()}
}

// tell prints what there is to say now.
func (w *buildWatch) tell(b builds.Build, applied, total int64, paused bool) {
	now := time.Now()
	if seconds := now.Sub(w.at).Seconds(); !w.at.IsZero() && seconds > 0 {
		w.rate += (float64(applied-w.applied)/seconds - w.rate) / 3 // the latest count most
	}
	if applied != w.applied {
		w.moved = now
	}
	w.at, w.applied = now, applied
	if !w.terminal && now.Sub(w.told) < tellEvery && b.State == w.state {
		return
	}
	w.told, w.state = now, b.State
	part := 1.0
	if total > 0 {
		part = float64(applied) / float64(total)
	}
	line := fmt.Sprintf("%s: %s %.1f %%, %d of %d events, %.0f/s", b, b.State, 100*part, applied, total, w.rate)
	if w.rate > 1 && applied < total {
		line += fmt.Sprintf(", %s left", (time.Duration(float64(total-applied)/w.rate*1e9) * time.Nanosecond).Round(time.Second))
	}
	switch {
	case paused:
		line += "; the projection is paused"
	case applied < total && now.Sub(w.moved) > stillAfter:
		line += fmt.Sprintf("; nothing moves: is a worker running that knows version %d?", b.Version)
	}
	if w.terminal {
		const width = 24
		full := min(width, int(part*width))
		fmt.Fprintf(w.w, "\r\x1b[K[%s%s] %s", strings.Repeat("#", full), strings.Repeat(".", width-full), line)
		return
	}
	fmt.Fprintln(w.w, line)
}

// end leaves the line of a bar.
func (w *buildWatch) end() {
	if w.terminal {
		fmt.Fprintln(w.w)
	}
}
