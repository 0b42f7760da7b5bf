package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"mpim/streams/repair"
)

type logRepairCommand struct {
	DryRun bool `help:"Say what would be done, and change nothing."`
	Yes    bool `help:"Do not ask."`
	JSON   bool `help:"Print one JSON document."`
}

// repairLine is what `log repair --json` prints.
type repairLine struct {
	Log string `json:"log"`
	// Epoch is the log's now.
	Epoch int64 `json:"epoch"`
	// OK says that nothing is to be repaired, or nothing any more.
	OK bool `json:"ok"`
	// Repaired says that something was done by this call.
	Repaired   bool                  `json:"repaired"`
	Restored   int64                 `json:"restored"`
	Lost       int64                 `json:"lost"`
	Partitions []repairPartitionLine `json:"partitions"`
}

// repairPartitionLine is one damaged partition.
type repairPartitionLine struct {
	Partition int   `json:"partition"`
	Redis     int64 `json:"redis"`
	Archive   int64 `json:"archive"`
	Seen      int64 `json:"seen"`
	Restore   int64 `json:"restore"`
	Lost      int64 `json:"lost"`
	// Anew says that the partition is written from nothing.
	Anew bool `json:"anew"`
}

func newRepairLine(f repair.Finding) repairLine {
	line := repairLine{Log: f.Identity.ID, Epoch: f.Identity.Epoch, OK: f.Sound(), Partitions: []repairPartitionLine{}}
	for _, p := range f.Plans {
		if !p.Damaged() {
			continue
		}
		line.Partitions = append(line.Partitions, repairPartitionLine{
			Partition: p.Partition, Redis: p.Head, Archive: p.Archived, Seen: p.Seen, Restore: p.Restores(), Lost: p.Lost(), Anew: p.Anew,
		})
		line.Restored += p.Restores()
		line.Lost += p.Lost()
	}
	return line
}

// Run says what is to be repaired, and repairs it.
func (c *logRepairCommand) Run(i *invocation) error {
	s, err := openStores(i.ctx, i.settings, i.logger)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	repairer, err := s.newRepairer(i.ctx, i.settings, processID("log-repair"))
	if err != nil {
		return explain("log repair", err)
	}
	found, err := repairer.Look(i.ctx)
	if err != nil {
		return explain("log repair", err)
	}
	if found.Sound() || c.DryRun {
		return c.print(i, newRepairLine(found))
	}
	if !c.JSON {
		c.table(i, newRepairLine(found))
	}
	if err := i.confirm(c.Yes, "Repair the log? Its epoch rises, and every client starts afresh."); err != nil {
		return err
	}
	bar := newProgress(i, "restoring")
	repairer.Progress = bar.at
	done, err := repairer.Run(i.ctx)
	bar.done()
	if err != nil {
		return explain("log repair", err)
	}
	line := newRepairLine(done)
	line.OK, line.Repaired = true, true
	return c.print(i, line)
}

func (c *logRepairCommand) print(i *invocation, line repairLine) error {
	if c.JSON {
		return json.NewEncoder(i.stdout).Encode(line)
	}
	switch {
	case line.Repaired:
		fmt.Fprintf(i.stdout, "repaired: %d events were written back, %d are lost; the log is at epoch %d\n", line.Restored, line.Lost, line.Epoch)
	case line.OK:
		fmt.Fprintln(i.stdout, "nothing to repair: Redis has all that anybody is known to have seen")
	default:
		c.table(i, line)
	}
	return nil
}

func (c *logRepairCommand) table(i *invocation, line repairLine) {
	table := tabwriter.NewWriter(i.stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "PARTITION\tREDIS HAS\tARCHIVE HAS\tSEEN\tTO RESTORE\tLOST\t")
	for _, p := range line.Partitions {
		fmt.Fprintf(table, "%d\t%d\t%d\t%d\t%d\t%d\t\n", p.Partition, p.Redis, p.Archive, p.Seen, p.Restore, p.Lost)
	}
	_ = table.Flush()
	if len(line.Partitions) == 0 {
		fmt.Fprintln(i.stdout, "Redis is of another epoch than SQL, a repair has not ended, or its end was lost: no event is missing")
	}
}
