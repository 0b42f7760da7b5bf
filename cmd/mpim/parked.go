package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/user"
	"slices"
	"strings"
	"text/tabwriter"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/builds"
	"mpim/projections/checkpoint"
	"mpim/projections/inbox"
	"mpim/projections/members"
	"mpim/projections/presence"
	"mpim/projections/recent"
	"mpim/projections/tables"
	"mpim/schema"
)

type parkedCommand struct {
	List    parkedListCommand    `cmd:"" help:"Events that projections could not apply, and those that stand behind them."`
	Show    parkedShowCommand    `cmd:"" help:"One parked event in full, with the error."`
	Retry   parkedRetryCommand   `cmd:"" help:"Apply parked events again, a conversation at a time, in order."`
	Discard parkedDiscardCommand `cmd:"" help:"Give parked events up for good, with a reason."`
}

// parkedChoice says which parked events are meant.
type parkedChoice struct {
	Projection   string `help:"Of this projection alone." placeholder:"NAME"`
	Conversation string `help:"Of this conversation alone; an account is written account:ID." placeholder:"ID"`
}

// matches says whether a key is that of the conversation.
func (c *parkedChoice) matches(key projections.Key) bool {
	return c.Conversation == "" || string(key) == c.Conversation || strings.HasSuffix(string(key), ":"+c.Conversation)
}

// parkedLine is a parked event as `--json` prints it.
type parkedLine struct {
	Projection   string           `json:"projection"`
	Build        int              `json:"build"`
	Position     string           `json:"position"`
	Conversation projections.Key  `json:"conversation"`
	Event        domain.EventID   `json:"event"`
	Type         domain.EventType `json:"type"`
	// Error is empty where the event only stands behind another.
	Error       string `json:"error"`
	Attempts    int    `json:"attempts"`
	FirstAt     string `json:"first_at"`
	LastAt      string `json:"last_at"`
	DiscardedBy string `json:"discarded_by,omitempty"`
	DiscardedAt string `json:"discarded_at,omitempty"`
	Reason      string `json:"reason,omitempty"`
	// Data is the event, with `show`.
	Data json.RawMessage `json:"data,omitempty"`
}

// parkedIn is what one build has parked of what is meant.
type parkedIn struct {
	stores *stores
	parker parker
	build  builds.Build
	events []checkpoint.ParkedEvent
}

// parker is the part of a projection that keeps what it could not apply. All projections are some.
type parker interface {
	// ParkedEvents and Discards return what is parked, and what was given up, by partition and sequence.
	ParkedEvents(ctx context.Context) ([]checkpoint.ParkedEvent, error)
	Discards(ctx context.Context) ([]checkpoint.Discarded, error)
	// Retry applies what is parked by a key again, in order, and returns how much that was.
	Retry(ctx context.Context, partition int, key projections.Key, open checkpoint.Open) (int, error)
	// Discard gives up what is parked by a key, or the one event at seq where that is not 0.
	Discard(ctx context.Context, partition int, key projections.Key, seq int64, by, why string) (int, error)
}

var (
	_ parker = (*tables.Projection)(nil)
	_ parker = (*presence.Projection)(nil)
	_ parker = (*members.Projection)(nil)
	_ parker = (*inbox.Projection)(nil)
	_ parker = (*recent.Projection)(nil)
)

// parked calls do with what every build has parked.
func (c *parkedChoice) parked(i *invocation, do func(all []parkedIn) error) error {
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
	if c.Projection != "" {
		if _, err := s.family(c.Projection); err != nil {
			return err
		}
	}
	var all []parkedIn
	for _, f := range s.families() {
		if c.Projection != "" && c.Projection != f.Name() {
			continue
		}
		some, err := c.parkedOf(i.ctx, s, f)
		if err != nil {
			return err
		}
		all = append(all, some...)
	}
	return do(all)
}

