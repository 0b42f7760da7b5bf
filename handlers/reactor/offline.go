package reactor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"mpim/domain"
	"mpim/domain/conversation"
	"mpim/handlers/webhook"
	"mpim/projections/contacts"
	"mpim/projections/history"
	"mpim/schema"
)

// OfflineName is the name of the offline hook.
const OfflineName = "offline"

// States loads what a conversation's commands are decided on, which is never behind the log.
type States interface {
	Load(ctx context.Context, a domain.Aggregate, fields []string) (domain.Fields, error)
}

// Connections tells who is connected.
type Connections interface {
	Connected(ctx context.Context, users []domain.UserID) ([]bool, error)
}

// Mutes tells who muted a conversation.
type Mutes interface {
	Muted(ctx context.Context, conversation domain.ConversationID, users []domain.UserID) ([]bool, error)
}

// Names reads what people call users and groups. It may be a little behind.
type Names interface {
	Users(ctx context.Context, ids []domain.UserID) ([]contacts.User, error)
	GroupsOf(ctx context.Context, ids []domain.ConversationID) ([]history.Group, error)
}

// OfflineConfig is what an offline hook needs. Zero values mean the defaults.
type OfflineConfig struct {
	// URL is where it posts, and Secret what it signs with.
	URL    string
	Secret []byte

	States      States
	Connections Connections
	Mutes       Mutes
	Poster      webhook.Poster
	// Line shows an event. The default is schema.NewLine.
	Line func(r *schema.Record) (schema.Line, error)
	// Names reads what people call users and groups; nil leaves it out.
	Names Names
	// MostMembers is the size of a group above which nobody is told. The default is 200.
	MostMembers int
	// MostAge is the age of a message above which nobody is told any more. The default is an hour.
	MostAge time.Duration
}

// Offline tells a service, such as one that wakes telephones, of messages that found no connection of a recipient. It is a
// Handler.
//
// Recipients are those who may see the message, but for its sender, who did not mute the conversation, and of whom the log
// knows no open socket at that moment. A socket whose gateway was killed counts until its lease has run out, up to a minute.
// Large groups are left out: their members do not want to be woken by each message, and each would cost a look at all of them.
type Offline struct{ config OfflineConfig }

// NewOffline returns an offline hook.
func NewOffline(c OfflineConfig) *Offline {
	if c.Line == nil {
		c.Line = schema.NewLine
	}
	if c.MostMembers == 0 {
		c.MostMembers = 200
	}
	if c.MostAge == 0 {
		c.MostAge = time.Hour
	}
	return &Offline{config: c}
}

// Name implements Handler.
func (o *Offline) Name() string { return OfflineName }

// Handles implements Handler.
func (o *Offline) Handles(t domain.EventType) bool { return t == domain.TypeMessageSent }

// offlineBody is what is posted.
type offlineBody struct {
	Type      string      `json:"type"`
	Timestamp string      `json:"timestamp"`
	Data      offlineData `json:"data"`
}

type offlineData struct {
	Recipients []domain.UserID `json:"recipients"`
	SenderName string          `json:"sender_name,omitempty"`
	Title      string          `json:"title,omitempty"`
	Event      schema.Line     `json:"event"`
}

// React implements Handler.
func (o *Offline) React(ctx context.Context, r *schema.Record) (done bool, err error) {
	if time.Since(r.At) > o.config.MostAge {
		return false, nil
	}
	recipients, err := o.recipients(ctx, r)
	if err != nil || len(recipients) == 0 {
		return false, err
	}
	line, err := o.config.Line(r)
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrNever, err)
	}
	data := offlineData{Recipients: recipients, Event: line}
	data.SenderName, data.Title = o.names(ctx, r)
	body, err := json.Marshal(offlineBody{"message.offline", line.At, data})
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrNever, err)
	}
	err = o.config.Poster.Send(ctx, webhook.Request{
		URL: o.config.URL, Secret: o.config.Secret, ID: OfflineName + "." + string(r.ID), Body: body,
		Headers: map[string]string{"Idempotency-Key": string(r.ID)},
	})
	if refusal, ok := errors.AsType[*webhook.RefusedError](err); ok && refusal.About() {
		return false, fmt.Errorf("%w: %w", ErrNever, err)
	}
	return err == nil, err
}

// names returns what the sender and the group are called. A message is told of also where that cannot be read.
func (o *Offline) names(ctx context.Context, r *schema.Record) (sender, title string) {
	if o.config.Names == nil {
		return "", ""
	}
	if users, err := o.config.Names.Users(ctx, []domain.UserID{r.Actor}); err == nil && len(users) == 1 {
		sender = users[0].DisplayName
	}
	if r.Conversation().IsGroup() {
		if groups, err := o.config.Names.GroupsOf(ctx, []domain.ConversationID{r.Conversation()}); err == nil && len(groups) == 1 {
			title = groups[0].Title
		}
	}
	return sender, title
}

// recipients returns who is to be told.
func (o *Offline) recipients(ctx context.Context, r *schema.Record) ([]domain.UserID, error) {
	members, err := o.members(ctx, r)
	if err != nil || len(members) == 0 {
		return nil, err
	}
	connected, err := o.config.Connections.Connected(ctx, members)
	if err != nil {
		return nil, err
	}
	members = without(members, connected)
	if len(members) == 0 {
		return nil, nil
	}
	muted, err := o.config.Mutes.Muted(ctx, r.Conversation(), members)
	if err != nil {
		return nil, err
	}
	return without(members, muted), nil
}

// members returns who may see the message but did not send it, in order; none for a large group.
func (o *Offline) members(ctx context.Context, r *schema.Record) ([]domain.UserID, error) {
	fields, err := o.config.States.Load(ctx, r.Aggregate, []string{domain.HeaderField})
	if err != nil {
		return nil, err
	}
	header, err := conversation.Load(fields)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNever, err)
	}
	users := slices.Clone(header.Users)
	if header.Kind == domain.GroupConversation {
		if header.MemberCount > o.config.MostMembers {
			return nil, nil
		}
		if fields, err = o.config.States.Load(ctx, r.Aggregate, nil); err != nil {
			return nil, err
		}
		state, err := conversation.Load(fields)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNever, err)
		}
		for user, member := range state.Members {
			if member.Windows.Contains(r.ConversationSeq) && member.Windows.Open() {
				users = append(users, user)
			}
		}
		slices.Sort(users)
	}
	return slices.DeleteFunc(users, func(user domain.UserID) bool { return user == r.Actor }), nil
}

// without returns the users that are not marked.
func without(users []domain.UserID, marked []bool) []domain.UserID {
	var left []domain.UserID
	for i, user := range users {
		if !marked[i] {
			left = append(left, user)
		}
	}
	return left
}

var _ Handler = (*Offline)(nil)
