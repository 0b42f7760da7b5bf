package main

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"mpim/domain"
	"mpim/domain/account"
	"mpim/projections/asof"
	"mpim/schema"
)

// instant is the moment that --as-of names: a time, or a position, which is the moment when the event there had been appended.
type instant struct {
	at       time.Time
	position *domain.Position
}

// userThen is what a user could see at an instant.
type userThen struct {
	AsOf          string          `json:"as_of"`
	User          userProfile     `json:"user"`
	Conversations []asof.Document `json:"conversations"`
}

// userProfile is the user's own account as it stood.
type userProfile struct {
	ID          domain.UserID `json:"id"`
	Username    string        `json:"username"`
	DisplayName string        `json:"display_name"`
	AvatarURL   string        `json:"avatar_url"`
	CreatedAt   string        `json:"created_at"`
	Suspended   bool          `json:"suspended,omitempty"`
	// Erased says that the user was erased since: who it was is not known any more.
	Erased bool `json:"erased,omitempty"`
}

// conversationThen is a conversation at an instant.
type conversationThen struct {
	AsOf string `json:"as_of"`
	asof.Document
}

// runAsOf prints a conversation, or what a user could see, as it stood.
func (c *replayCommand) runAsOf(i *invocation, s *stores) error {
	if (c.Conversation == "") == (c.User == "") {
		return usagef("--as-of goes with either --conversation or --user")
	}
	if c.From != "" || c.To != "" || c.Type != "" || c.Partition != nil || c.Limit != 0 || c.Follow {
		return usagef("--as-of goes with --conversation or --user and no other filter")
	}
	when, err := c.instant(i, s)
	if err != nil {
		return err
	}
	if c.User == "" {
		return c.conversationAsOf(i, s, when)
	}
	return c.userAsOf(i, s, when)
}

// instant finds the time of a position.
func (c *replayCommand) instant(i *invocation, s *stores) (instant, error) {
	at, position, err := parseBound("--as-of", c.AsOf)
	if err != nil || position == nil {
		return instant{at: at}, err
	}
	if position.Partition < 0 || position.Partition >= s.identity.Partitions {
		return instant{}, usagef("--as-of names partition %d: the log has partitions 0 to %d", position.Partition, s.identity.Partitions-1)
	}
	// Times of a partition never step back: its own at that position is the latest up to there.
	for record, err := range s.stored().Partition(i.ctx, position.Partition, schema.Checkpoint{}) {
		if err != nil {
			return instant{}, explain("replay", err)
		}
		if record.Seq > position.Seq {
			break
		}
		if record.At.After(at) {
			at = record.At
		}
	}
	if at.IsZero() {
		return instant{}, usagef("--as-of %s: there is no such event", c.AsOf)
	}
	return instant{at: at, position: position}, nil
}

// upTo yields the records of a partition that had been appended by the instant, as they are stored.
func (s *stores) upTo(i *invocation, partition int, when instant, bar *progress) iter.Seq2[*schema.Record, error] {
	return func(yield func(*schema.Record, error) bool) {
		var reached time.Time
		for record, err := range s.stored().Partition(i.ctx, partition, schema.Checkpoint{}) {
			if err != nil {
				yield(nil, explain("replay", err))
				return
			}
			bar.step()
			if record.At.After(reached) {
				reached = record.At
			}
			if reached.After(when.at) || when.position != nil && when.position.Partition == partition && record.Seq > when.position.Seq {
				return
			}
			if !yield(record, nil) {
				return
			}
		}
	}
}

// progressOver returns a bar over reading these partitions.
func (s *stores) progressOver(i *invocation, partitions []int) (*progress, error) {
	bar := newFinalProgress(i, "replaying")
	heads, err := s.reader().Heads(i.ctx)
	if err != nil {
		return nil, explain("replay", err)
	}
	for _, partition := range partitions {
		bar.total += heads[partition]
	}
	return bar, nil
}

func (c *replayCommand) conversationAsOf(i *invocation, s *stores, when instant) error {
	id := domain.ConversationID(c.Conversation)
	partition, _ := id.Partition()
	if partition >= s.identity.Partitions {
		return usagef("--conversation %s: there is no such conversation in this log", id)
	}
	found, err := s.foldAsOf(i, when, []domain.ConversationID{id})
	if err != nil {
		return err
	}
	if !found[id].Exists() {
		return fmt.Errorf("conversation %s had not begun at %s: ask for a later instant, or look at the id", id, c.AsOf)
	}
	then := conversationThen{AsOf: when.at.UTC().Format(schema.TimeFormat), Document: found[id].Everything(when.at)}
	if c.JSON {
		return json.NewEncoder(i.stdout).Encode(then)
	}
	return printConversation(i.stdout, then.AsOf, then.Document)
}

