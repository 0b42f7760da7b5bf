package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"mpim/domain"
	"mpim/handlers/reactor"
	"mpim/handlers/webhook"
	"mpim/projections/deadletters"
	"mpim/projections/webhooks"
	"mpim/schema"
)

type deadletterCommand struct {
	List    deadletterListCommand    `cmd:"" help:"Events that handlers gave up."`
	Show    deadletterShowCommand    `cmd:"" help:"One dead letter with its event."`
	Retry   deadletterRetryCommand   `cmd:"" help:"Handle events once more, from here, and say what came of it."`
	Discard deadletterDiscardCommand `cmd:"" help:"Give dead letters up for good, with a reason."`
}

// letterLine is a dead letter as `--json` prints it.
type letterLine struct {
	DeadLetter    string           `json:"dead_letter"`
	Handler       string           `json:"handler"`
	Position      string           `json:"position"`
	Event         domain.EventID   `json:"event"`
	Type          domain.EventType `json:"type"`
	Aggregate     string           `json:"aggregate,omitempty"`
	Reason        string           `json:"reason"`
	Failures      int              `json:"failures"`
	FirstFailedAt string           `json:"first_failed_at"`
	LastFailedAt  string           `json:"last_failed_at"`
	DiscardedAt   *string          `json:"discarded_at,omitempty"`
	DiscardReason string           `json:"discard_reason,omitempty"`
	// Data is the event, with `show`.
	Data *schema.Line `json:"data,omitempty"`
}

func newLetterLine(l deadletters.Letter) letterLine {
	return letterLine{
		DeadLetter: l.ID(), Handler: l.Handler, Position: l.Position().String(), Event: l.Event, Type: l.Type, Aggregate: l.Aggregate,
		Reason: l.Reason, Failures: l.Failures,
		FirstFailedAt: l.FirstFailedAt.Format(schema.TimeFormat), LastFailedAt: l.LastFailedAt.Format(schema.TimeFormat),
		DiscardedAt: shownTime(l.DiscardedAt), DiscardReason: l.DiscardReason,
	}
}

type deadletterListCommand struct {
	Handler string `help:"Of this handler alone: a reactor, or webhook:ID." placeholder:"NAME"`
	Limit   int    `help:"At most so many." default:"1000"`
	All     bool   `help:"Those that were discarded, too."`
	JSON    bool   `help:"Print one JSON document."`
}

// Run lists dead letters.
func (c *deadletterListCommand) Run(i *invocation) error {
	return i.withWebhooks(func(s *stores, _ webhooks.Store) error {
		letters, err := deadletters.Store{DB: s.db}.List(i.ctx, deadletters.Filter{Handler: c.Handler, Discarded: c.All}, c.Limit)
		if err != nil {
			return explain("deadletter list", err)
		}
		lines := make([]letterLine, len(letters))
		for n, l := range letters {
			lines[n] = newLetterLine(l)
		}
		if c.JSON {
			return json.NewEncoder(i.stdout).Encode(lines)
		}
		table := tabwriter.NewWriter(i.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "DEAD LETTER\tTYPE\tFAILURES\tFIRST\tLAST\tREASON")
		for n, l := range lines {
			fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\t%s\n", l.DeadLetter, l.Type, l.Failures,
				timeOf(&letters[n].FirstFailedAt), timeOf(&letters[n].LastFailedAt), l.Reason)
		}
		return table.Flush()
	})
}

type deadletterShowCommand struct {
	Letter string `arg:"" help:"As list shows it: handler@partition:sequence." name:"dead-letter"`
	JSON   bool   `help:"Print it on one line."`
}

// Run shows a dead letter and, from the log, its event.
func (c *deadletterShowCommand) Run(i *invocation) error {
	return i.withWebhooks(func(s *stores, _ webhooks.Store) error {
		letter, err := s.deadLetter(i.ctx, c.Letter)
		if err != nil {
			return err
		}
		shown := newLetterLine(letter)
		if record, err := s.reader().At(i.ctx, letter.Position()); err != nil {
			fmt.Fprintln(i.stderr, "mpim: the event itself:", err)
		} else if line, err := schema.NewLine(record); err != nil {
			fmt.Fprintln(i.stderr, "mpim: the event itself:", err)
		} else {
			shown.Data = &line
		}
		encoder := json.NewEncoder(i.stdout)
		if !c.JSON {
			encoder.SetIndent("", "  ")
		}
		return encoder.Encode(shown)
	})
}

// deadLetter finds the letter that an argument names.
func (s *stores) deadLetter(ctx context.Context, id string) (deadletters.Letter, error) {
	handler, position, err := deadletters.ParseID(id)
	if err != nil {
		return deadletters.Letter{}, usageError{err}
	}
	letter, found, err := deadletters.Store{DB: s.db}.Get(ctx, handler, position)
	if err != nil {
		return letter, explain("dead letter "+id, err)
	}
	if !found {
		return letter, fmt.Errorf("there is no dead letter %s: `mpim deadletter list` shows all", id)
	}
	return letter, nil
}

