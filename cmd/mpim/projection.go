package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"mpim/projections"
	"mpim/projections/archive"
	"mpim/projections/builds"
	"mpim/streams/lease"
)

type projectionCommand struct {
	List     projectionListCommand     `cmd:"" help:"Name, version, store, state, lag, rate, parked events, partitions and their owners."`
	Build    projectionBuildCommand    `cmd:"" help:"Start a new build beside the live one."`
	Promote  projectionPromoteCommand  `cmd:"" help:"Switch to the newest ready build."`
	Rollback projectionRollbackCommand `cmd:"" help:"Switch back to the build that was live before."`
	Drop     projectionDropCommand     `cmd:"" help:"Remove a build."`
	Verify   projectionVerifyCommand   `cmd:"" help:"Compare live state with a fresh fold of the log."`
	Pause    projectionPauseCommand    `cmd:"" help:"Feed a projection no more until it is resumed."`
	Resume   projectionResumeCommand   `cmd:"" help:"Feed a projection again."`
}

type projectionListCommand struct {
	All  bool `help:"Every build, not only the live ones."`
	JSON bool `help:"Print one JSON document."`
}

// projectionLine is one projection as `projection list --json` prints it.
type projectionLine struct {
	Name       string            `json:"name"`
	Version    int               `json:"version"`
	Build      int               `json:"build"`
	Store      string            `json:"store"`
	State      projections.State `json:"state"`
	LagEvents  int64             `json:"lag_events"`
	LagSeconds float64           `json:"lag_seconds"`
	Applied    int64             `json:"applied"`
	Rate       float64           `json:"rate"` // events a second, just now
	Parked     int64             `json:"parked"`
	Partitions []partitionLine   `json:"partitions"`
	// Paused says that it is not fed, PendingViews which views do not show the live build yet.
	Paused       bool     `json:"paused,omitempty"`
	PendingViews []string `json:"pending_views,omitempty"`
}

// partitionLine is how far a projection is in one partition, and the worker that tends to it.
type partitionLine struct {
	Partition int    `json:"partition"`
	Position  string `json:"position"`
	Owner     string `json:"owner"`
}

// Run lists the projections.
func (c *projectionListCommand) Run(i *invocation) error {
	s, err := openStores(i.ctx, i.settings, i.logger)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if err := s.openLog(i.ctx); err != nil {
		return err
	}
	lines, missing := s.projectionLines(i.ctx, c.All)
	if missing != nil {
		fmt.Fprintln(i.stderr, "mpim:", missing)
	}
	if c.JSON {
		err = json.NewEncoder(i.stdout).Encode(lines)
	} else {
		err = printProjections(i.stdout, lines)
	}
	if err == nil && missing != nil {
		return errProblemsFound
	}
	return err
}

// rateTime is how long the rate is measured.
const rateTime = 250 * time.Millisecond

func (s *stores) projectionLines(ctx context.Context, all bool) ([]projectionLine, error) {
	before, _ := s.statuses(ctx, all) // what fails now fails again
	began := time.Now()
	if err := wait(ctx, rateTime); err != nil {
		return nil, err
	}
	heads, err := s.reader().Heads(ctx)
	if err != nil {
		return nil, err
	}
	statuses, missing := s.statuses(ctx, all)
	now := time.Now()
	lines := make([]projectionLine, 0, len(statuses))
	for _, status := range statuses {
		holders, err := lease.Holders(ctx, s.redis, s.identity.Partitions, builds.Consumer(status.Name, status.Version))
		if err != nil {
			return nil, err
		}
		line := newProjectionLine(status.Status, holders, len(heads))
		line.Paused, line.PendingViews = status.paused, status.pending
		if status.State != projections.Dropped && status.State != projections.Absent {
			events, behind, err := s.lag(ctx, status.Status, heads, now)
			if err != nil {
				return nil, err
			}
			line.LagEvents, line.LagSeconds = events, behind.Seconds()
		}
		for _, b := range before {
			if b.Name == status.Name && b.Build == status.Build {
				line.Rate = max(0, float64(status.Applied()-b.Applied())/now.Sub(began).Seconds())
			}
		}
		lines = append(lines, line)
	}
	archived, err := s.archiveLine(ctx, heads, now)
	if err != nil {
		return lines, errors.Join(missing, fmt.Errorf("%s: %w", archive.Name, err))
	}
	return append(lines, archived), missing
}

// wait waits, or returns why the context ended.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// lag returns how many events a projection has yet to see, and since when the oldest of them waits.
func (s *stores) lag(ctx context.Context, status projections.Status, heads []int64, now time.Time) (events int64, behind time.Duration, err error) {
	events, checkpoints := status.Lag(heads)
	reader := s.reader()
	reader.Page = 1
	for partition, checkpoint := range checkpoints {
		for next, err := range reader.Partition(ctx, partition, checkpoint) {
			if err != nil {
				return events, behind, err
			}
			behind = max(behind, now.Sub(next.At))
			break
		}
	}
	return events, behind, nil
}

func newProjectionLine(status projections.Status, holders []lease.Holder, partitions int) projectionLine {
	line := projectionLine{
		Name: status.Name, Version: status.Version, Build: status.Build, Store: status.Store, State: status.State,
		Applied: status.Applied(), Parked: status.Parked,
	}
	for partition := range partitions {
		p := partitionLine{Partition: partition, Position: fmt.Sprintf("%d:0", partition)}
		for _, seen := range status.Partitions {
			if seen.Partition == partition {
				p.Position = fmt.Sprintf("%d:%d", partition, seen.Checkpoint.Seq)
			}
		}
		for _, holder := range holders {
			if holder.Partition == partition {
				p.Owner = holder.Worker
			}
		}
		line.Partitions = append(line.Partitions, p)
	}
	return line
}

func printProjections(w io.Writer, lines []projectionLine) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tVERSION\tBUILD\tSTORE\tSTATE\tLAG\tBEHIND\tAPPLIED\tRATE\tPARKED\tOWNERS")
	for _, line := range lines {
		owned := make(map[string]int)
		for _, p := range line.Partitions {
			owned[p.Owner]++
		}
		var owners []string
		for owner, n := range owned {
			if owner == "" {
				owner = "nobody"
			}
			owners = append(owners, fmt.Sprintf("%s (%d)", owner, n))
		}
		slices.Sort(owners)
		fmt.Fprintf(table, "%s\t%d\t%d\t%s\t%s\t%d\t%.1fs\t%d\t%.0f/s\t%d\t%s\n", line.Name, line.Version, line.Build, line.Store,
			line.shownState(), line.LagEvents, line.LagSeconds, line.Applied, line.Rate, line.Parked, strings.Join(owners, ", "))
	}
	return table.Flush()
}

// shownState is the state with what is special about it.
func (l projectionLine) shownState() string {
	state := string(l.State)
	if l.Paused {
		state += ",paused"
	}
	if len(l.PendingViews) > 0 {
		state += ",views-pending"
	}
	return state
}