// foldAsOf folds conversations up to the instant, in one pass over their partitions.
func (s *stores) foldAsOf(i *invocation, when instant, ids []domain.ConversationID) (map[domain.ConversationID]*asof.Conversation, error) {
	wanted := make(map[int]bool)
	found := make(map[domain.ConversationID]*asof.Conversation, len(ids))
	for _, id := range ids {
		partition, _ := id.Partition()
		wanted[partition] = true
		found[id] = asof.NewConversation(id)
	}
	partitions := slices.Sorted(maps.Keys(wanted))
	bar, err := s.progressOver(i, partitions)
	if err != nil {
		return nil, err
	}
	defer bar.done()
	for _, partition := range partitions {
		mine := func(r *schema.Record) bool { return found[r.Conversation()] != nil }
		for record, err := range s.opened(i.ctx, s.upTo(i, partition, when, bar), mine) {
			if err != nil {
				return nil, err
			}
			if err := found[record.Conversation()].Apply(record); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

func (c *replayCommand) userAsOf(i *invocation, s *stores, when instant) error {
	user := domain.UserID(c.User)
	profile, ids, err := s.traces(i, user, when)
	if err != nil {
		return err
	}
	if profile.CreatedAt.IsZero() {
		return fmt.Errorf("user %s had not registered at %s: ask for a later instant, or look at the id", user, c.AsOf)
	}
	found, err := s.foldAsOf(i, when, ids)
	if err != nil {
		return err
	}
	then := userThen{AsOf: when.at.UTC().Format(schema.TimeFormat), Conversations: []asof.Document{}, User: userProfile{
		ID: user, Username: profile.Username, DisplayName: profile.DisplayName, AvatarURL: profile.AvatarURL,
		CreatedAt: profile.CreatedAt.UTC().Format(schema.TimeFormat), Suspended: profile.Suspended,
		Erased: !profile.Exists(),
	}}
	for _, id := range ids {
		if d, ok := found[id].For(user, when.at); ok {
			then.Conversations = append(then.Conversations, d)
		}
	}
	if c.JSON {
		return json.NewEncoder(i.stdout).Encode(then)
	}
	who := fmt.Sprintf("%s (%s, %s)", then.User.DisplayName, then.User.Username, user)
	if then.User.Erased {
		who = fmt.Sprintf("%s (erased since)", user)
	}
	fmt.Fprintf(i.stdout, "%s, as of %s: %d conversations\n\n", who, then.AsOf, len(then.Conversations))
	for _, d := range then.Conversations {
		if err := printConversation(i.stdout, then.AsOf, d); err != nil {
			return err
		}
		fmt.Fprintln(i.stdout)
	}
	return nil
}

// traces reads the whole log up to the instant for the user's own account, and for the conversations that it was let into.
func (s *stores) traces(i *invocation, user domain.UserID, when instant) (account.Profile, []domain.ConversationID, error) {
	all := make([]int, s.identity.Partitions)
	for n := range all {
		all[n] = n
	}
	bar, err := s.progressOver(i, all)
	if err != nil {
		return account.Profile{}, nil, err
	}
	defer bar.done()
	var own account.State
	met := make(map[domain.ConversationID]bool)
	for partition := range all {
		for record, err := range s.upTo(i, partition, when, bar) {
			if err != nil {
				return account.Profile{}, nil, err
			}
			switch {
			case record.Aggregate.Kind == domain.Account && record.Aggregate.ID == string(user):
				if err := s.open(i.ctx, record); err != nil {
					return account.Profile{}, nil, err
				}
				event, err := record.Event()
				if err != nil {
					return account.Profile{}, nil, err
				}
				own = account.Evolve(own, event)
			case lets(record.Type) && record.Names(user):
				met[record.Conversation()] = true
			}
		}
	}
	return own.Profile, slices.Sorted(maps.Keys(met)), nil
}

// lets says whether events of the type let users into a conversation.
func lets(t domain.EventType) bool {
	return t == domain.TypeConversationCreated || t == domain.TypeMemberAdded || t == domain.TypeMemberJoined
}

// printConversation prints for people.
func printConversation(w io.Writer, at string, d asof.Document) error {
	name := d.Title
	if name == "" {
		name = d.Kind
	}
	fmt.Fprintf(w, "%s (%s), as of %s\n", name, d.Conversation, at)
	if d.Left {
		fmt.Fprintf(w, "left; up to event %d\n", d.HeadSeq)
	}
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(d.Members) > 0 {
		fmt.Fprintln(columns, "\nMEMBER\tROLE\tSINCE\tDELIVERED\tREAD")
	}
	for _, m := range d.Members {
		var r asof.Receipt
		if n := slices.IndexFunc(d.Receipts, func(r asof.Receipt) bool { return r.User == m.User }); n >= 0 {
			r = d.Receipts[n]
		}
		fmt.Fprintf(columns, "%s\t%s\t%s\t%d\t%d\n", m.User, m.Role, m.JoinedAt, r.DeliveredSeq, r.ReadSeq)
	}
	if err := columns.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(columns, "\nSEQ\tAT\tSENDER\tMESSAGE")
	for _, m := range d.Messages {
		fmt.Fprintf(columns, "%d\t%s\t%s\t%s\n", m.Seq, m.At, m.Sender, summary(m))
	}
	return columns.Flush()
}

// summary is a message on one line.
func summary(m asof.Message) string {
	var text string
	switch {
	case m.Recalled != "":
		text = "(recalled)"
	case m.Body == nil:
		text = "(expired)"
	case m.Body.Type == domain.TextBody:
		text = m.Body.Text
	case m.Body.Type == domain.FileBody:
		text = "file " + m.Body.Name + " " + m.Body.URL
	default:
		text = string(m.Body.Data)
	}
	if m.EditedAt != "" {
		text += " (edited)"
	}
	parts := []string{text}
	for _, r := range m.Reactions {
		parts = append(parts, fmt.Sprintf("%s%d", r.Emoji, len(r.Users)))
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' ' // what somebody wrote must not steer the terminal
		}
		return r
	}, strings.Join(parts, " "))
}
