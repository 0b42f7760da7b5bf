package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"mpim/domain"
	"mpim/handlers/webhook"
	"mpim/projections/webhooks"
	"mpim/schema"
)

type webhookCommand struct {
	Add    webhookAddCommand    `cmd:"" help:"Send events to an address from now on, or from earlier."`
	List   webhookListCommand   `cmd:"" help:"Webhooks, how far they are, and which fail."`
	Rewind webhookRewindCommand `cmd:"" help:"Send events again, or skip some: go on from a time or position."`
	Test   webhookTestCommand   `cmd:"" help:"Send a request without events, and say what the receiver answers."`
	Remove webhookRemoveCommand `cmd:"" help:"Send no more to an address, and forget how far it was."`
}

// withWebhooks calls do with the stores of a log that Redis and SQL agree on.
func (i *invocation) withWebhooks(do func(s *stores, all webhooks.Store) error) error {
	s, err := openStores(i.ctx, i.settings, i.logger)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if err := s.openLog(i.ctx); err != nil {
		return err
	}
	s.openKeys(i)
	return do(s, webhooks.Store{DB: s.db})
}

// gone explains that a webhook is not there.
func gone(id string, err error) error {
	if errors.Is(err, webhooks.ErrGone) {
		return fmt.Errorf("there is no webhook %s: `mpim webhook list` shows all", id)
	}
	return err
}

type webhookAddCommand struct {
	URL    string   `arg:"" help:"Where events are sent: https://host/path." name:"url"`
	Types  []string `help:"Types of events, as patterns: message.*,member.*" placeholder:"GLOB" default:"*" sep:","`
	From   string   `help:"First event: a time (RFC 3339) or a position (partition:sequence); default: from now on." placeholder:"TIME|POSITION"`
	Secret string   `help:"Secret that signs requests; default: a new one." placeholder:"whsec_…" env:"MPIM_WEBHOOK_SECRET"`
	JSON   bool     `help:"Print one JSON document."`
	Yes    bool     `help:"Nothing is asked; taken for the sake of scripts." hidden:""`
}

// Run adds a webhook and prints its secret, which is shown this once.
func (c *webhookAddCommand) Run(i *invocation) error {
	at, position, err := parseBound("--from", c.From)
	if err != nil {
		return err
	}
	w, err := newWebhook(c.URL, c.Types, c.Secret, i.settings.WebhookAllowPrivate, time.Now())
	if err != nil {
		return err
	}
	return i.withWebhooks(func(s *stores, all webhooks.Store) error {
		if position != nil && position.Partition >= s.identity.Partitions {
			return usagef("--from names partition %d: the log has partitions 0 to %d", position.Partition, s.identity.Partitions-1)
		}
		starts, err := s.startsAt(i.ctx, at, position)
		if err != nil {
			return explain("webhook add", err)
		}
		after := make([]int64, s.identity.Partitions)
		for partition, seq := range starts {
			after[partition] = seq
		}
		if err := all.Add(i.ctx, w, after); err != nil {
			return explain("webhook add", err)
		}
		secret := webhook.FormatSecret(w.Secret)
		if c.JSON {
			return json.NewEncoder(i.stdout).Encode(map[string]string{"webhook": w.ID, "url": w.URL, "types": w.Types, "secret": secret})
		}
		fmt.Fprintf(i.stdout, "webhook %s\nsecret  %s\n", w.ID, secret)
		fmt.Fprintln(i.stderr, "The secret is not shown again: the receiver checks signatures with it.")
		return nil
	})
}

type webhookListCommand struct {
	JSON bool `help:"Print one JSON document."`
}

// webhookLine is one webhook as `webhook list --json` prints it.
type webhookLine struct {
	Webhook   string `json:"webhook"`
	URL       string `json:"url"`
	Types     string `json:"types"`
	CreatedAt string `json:"created_at"`
	// State is "ok" or "failing".
	State        string                 `json:"state"`
	BehindEvents int64                  `json:"behind_events"`
	Delivered    int64                  `json:"delivered"`
	DeadLetters  int                    `json:"dead_letters"`
	FailingSince *string                `json:"failing_since,omitempty"`
	Reason       string                 `json:"reason,omitempty"`
	Partitions   []webhookPartitionLine `json:"partitions"`
}

type webhookPartitionLine struct {
	Partition    int     `json:"partition"`
	Position     string  `json:"position"`
	Delivered    int64   `json:"delivered"`
	FailingSince *string `json:"failing_since,omitempty"`
	Attempts     int     `json:"attempts,omitempty"`
	NextAt       *string `json:"next_at,omitempty"`
	Reason       string  `json:"reason,omitempty"`
}

func shownTime(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := t.Format(schema.TimeFormat)
	return &text
}

func newWebhookLine(w webhookState) webhookLine {
	line := webhookLine{
		Webhook: w.ID, URL: w.URL, Types: w.Types, CreatedAt: w.CreatedAt.Format(schema.TimeFormat), State: "ok",
		BehindEvents: w.behind, Delivered: w.delivered, DeadLetters: w.dead, FailingSince: shownTime(w.failing.Since), Reason: w.failing.Reason,
		Partitions: make([]webhookPartitionLine, len(w.progress)),
	}
	if line.FailingSince != nil {
		line.State = "failing"
	}
	for n, p := range w.progress {
		line.Partitions[n] = webhookPartitionLine{
			Partition: p.Partition, Position: domain.Position{Partition: p.Partition, Seq: p.Seq}.String(), Delivered: p.Delivered,
			FailingSince: shownTime(p.Failing.Since), Attempts: p.Failing.Attempts, NextAt: shownTime(p.Failing.NextAt), Reason: p.Failing.Reason,
		}
	}
	return line
}