// parkedOf returns what the builds of one version have parked.
func (c *parkedChoice) parkedOf(ctx context.Context, s *stores, f *builds.Family) (all []parkedIn, err error) {
	standing, err := f.Standing(ctx)
	if err != nil {
		return nil, err
	}
	for _, b := range standing.Builds {
		if b.Version != f.Version() || b.State == projections.Dropped {
			continue
		}
		p, ok := f.Open(b).(parker)
		if !ok {
			continue
		}
		in := parkedIn{stores: s, parker: p, build: b}
		if in.events, err = p.ParkedEvents(ctx); err != nil {
			return nil, err
		}
		in.events = slices.DeleteFunc(in.events, func(e checkpoint.ParkedEvent) bool { return !c.matches(e.Key) })
		all = append(all, in)
	}
	return all, nil
}

func newParkedLine(b builds.Build, e checkpoint.ParkedEvent) parkedLine {
	return parkedLine{
		Projection: b.Name, Build: b.Number, Position: e.Record.String(), Conversation: e.Key, Event: e.Record.ID,
		Type: e.Record.Type, Error: e.Reason, Attempts: e.Attempts,
		FirstAt: e.First.Format(schema.TimeFormat), LastAt: e.Last.Format(schema.TimeFormat),
	}
}

type parkedListCommand struct {
	parkedChoice
	Discarded bool `help:"Those that were given up, instead."`
	JSON      bool `help:"Print one JSON document."`
}

// Run lists what is parked.
func (c *parkedListCommand) Run(i *invocation) error {
	return c.parked(i, func(all []parkedIn) error {
		lines := []parkedLine{}
		for _, in := range all {
			if c.Discarded {
				some, err := c.discarded(i, in)
				if err != nil {
					return err
				}
				lines = append(lines, some...)
				continue
			}
			for _, e := range in.events {
				lines = append(lines, newParkedLine(in.build, e))
			}
		}
		if c.JSON {
			return json.NewEncoder(i.stdout).Encode(lines)
		}
		table := tabwriter.NewWriter(i.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "PROJECTION\tBUILD\tPOSITION\tCONVERSATION\tTYPE\tATTEMPTS\tFIRST\tLAST\tERROR")
		for _, l := range lines {
			what := l.Error
			switch {
			case l.DiscardedAt != "":
				what = fmt.Sprintf("discarded by %s at %s: %s", l.DiscardedBy, l.DiscardedAt, l.Reason)
			case what == "":
				what = "(stands behind another)"
			}
			fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", l.Projection, l.Build, l.Position, l.Conversation, l.Type,
				l.Attempts, l.FirstAt, l.LastAt, what)
		}
		return table.Flush()
	})
}

func (c *parkedListCommand) discarded(i *invocation, in parkedIn) (lines []parkedLine, err error) {
	found, err := in.parker.Discards(i.ctx)
	for _, d := range found {
		if !c.matches(d.Key) {
			continue
		}
		lines = append(lines, parkedLine{
			Projection: d.Projection, Build: d.Build, Position: domain.Position{Partition: d.Partition, Seq: d.Seq}.String(),
			Conversation: d.Key, Event: domain.EventID(d.Event), Type: d.Type, Error: d.Reason,
			FirstAt: d.ParkedAt.UTC().Format(schema.TimeFormat), LastAt: d.ParkedAt.UTC().Format(schema.TimeFormat),
			DiscardedBy: d.By, DiscardedAt: d.At.UTC().Format(schema.TimeFormat), Reason: d.Why,
		})
	}
	return lines, err
}

type parkedShowCommand struct {
	parkedChoice
	Position string `arg:"" help:"As list shows it: partition:sequence."`
	JSON     bool   `help:"Print it on one line."`
}

// Run shows one event in every build that has parked it.
func (c *parkedShowCommand) Run(i *invocation) error {
	return c.parked(i, func(all []parkedIn) error {
		encoder := json.NewEncoder(i.stdout)
		if !c.JSON {
			encoder.SetIndent("", "  ")
		}
		found := false
		for _, in := range all {
			for _, e := range in.events {
				if e.Record.String() != c.Position {
					continue
				}
				found = true
				line := newParkedLine(in.build, e)
				if err := in.stores.ring.Open(i.ctx, []*schema.Record{e.Record}); err != nil {
					return err
				}
				if json.Valid(e.Record.Data) {
					line.Data = e.Record.Data
				}
				if err := encoder.Encode(line); err != nil {
					return err
				}
			}
		}
		if !found {
			return fmt.Errorf("nothing is parked at %s: `mpim parked list` shows all", c.Position)
		}
		return nil
	})
}

