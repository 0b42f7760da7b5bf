package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"mpim/domain"
)

type userEraseCommand struct {
	User string        `arg:"" help:"Id or user name."`
	Wait time.Duration `help:"How long to wait until every projection has purged." default:"60s"`
	JSON bool          `help:"Print the certificate as one JSON document."`
	Yes  bool          `help:"Do not ask."`
}

// certificate says what was erased, and what cannot be reached from here.
type certificate struct {
	User        domain.UserID `json:"user"`
	Log         string        `json:"log"`
	DestroyedAt time.Time     `json:"key_destroyed_at"`
	CompletedAt time.Time     `json:"completed_at"`
	// Account is the position of account.erased in the account's own history.
	Account string `json:"account_erased"`
	// Searched is how far each partition was searched for what the user wrote.
	Searched map[string]int64 `json:"searched_to"`
	// Sealed is how many events hold texts that nothing opens any more, Plain how many were stored while sealing was off. Where
	// are the accounts and conversations that have them.
	Sealed int      `json:"sealed_events"`
	Plain  int      `json:"plain_events"`
	Where  []string `json:"aggregates"`
	// PlainAt names the events that were stored while sealing was off, by partition: sequences, as in 17 or 20-23. Their bytes
	// stay in the archive, and in Redis until they are trimmed; PlainParked says which projections have some set aside.
	PlainAt     map[string][]string `json:"plain_at,omitempty"`
	PlainParked []string            `json:"plain_parked,omitempty"`
	// Left are the groups that the user was in until now.
	Left []leftGroup `json:"groups_left"`
	// Purged are the projections that have taken the texts away, Behind those that have not yet.
	Purged []string `json:"purged"`
	Behind []string `json:"behind"`
	// Beyond is what no command can reach.
	Beyond []string `json:"beyond_reach"`
}

// leftGroup is a group that an erased user has left, and to whom it went where the user owned it and others were in it.
type leftGroup struct {
	Conversation domain.ConversationID `json:"conversation"`
	Heir         domain.UserID         `json:"heir,omitempty"`
}

// beyond is what erasing cannot reach, whatever was done.
var beyond = []string{
	"backups of Redis and of the SQL database from before: with one of them and the key that wraps, the user's key comes back",
	"the append-only file of Redis, until its next rewrite (BGREWRITEAOF makes one now): wrapped keys and texts in projections",
	"binary logs and undo of the SQL server, until they are purged: the wrapped key and texts in projections",
	"free pages of the SQL database and its disk, until they are overwritten",
	"for at most 24 hours, a keyed hash of 8 bytes of each message in Redis, by which repeats are told: it says nothing without the log's own key",
	"what left this system: pushes that devices keep, webhooks, exports, and what other services read from the log with a key",
	"what others wrote about the user, and the texts of others that quote the user",
}

// Run destroys a user's key, appends that, waits until it is purged everywhere, and prints what was done.
func (c *userEraseCommand) Run(i *invocation) error {
	if err := i.confirm(c.Yes, fmt.Sprintf("Erase user %s? All that the user wrote becomes unreadable everywhere and for ever.", c.User)); err != nil {
		return err
	}
	return i.withLog("user erase", true, func(g *gatewayParts) error {
		e := &eraser{i: i, stores: g.stores, log: g.log}
		done, err := e.erase(c.User, c.Wait)
		if err != nil {
			return err
		}
		if !c.JSON {
			done.print(i)
		} else if err := json.NewEncoder(i.stdout).Encode(done); err != nil {
			return err
		}
		if len(done.Behind) > 0 {
			return errProblemsFound
		}
		return nil
	})
}

func (c *certificate) print(i *invocation) {
	w := i.stdout
	fmt.Fprintf(w, "User %s of log %s is erased.\n\n", c.User, c.Log)
	fmt.Fprintf(w, "key destroyed       %s\naccount.erased      %s\ncompleted           %s\n", c.DestroyedAt.Format(time.RFC3339), c.Account, c.CompletedAt.Format(time.RFC3339))
	fmt.Fprintf(w, "events made unreadable: %d, in %d accounts and conversations; no byte of them changed, so every proof still verifies\n", c.Sealed, len(c.Where))
	if c.Plain > 0 {
		fmt.Fprintf(w, "NOT made unreadable:    %d events that were stored while sealing was off: mpim shows them no more, but their bytes stay in the archive, and in Redis until they are trimmed\n", c.Plain)
		for _, partition := range slices.Sorted(maps.Keys(c.PlainAt)) {
			fmt.Fprintf(w, "                        partition %s: %s\n", partition, listed(c.PlainAt[partition]))
		}
	}
	if len(c.PlainParked) > 0 {
		fmt.Fprintf(w, "  also set aside by:    %s; `mpim parked retry` or `mpim parked discard` takes them away there\n", strings.Join(c.PlainParked, ", "))
	}
	for _, left := range c.Left {
		fmt.Fprintf(w, "left group              %s", left.Conversation)
		if left.Heir != "" {
			fmt.Fprintf(w, ", which %s owns now", left.Heir)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "purged:                 %s\n", strings.Join(c.Purged, ", "))
	if len(c.Behind) > 0 {
		fmt.Fprintf(w, "NOT purged yet:         %s; they will when they get there: run this again to be sure\n", strings.Join(c.Behind, ", "))
	}
	fmt.Fprintln(w, "\nOut of reach:")
	for _, what := range c.Beyond {
		fmt.Fprintln(w, " -", what)
	}
}

// mostShown is how many positions of a partition are printed for people.
const mostShown = 20

func listed(sequences []string) string {
	if len(sequences) <= mostShown {
		return strings.Join(sequences, ", ")
	}
	return fmt.Sprintf("%s … (%d in all: --json names them)", strings.Join(sequences[:mostShown], ", "), len(sequences))
}
