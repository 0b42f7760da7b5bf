package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"mpim/domain"
	"mpim/domain/account"
	"mpim/domain/conversation"
	"mpim/handlers/imports"
	"mpim/projections/history"
	"mpim/streams"
)

type importCommand struct {
	File  string `arg:"" help:"JSON Lines; see docs/import.md." type:"path"`
	Check bool   `help:"Say what is wrong with the file, and write nothing."`
	JSON  bool   `help:"Print one JSON document."`
	Yes   bool   `help:"Accepted for scripts; nothing is asked." hidden:""`
}

// importLine is what came of an import, as --json prints it.
type importLine struct {
	Lines    int   `json:"lines"`
	Users    int64 `json:"users"`
	Groups   int64 `json:"groups"`
	Members  int64 `json:"members"`
	Messages int64 `json:"messages"`
	// Skipped lines say what was so already.
	Skipped int64 `json:"skipped"`
}

// Run checks the file, and imports what is not there yet.
func (c *importCommand) Run(i *invocation) error {
	if _, err := os.Stat(c.File); err != nil {
		return usagef("the file cannot be read: %v", err)
	}
	return i.withLog("import "+c.File, true, func(g *gatewayParts) error {
		s := g.stores
		limits := conversation.DefaultLimits()
		limits.TextBytes, limits.GroupMembers = i.settings.LimitsTextBytes, i.settings.LimitsGroupMembers
		open := func() (io.ReadCloser, error) { return os.Open(c.File) }
		summary, err := c.check(i, open, existing{g.log, s.identity.Placement()}, limits)
		if err != nil || c.Check {
			return err
		}
		heads, err := g.log.Heads(i.ctx)
		if err != nil {
			return err
		}
		bar := newProgress(i, "importing")
		bar.total = int64(summary.Lines)
		defer bar.done()
		var done atomic.Int64
		var mu sync.Mutex
		var counts imports.Counts
		err = imports.Run(i.ctx, imports.Config{
			Log: g.log, Placement: s.identity.Placement(), Limits: limits,
			History: &settledHistory{Queries: agreedQueries{history.NewQueries(s.db), s}, parts: g, heads: heads},
			Progress: func(n int64) {
				done.Add(n)
				mu.Lock()
				defer mu.Unlock()
				for range n {
					bar.step()
				}
			},
		}, open, &counts)
		line := importLine{
			Lines: summary.Lines, Users: counts.Users.Load(), Groups: counts.Groups.Load(),
			Members: counts.Members.Load(), Messages: counts.Messages.Load(), Skipped: counts.Skipped.Load(),
		}
		if err != nil {
			return fmt.Errorf("after %d of %d lines: %w\nWhat was imported stays; run the same command again to go on", done.Load(), line.Lines, err)
		}
		return c.print(i, line)
	})
}

// check finds what is wrong with the file.
func (c *importCommand) check(i *invocation, open func() (io.ReadCloser, error), users imports.Users, limits conversation.Limits) (imports.Summary, error) {
	file, err := open()
	if err != nil {
		return imports.Summary{}, err
	}
	defer func() { _ = file.Close() }()
	summary, err := imports.Check(i.ctx, file, users, limits, time.Now())
	if err != nil {
		return summary, fmt.Errorf("nothing was imported:\n%w", err)
	}
	if c.Check {
		return summary, c.print(i, importLine{
			Lines: summary.Lines, Users: int64(summary.Users), Groups: int64(summary.Groups),
			Members: int64(summary.Members), Messages: int64(summary.Messages),
		})
	}
	return summary, nil
}

func (c *importCommand) print(i *invocation, line importLine) error {
	if c.JSON {
		return json.NewEncoder(i.stdout).Encode(line)
	}
	did := "imported"
	if c.Check {
		did = "nothing is wrong with"
	}
	_, err := fmt.Fprintf(i.stdout, "%s %d users, %d groups, %d changes of members, %d messages; %d lines were there already\n",
		did, line.Users, line.Groups, line.Members, line.Messages, line.Skipped)
	return err
}

// existing knows the accounts of the log.
type existing struct {
	log       *streams.Log
	placement domain.Placement
}

// Exists says whether somebody has the name.
func (e existing) Exists(ctx context.Context, username string) (bool, error) {
	fields, err := e.log.Load(ctx, e.placement.User(username).Aggregate(), account.ProfileFields())
	if err != nil {
		return false, err
	}
	state, err := account.Load(fields)
	return state.Exists(), err
}

// settledHistory waits, before it is asked for the first time, until history has what was appended before the import.
type settledHistory struct {
	Queries agreedQueries
	parts   *gatewayParts
	heads   []int64

	once sync.Once
	err  error
}

// Sent returns the messages of a conversation whose client id has the prefix.
func (h *settledHistory) Sent(ctx context.Context, id domain.ConversationID, prefix string) ([]history.Sent, error) {
	h.once.Do(func() { h.err = h.settle(ctx) })
	if h.err != nil {
		return nil, h.err
	}
	if err := h.Queries.agree(ctx); err != nil {
		return nil, err
	}
	return h.Queries.Sent(ctx, id, prefix)
}

// patience is how long an import waits for history to catch up.
const patience = time.Minute

var errBehind = errors.New("history is behind, so it is not known which messages were imported before: start `mpim worker`, and wait until `mpim projection list` shows no lag")

func (h *settledHistory) settle(ctx context.Context) error {
	positions := make([]domain.Position, 0, len(h.heads))
	for partition, seq := range h.heads {
		if seq > 0 {
			positions = append(positions, domain.Position{Partition: partition, Seq: seq})
		}
	}
	for end := time.Now().Add(patience); ; {
		err := h.parts.waiter.Wait(ctx, history.Name, positions...)
		if err == nil || domain.CodeOf(err) != domain.Unavailable || ctx.Err() != nil {
			return err
		}
		if time.Now().After(end) {
			return errBehind
		}
	}
}
