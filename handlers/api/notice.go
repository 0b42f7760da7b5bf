package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/danielgtaylor/huma/v2"

	"mpim/domain"
	"mpim/domain/account"
	"mpim/domain/conversation"
	"mpim/handlers/command"
)

type (
	// recipients are domain.Recipients as requests name them: members that are not known are refused.
	recipients struct{ domain.Recipients }

	noticePublishInput struct {
		Title    string     `json:"title" doc:"Up to 128 characters."`
		Text     string     `json:"text" doc:"Up to 4,096 characters."`
		To       recipients `json:"to" doc:"all, or an object with users, or with a conversation and roles of its members; gateway and client narrow it to connections there, and to those of such clients."`
		Priority string     `json:"priority,omitempty" enum:"low,normal,high"`
		ClientID *string    `json:"client_id,omitempty" doc:"1 to 64 characters. Makes the request safe to send again."`
	}
	noticePublishResult struct {
		Notice    Notice `json:"notice"`
		Duplicate bool   `json:"duplicate"`
		Changed
	}
	// Notice is a notice object.
	Notice struct {
		Event    domain.EventID `json:"event"`
		Title    string         `json:"title"`
		Text     string         `json:"text"`
		At       string         `json:"at" format:"date-time"`
		Priority string         `json:"priority" enum:"low,normal,high"`
	}
)

// UnmarshalJSON reads "all" or an object.
func (r *recipients) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte{'{'}) {
		var known struct {
			Users        []domain.UserID       `json:"users"`
			Conversation domain.ConversationID `json:"conversation"`
			Roles        []domain.Role         `json:"roles"`
			Gateway      string                `json:"gateway"`
			Client       string                `json:"client"`
		}
		decoder := json.NewDecoder(bytes.NewReader(b))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&known); err != nil {
			return fmt.Errorf("read recipients: %w", err)
		}
	}
	return r.Recipients.UnmarshalJSON(b)
}

// Schema describes both forms.
func (recipients) Schema(huma.Registry) *huma.Schema {
	texts := func(doc string) *huma.Schema {
		return &huma.Schema{Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString}, Description: doc}
	}
	return &huma.Schema{OneOf: []*huma.Schema{
		{Type: huma.TypeString, Enum: []any{"all"}},
		{Type: huma.TypeObject, AdditionalProperties: false, Properties: map[string]*huma.Schema{
			"users":        texts("Ids of up to 1,000 users."),
			"conversation": {Type: huma.TypeString, Description: "Its members."},
			"roles":        texts("Of the conversation's members, those with one of these roles."),
			"gateway":      {Type: huma.TypeString, Description: "Those alone who are connected to this gateway."},
			"client":       {Type: huma.TypeString, Description: "Those alone whose client calls itself so in hello, before the slash."},
		}},
	}}
}

// noticeBoard is the account that no user can have, in which all notices are.
func (o *Operations) noticeBoard() domain.Aggregate { return o.Placement.User("").Aggregate() }

func (o *Operations) noticePublish(ctx context.Context, caller Caller, in noticePublishInput) (noticePublishResult, error) {
	if err := o.known(ctx, in.To.Recipients); err != nil {
		return noticePublishResult{}, err
	}
	var request *domain.Request
	if in.ClientID != nil {
		var err error
		if request, err = o.identify("notice.publish", caller.User, *in.ClientID, in); err != nil {
			return noticePublishResult{}, err
		}
	}
	if in.Priority == "" {
		in.Priority = account.Normal
	}
	result, err := command.Execute(ctx, o.Log, command.Account, command.Request[account.Command]{
		Aggregate: o.noticeBoard(), Entropy: entropy(), ID: request,
		Command: account.PublishNotice{
			Stamp: o.stamp(caller), Title: in.Title, Text: in.Text, To: in.To.Recipients, Priority: in.Priority,
		},
	})
	if err != nil {
		return noticePublishResult{}, err
	}
	return noticePublishResult{
		Notice: Notice{
			Event: result.Event, Title: in.Title, Text: in.Text, At: formatTime(result.At), Priority: in.Priority,
		},
		Duplicate: result.Duplicate, Changed: at(result.Position),
	}, nil
}

// known refuses, with NotFound, recipients that do not exist.
func (o *Operations) known(ctx context.Context, to domain.Recipients) error {
	if err := to.Check(); err != nil {
		return err
	}
	if to.Conversation == "" {
		return o.exist(ctx, to.Users)
	}
	stored, err := o.load(ctx, to.Conversation, []string{domain.HeaderField})
	if err != nil {
		return err
	}
	state, err := conversation.Load(stored)
	if err != nil {
		return fmt.Errorf("read the state of %s: %w", to.Conversation, err)
	}
	if !state.Exists() {
		return domain.Errorf(domain.NotFound, "there is no such conversation")
	}
	return nil
}