// Run lists the webhooks.
func (c *webhookListCommand) Run(i *invocation) error {
	return i.withWebhooks(func(s *stores, _ webhooks.Store) error {
		states, err := s.webhookStates(i.ctx)
		if err != nil {
			return explain("webhook list", err)
		}
		lines := make([]webhookLine, len(states))
		for n, w := range states {
			lines[n] = newWebhookLine(w)
		}
		if c.JSON {
			return json.NewEncoder(i.stdout).Encode(lines)
		}
		table := tabwriter.NewWriter(i.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "WEBHOOK\tSTATE\tBEHIND\tDELIVERED\tDEAD LETTERS\tTYPES\tURL\tREASON")
		for _, w := range lines {
			fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\t%s\t%s\t%s\n", w.Webhook, w.State, w.BehindEvents, w.Delivered, w.DeadLetters, w.Types, w.URL, w.Reason)
		}
		return table.Flush()
	})
}

type webhookRewindCommand struct {
	Webhook string `arg:"" help:"As list shows it." name:"webhook"`
	From    string `help:"A time, for all partitions, or a position (partition:sequence), for that partition alone." placeholder:"TIME|POSITION" required:""`
	JSON    bool   `help:"Print one JSON document."`
	Yes     bool   `help:"Do it without asking."`
}

// Run sets a webhook to another place.
func (c *webhookRewindCommand) Run(i *invocation) error {
	at, position, err := parseBound("--from", c.From)
	if err != nil {
		return err
	}
	return i.withWebhooks(func(s *stores, all webhooks.Store) error {
		w, err := all.Get(i.ctx, c.Webhook)
		if err != nil {
			return gone(c.Webhook, err)
		}
		var after map[int]int64
		if position != nil {
			if position.Partition >= s.identity.Partitions || position.Seq < 1 {
				return usagef("--from %s is no event: the log has partitions 0 to %d, and sequences from 1", position, s.identity.Partitions-1)
			}
			after = map[int]int64{position.Partition: position.Seq - 1}
		} else if after, err = s.startsAt(i.ctx, at, nil); err != nil {
			return explain("webhook rewind", err)
		}
		question := fmt.Sprintf("Webhook %s to %s goes on from %s: the receiver gets events again, or never gets those it had yet to see.", w.ID, w.URL, c.From)
		if err := i.confirm(c.Yes, question); err != nil {
			return err
		}
		if err := all.Rewind(i.ctx, w.ID, after); err != nil {
			return explain("webhook rewind", gone(w.ID, err))
		}
		positions := make([]string, 0, len(after))
		for _, partition := range sortedKeys(after) {
			positions = append(positions, domain.Position{Partition: partition, Seq: after[partition] + 1}.String())
		}
		if c.JSON {
			return json.NewEncoder(i.stdout).Encode(map[string]any{"webhook": w.ID, "from": positions})
		}
		fmt.Fprintf(i.stdout, "webhook %s goes on from %s\n", w.ID, strings.Join(positions, " "))
		return nil
	})
}

type webhookTestCommand struct {
	Webhook string `arg:"" help:"As list shows it." name:"webhook"`
	JSON    bool   `help:"Print one JSON document."`
	Yes     bool   `help:"Nothing is asked; taken for the sake of scripts." hidden:""`
}

// Run sends a request without events from here.
func (c *webhookTestCommand) Run(i *invocation) error {
	return i.withWebhooks(func(_ *stores, all webhooks.Store) error {
		w, err := all.Get(i.ctx, c.Webhook)
		if err != nil {
			return gone(c.Webhook, err)
		}
		sender := webhook.NewSender(webhook.SenderConfig{AllowPrivate: i.settings.WebhookAllowPrivate})
		defer sender.Close()
		took, failure := webhook.Test(i.ctx, sender, w)
		if c.JSON {
			result := map[string]any{"webhook": w.ID, "ok": failure == nil, "milliseconds": took.Milliseconds()}
			if failure != nil {
				result["reason"] = failure.Error()
			}
			if err := json.NewEncoder(i.stdout).Encode(result); err != nil {
				return err
			}
		} else if failure == nil {
			fmt.Fprintf(i.stdout, "%s took it in %s\n", w.URL, took.Round(time.Millisecond))
		}
		if failure != nil {
			return fmt.Errorf("webhook %s, %s: %w", w.ID, w.URL, failure)
		}
		return nil
	})
}

type webhookRemoveCommand struct {
	Webhook string `arg:"" help:"As list shows it." name:"webhook"`
	Yes     bool   `help:"Do it without asking."`
}

// Run removes a webhook.
func (c *webhookRemoveCommand) Run(i *invocation) error {
	return i.withWebhooks(func(_ *stores, all webhooks.Store) error {
		w, err := all.Get(i.ctx, c.Webhook)
		if err != nil {
			return gone(c.Webhook, err)
		}
		if err := i.confirm(c.Yes, fmt.Sprintf("Webhook %s to %s goes, with its dead letters and how far it was.", w.ID, w.URL)); err != nil {
			return err
		}
		if err := all.Remove(i.ctx, w.ID); err != nil {
			return explain("webhook remove", gone(w.ID, err))
		}
		fmt.Fprintf(i.stdout, "webhook %s is removed\n", w.ID)
		return nil
	})
}