type parkedRetryCommand struct {
	parkedChoice
	approval
}

// Run applies what is parked again: all of a conversation, or nothing of it.
func (c *parkedRetryCommand) Run(i *invocation) error {
	return c.parked(i, func(all []parkedIn) error {
		tried, failed := 0, 0
		for _, in := range all {
			for _, g := range in.groups() {
				tried++
				n, err := in.parker.Retry(i.ctx, g.partition, g.key, in.stores.ring.Open)
				if i.ctx.Err() != nil {
					return i.ctx.Err()
				}
				if err != nil {
					failed++
					if n > 0 {
						fmt.Fprintf(i.stdout, "%s: %s: %d events applied, and then\n", in.build, g.key, n)
					}
					fmt.Fprintf(i.stdout, "%s: %s stays parked: %v\n", in.build, g.key, err)
					continue
				}
				fmt.Fprintf(i.stdout, "%s: %s: %d events applied\n", in.build, g.key, n)
			}
		}
		if tried == 0 {
			fmt.Fprintln(i.stdout, "nothing is parked")
		}
		if failed > 0 {
			return errProblemsFound
		}
		return nil
	})
}

// group is what one build has parked by one key.
type group struct {
	partition int
	key       projections.Key
}

// groups returns the groups in which the events are parked.
func (p parkedIn) groups() (found []group) {
	seen := make(map[group]bool)
	for _, e := range p.events {
		if g := (group{e.Record.Partition, e.Key}); !seen[g] {
			seen[g] = true
			found = append(found, g)
		}
	}
	return found
}

type parkedDiscardCommand struct {
	parkedChoice
	approval
	Position string `arg:"" optional:"" help:"One event, as list shows it. What stands behind it stays parked until a retry."`
	Reason   string `help:"Why; it is kept with them." required:"" placeholder:"TEXT"`
}

// Run gives parked events up.
func (c *parkedDiscardCommand) Run(i *invocation) error {
	if c.Position == "" && c.Conversation == "" && c.Projection == "" {
		return usagef("say which: a position, --conversation or --projection")
	}
	if strings.TrimSpace(c.Reason) == "" {
		return usagef("--reason is empty: it is what others will go by")
	}
	by, err := whoami()
	if err != nil {
		return err
	}
	return c.parked(i, func(all []parkedIn) error {
		total := 0
		for n := range all {
			all[n].events = slices.DeleteFunc(all[n].events, func(e checkpoint.ParkedEvent) bool {
				return c.Position != "" && e.Record.String() != c.Position
			})
			total += len(all[n].events)
		}
		if total == 0 {
			return errors.New("nothing of that is parked: `mpim parked list` shows all")
		}
		if err := i.confirm(c.Yes, fmt.Sprintf("%d parked events are given up for good: what they changed is never seen.", total)); err != nil {
			return err
		}
		for _, in := range all {
			if err := c.discard(i, in, by); err != nil {
				return err
			}
		}
		return nil
	})
}

// discard gives up what is meant of one build.
func (c *parkedDiscardCommand) discard(i *invocation, in parkedIn, by string) error {
	for _, g := range in.groups() {
		seq := int64(0) // all of them
		if c.Position != "" {
			seq = in.events[0].Record.Seq
		}
		n, err := in.parker.Discard(i.ctx, g.partition, g.key, seq, by, c.Reason)
		if err != nil {
			return err
		}
		fmt.Fprintf(i.stdout, "%s: %s: %d events discarded\n", in.build, g.key, n)
	}
	return nil
}

// whoami names the person at the command line.
func whoami() (string, error) {
	u, err := user.Current()
	if err != nil {
		return "", fmt.Errorf("who does this is not known: %w", err)
	}
	return u.Username, nil
}
