package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"mpim/domain"
	"mpim/schema"
	"mpim/streams"
)

type logCommand struct {
	Stat    logStatCommand    `cmd:"" help:"Partitions, entries, bytes, first and last event."`
	Tail    logTailCommand    `cmd:"" help:"Print the newest events."`
	Get     logGetCommand     `cmd:"" help:"Print one event in full."`
	Archive logArchiveCommand `cmd:"" help:"Archive the log up to now."`
	Trim    logTrimCommand    `cmd:"" help:"Trim from Redis what is archived."`
	Repair  logRepairCommand  `cmd:"" help:"Write back what Redis lost and the archive has, and name what is gone."`

	Snapshots logSnapshotsCommand `cmd:"" help:"Check what commands are decided on."`
}

// openLog reaches Redis. Looking at the log needs nothing else; where a SQL database is set, what was trimmed is read from
// the archive in it.
func (i *invocation) openLog() (*stores, error) {
	client, err := streams.Connect(i.settings.RedisURL, redisPool)
	if err != nil {
		return nil, usageError{err}
	}
	s := &stores{redis: client, server: streams.RedisServer{Client: client}, keep: i.settings.LogKeep, logger: i.logger}
	if i.settings.DatabaseURL != "" {
		if err := s.openDatabase(i.ctx, i.settings); err != nil {
			_ = client.Close()
			return nil, err
		}
	}
	s.identity, err = streams.ReadIdentity(i.ctx, client)
	if err != nil {
		_ = s.Close()
		if errors.Is(err, streams.ErrNoLog) {
			return nil, fmt.Errorf("redis at %s holds no log: check MPIM_REDIS_URL; run `mpim migrate up` where everything is new, and `mpim log repair` where this Redis lost it", redacted(i.settings.RedisURL))
		}
		return nil, explain("redis at "+redacted(i.settings.RedisURL), err)
	}
	return s, nil
}

func (s *stores) reader() streams.Reader {
	reader := streams.Reader{Client: s.redis, Partitions: s.identity.Partitions, Segments: s.segments()}
	if s.ring != nil {
		reader.Opener = s.ring
	}
	return reader
}

type logStatCommand struct {
	JSON bool `help:"Print one JSON document."`
}

// Run describes the log.
func (c *logStatCommand) Run(i *invocation) error {
	s, err := i.openLog()
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	stat, err := s.readStat(i.ctx)
	if err != nil {
		return explain("log stat", err)
	}
	if c.JSON {
		return json.NewEncoder(i.stdout).Encode(stat)
	}
	fmt.Fprintf(i.stdout, "log %s, epoch %d: %d events, %s, %.1f appended a second\n", stat.ID, stat.Epoch, stat.Entries, bytesOf(stat.Bytes), stat.AppendsPerSecond)
	fmt.Fprint(i.stdout, "redis uses ", bytesOf(stat.UsedMemory))
	if stat.MaxMemory > 0 {
		fmt.Fprint(i.stdout, " of ", bytesOf(stat.MaxMemory))
	}
	if stat.MemoryLeftSeconds != nil {
		fmt.Fprintf(i.stdout, ", which lasts for %s at this rate", time.Duration(*stat.MemoryLeftSeconds)*time.Second)
	}
	fmt.Fprintln(i.stdout)
	for _, sentence := range closedPartitions(stat.Partitions) {
		fmt.Fprintln(i.stdout, sentence)
	}
	table := tabwriter.NewWriter(i.stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "PARTITION\tENTRIES\tFIRST\tHEAD\tARCHIVED TO\tTRIMMED TO\tBYTES\tOLDEST\tNEWEST\t")
	for _, p := range stat.Partitions {
		fmt.Fprintf(table, "%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\t\n", p.Partition, p.Entries, p.First, p.Head, p.ArchivedTo, p.TrimmedTo,
			bytesOf(p.Bytes), timeOf(p.FirstAt), timeOf(p.LastAt))
	}
	return table.Flush()
}

func timeOf(at *time.Time) string {
	if at == nil {
		return "-"
	}
	return at.Format(time.DateTime)
}