// chooseLetters are the arguments of commands that change dead letters.
type chooseLetters struct {
	Letters []string `arg:"" optional:"" help:"As list shows them: handler@partition:sequence." name:"dead-letter"`
	Handler string   `help:"All of this handler." placeholder:"NAME"`
	Yes     bool     `help:"Do it without asking."`
}

// allOf is how many letters of a handler one command takes on.
const allOf = 100_000

func (c *chooseLetters) choose(ctx context.Context, s *stores) ([]deadletters.Letter, error) {
	if (len(c.Letters) == 0) == (c.Handler == "") {
		return nil, usagef("name dead letters, or a --handler whose dead letters are all meant")
	}
	if c.Handler != "" {
		letters, err := deadletters.Store{DB: s.db}.List(ctx, deadletters.Filter{Handler: c.Handler}, allOf)
		if err == nil && len(letters) == 0 {
			err = fmt.Errorf("handler %s has no dead letters", c.Handler)
		}
		return letters, err
	}
	letters := make([]deadletters.Letter, len(c.Letters))
	for n, id := range c.Letters {
		var err error
		if letters[n], err = s.deadLetter(ctx, id); err != nil {
			return nil, err
		}
	}
	return letters, nil
}

type deadletterRetryCommand struct {
	chooseLetters
}

// Run handles each letter's event once more. A letter whose event is taken goes; another one counts on.
func (c *deadletterRetryCommand) Run(i *invocation) error {
	return i.withWebhooks(func(s *stores, _ webhooks.Store) error {
		letters, err := c.choose(i.ctx, s)
		if err != nil {
			return err
		}
		store := deadletters.Store{DB: s.db}
		retry := newRetrier(s, i.settings)
		failed := 0
		for _, l := range letters {
			began := time.Now()
			if failure := retry.retry(i.ctx, l); failure != nil {
				if i.ctx.Err() != nil {
					return i.ctx.Err()
				}
				failed++
				fmt.Fprintf(i.stdout, "%s failed: %v\n", l.ID(), failure)
				l.Reason, l.Failures, l.LastFailedAt = failure.Error(), 1, began
				if err := store.Put(i.ctx, []deadletters.Letter{l}); err != nil {
					return explain("deadletter retry", err)
				}
				continue
			}
			if _, err := store.Remove(i.ctx, l.Handler, l.Position()); err != nil {
				return explain("deadletter retry", err)
			}
			fmt.Fprintf(i.stdout, "%s done\n", l.ID())
		}
		if failed > 0 {
			return errProblemsFound
		}
		return nil
	})
}

type deadletterDiscardCommand struct {
	chooseLetters

	Reason string `help:"Why; it is kept with them." required:"" placeholder:"TEXT"`
}

// Run discards dead letters.
func (c *deadletterDiscardCommand) Run(i *invocation) error {
	return i.withWebhooks(func(s *stores, _ webhooks.Store) error {
		letters, err := c.choose(i.ctx, s)
		if err != nil {
			return err
		}
		if err := i.confirm(c.Yes, fmt.Sprintf("%d dead letters are given up for good: their side effects never happen.", len(letters))); err != nil {
			return err
		}
		for _, l := range letters {
			if _, err := (deadletters.Store{DB: s.db}).Discard(i.ctx, l.Handler, l.Position(), c.Reason); err != nil {
				return explain("deadletter discard", err)
			}
			fmt.Fprintf(i.stdout, "%s discarded\n", l.ID())
		}
		return nil
	})
}

// retrier handles events of dead letters once more.
type retrier struct {
	stores   *stores
	settings *Settings
	sender   *webhook.Sender
	webhooks map[string]webhooks.Webhook
	offline  *reactor.Offline
}

func newRetrier(s *stores, settings *Settings) *retrier {
	return &retrier{stores: s, settings: settings, sender: webhook.NewSender(webhook.SenderConfig{AllowPrivate: settings.WebhookAllowPrivate})}
}

func (r *retrier) retry(ctx context.Context, l deadletters.Letter) error {
	record, err := r.stores.reader().At(ctx, l.Position())
	if err != nil {
		return err
	}
	id, isWebhook := strings.CutPrefix(l.Handler, webhooks.HandlerPrefix)
	if !isWebhook {
		return r.react(ctx, l.Handler, record)
	}
	if r.webhooks == nil {
		all, err := webhooks.Store{DB: r.stores.db}.List(ctx)
		if err != nil {
			return err
		}
		r.webhooks = make(map[string]webhooks.Webhook, len(all))
		for _, w := range all {
			r.webhooks[w.ID] = w
		}
	}
	w, ok := r.webhooks[id]
	if !ok {
		return gone(id, webhooks.ErrGone)
	}
	line, err := schema.NewLine(record)
	if err != nil {
		return err
	}
	return webhook.Redeliver(ctx, r.sender, w, record, line)
}
