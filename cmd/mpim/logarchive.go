package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"

	"mpim/projections/archive"
	"mpim/schema"
	"mpim/streams"
)

type logArchiveCommand struct {
	Now  bool `help:"Archive what is in the log now, and wait until it was read back." required:""`
	JSON bool `help:"Print one JSON document."`
	Yes  bool `help:"Accepted for scripts; nothing is asked." hidden:""`
}

// archivedLine is what `log archive --json` prints.
type archivedLine struct {
	Segments int64 `json:"segments"`
	Events   int64 `json:"events"`
	// Bytes is what the segments take, LogBytes what their events take in the log.
	Bytes    int64 `json:"bytes"`
	LogBytes int64 `json:"log_bytes"`
}

// Run archives up to now.
func (c *logArchiveCommand) Run(i *invocation) error {
	s, err := i.openAll()
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	archiver, err := s.newArchiver(processID("log-archive"))
	if err != nil {
		return err
	}
	heads, err := s.reader().Heads(i.ctx)
	if err != nil {
		return explain("log archive", err)
	}
	if err := archiver.Now(i.ctx, heads); err != nil {
		return explain("log archive", err)
	}
	size, err := archive.Archive{DB: s.db}.Size(i.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(i.stdout).Encode(archivedLine{Segments: size.Segments, Events: size.Events, Bytes: size.Bytes, LogBytes: size.Raw})
	}
	fmt.Fprintf(i.stdout, "archived: %d events in %d segments, %s for %s of the log", size.Events, size.Segments, bytesOf(size.Bytes), bytesOf(size.Raw))
	if size.Events > 0 {
		fmt.Fprintf(i.stdout, ", %.0f bytes an event", float64(size.Bytes)/float64(size.Events))
	}
	fmt.Fprintln(i.stdout)
	return nil
}

type logTrimCommand struct {
	DryRun bool `help:"Say what would go, and change nothing."`
	JSON   bool `help:"Print one JSON document."`
	Yes    bool `help:"Do not ask."`
}

// trimLine is what `log trim --dry-run --json` prints of a partition.
type trimLine struct {
	Partition  int   `json:"partition"`
	ArchivedTo int64 `json:"archived_to"`
	Trimmable  int64 `json:"trimmable"`
}

// Run trims what is archived and old enough. Workers do so by themselves; this does it at once.
func (c *logTrimCommand) Run(i *invocation) error {
	s, err := i.openAll()
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if c.DryRun {
		return c.foretell(i, s)
	}
	if err := i.confirm(c.Yes, fmt.Sprintf("Trim from Redis what is archived and older than %s?", s.keep)); err != nil {
		return err
	}
	archiver, err := s.newArchiver(processID("log-trim"))
	if err != nil {
		return err
	}
	n, err := archiver.Trim(i.ctx)
	if err != nil {
		return explain("log trim", err)
	}
	fmt.Fprintf(i.stdout, "trimmed %d events; they are in the archive\n", n)
	return nil
}

func (c *logTrimCommand) foretell(i *invocation, s *stores) error {
	known, err := s.archivedTo(i.ctx)
	if err != nil {
		return explain("log trim", err)
	}
	stream := streams.Stream{Client: s.redis, Identity: func() streams.Identity { return s.identity }}
	lines := make([]trimLine, s.identity.Partitions)
	total := int64(0)
	for partition := range lines {
		state := known[partition]
		lines[partition] = trimLine{Partition: partition, ArchivedTo: state.VerifiedTo}
		if state.VerifiedTo == 0 {
			continue
		}
		to := schema.Checkpoint{Seq: state.VerifiedTo, StreamID: state.StreamID}
		if lines[partition].Trimmable, err = stream.Trimmable(i.ctx, partition, to, s.keep); err != nil {
			return explain("log trim", err)
		}
		total += lines[partition].Trimmable
	}
	if c.JSON {
		return json.NewEncoder(i.stdout).Encode(lines)
	}
	table := tabwriter.NewWriter(i.stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "PARTITION\tARCHIVED TO\tWOULD GO\t")
	for _, line := range lines {
		fmt.Fprintf(table, "%d\t%d\t%d\t\n", line.Partition, line.ArchivedTo, line.Trimmable)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(i.stdout, "%d events are archived and older than %s\n", total, s.keep)
	return err
}

// openAll reaches Redis and SQL, which must hold the same log.
func (i *invocation) openAll() (*stores, error) {
	s, err := openStores(i.ctx, i.settings, i.logger)
	if err != nil {
		return nil, err
	}
	if err = s.openLog(i.ctx); err == nil {
		err = s.agree(i.ctx)
	}
	if err == nil {
		err = s.openAudit(i.settings, false)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}