func bytesOf(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, suffix := float64(n)/unit, 0
	for value >= unit && suffix < 3 {
		value /= unit
		suffix++
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGT"[suffix])
}

type logTailCommand struct {
	Follow bool `short:"f" help:"Go on with each event as it is appended."`
	JSON   bool `help:"Print JSON Lines."`
	filters
}

// tailed is how many events are shown without --limit.
const tailed = 10

// Run prints the newest events that match, oldest first.
func (c *logTailCommand) Run(i *invocation) error {
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
	if err := wanted.fit(s.identity.Partitions); err != nil {
		return err
	}
	limit := c.Limit
	if limit == 0 {
		limit = tailed
	}
	heads, err := s.ends(i)
	if err != nil {
		return explain("log tail", err)
	}
	newest, err := s.newest(i, wanted, heads, limit)
	if err != nil {
		return explain("log tail", err)
	}
	printer := eventPrinter{w: i.stdout, json: c.JSON}
	for _, record := range newest {
		if err := printer.print(record); err != nil {
			return err
		}
	}
	if !c.Follow {
		return nil
	}
	return s.follow(i, wanted, heads, c.JSON, 0)
}

// ends returns where each partition ends now.
func (s *stores) ends(i *invocation) ([]schema.Checkpoint, error) {
	ends := make([]schema.Checkpoint, s.identity.Partitions)
	for partition := range ends {
		records, err := s.stored().Latest(i.ctx, partition, 1)
		if err != nil {
			return nil, err
		}
		for _, last := range records {
			ends[partition] = schema.Checkpoint{Seq: last.Seq, StreamID: last.StreamID}
		}
	}
	return ends, nil
}

// newest returns the last records up to the given ends that match, opened. Without filters it reads only those; with some it
// has to read all that may match.
func (s *stores) newest(i *invocation, wanted *chosen, ends []schema.Checkpoint, limit int) ([]*schema.Record, error) {
	var found []*schema.Record
	if wanted.filters == (filters{Limit: wanted.Limit}) {
		var err error
		if found, err = s.latest(i, limit); err != nil {
			return nil, err
		}
	} else {
		bar := newProgress(i, "looking for events")
		defer bar.done()
		for record, err := range s.replay(i, wanted) {
			if err != nil {
				return nil, err
			}
			bar.step()
			if record.Seq <= ends[record.Partition].Seq && wanted.match(record) {
				found = append(found, record.Clone())
				// Now and then, so that it costs nothing a record.
				if len(found) > 2*limit+1024 {
					found = append(found[:0], found[len(found)-limit:]...)
				}
			}
		}
	}
	found = found[max(0, len(found)-limit):]
	return found, s.open(i.ctx, found...)
}

// latest returns the newest records of all partitions, in the order of a replay.
func (s *stores) latest(i *invocation, limit int) ([]*schema.Record, error) {
	type timed struct {
		*schema.Record
		at time.Time
	}
	var all []timed
	for partition := range s.identity.Partitions {
		records, err := s.stored().Latest(i.ctx, partition, int64(limit))
		if err != nil {
			return nil, err
		}
		var reached time.Time
		for _, record := range records {
			if record.At.After(reached) {
				reached = record.At
			}
			all = append(all, timed{record, reached})
		}
	}
	slices.SortStableFunc(all, func(a, b timed) int { return a.at.Compare(b.at) })
	found := make([]*schema.Record, len(all))
	for n, one := range all {
		found[n] = one.Record
	}
	return found, nil
}

type logGetCommand struct {
	JSON bool   `help:"Print it on one line."`
	What string `arg:"" help:"A position (3:17) or an event id." name:"position|event"`
}

// Run prints one event.
func (c *logGetCommand) Run(i *invocation) error {
	s, err := i.openLog()
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	s.openKeys(i)
	record, err := s.find(i, c.What)
	if err != nil {
		return explain("log get", err)
	}
	line, err := schema.NewShownLine(record)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(i.stdout)
	if !c.JSON {
		encoder.SetIndent("", "  ")
	}
	return encoder.Encode(struct {
		schema.Line
		StreamID string `json:"stream_id"`
	}{line, record.StreamID})
}

func (s *stores) find(i *invocation, what string) (*schema.Record, error) {
	if _, ok := domain.EventID(what).Time(); !ok {
		position, err := domain.ParsePosition(what)
		if err != nil {
			return nil, usagef("%q is neither a position (3:17) nor an event id", what)
		}
		return s.reader().At(i.ctx, position)
	}
	return s.reader().Event(i.ctx, domain.EventID(what))
}
