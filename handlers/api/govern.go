package api

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mpim/domain"
	"mpim/domain/conversation"
)

type (
	groupUpdateInput struct {
		Conversation domain.ConversationID `json:"conversation"`
		Title        *string               `json:"title,omitempty"`
		AvatarURL    *string               `json:"avatar_url,omitempty"`
		Join         *string               `json:"join,omitempty" enum:"invite,open"`
		Announcement *string               `json:"announcement,omitempty" doc:"At most 4096 characters."`
		Muted        *bool                 `json:"muted,omitempty" doc:"Only admins send."`
		History      *string               `json:"history,omitempty" enum:"joined,all" doc:"What members see: everything, or what was said since they joined."`
	}
	groupRoleInput struct {
		Conversation domain.ConversationID `json:"conversation"`
		User         domain.UserID         `json:"user"`
		Role         domain.Role           `json:"role" enum:"owner,admin,member"`
	}
	groupMuteInput struct {
		Conversation domain.ConversationID `json:"conversation"`
		User         domain.UserID         `json:"user"`
		Until        timeOrNull            `json:"until,omitzero" doc:"Required; null lifts the mute."`
	}
)

// timeOrNull is a time, or null, and knows which was given.
type timeOrNull struct {
	given bool
	time.Time
}

// UnmarshalJSON reads RFC 3339, or null.
func (t *timeOrNull) UnmarshalJSON(b []byte) error {
	t.given = true
	if string(b) == "null" {
		return nil
	}
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return errors.New("a time is a string")
	}
	var err error
	t.Time, err = time.Parse(time.RFC3339, text)
	return err
}

// Schema describes both.
func (timeOrNull) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{{Type: huma.TypeString, Format: "date-time"}, {Type: "null"}}}
}

func (o *Operations) groupUpdate(ctx context.Context, caller Caller, in groupUpdateInput) (Changed, error) {
	return o.group(ctx, in.Conversation, conversation.Update{
		Stamp: o.stamp(caller), Title: in.Title, AvatarURL: in.AvatarURL, Join: in.Join, Announcement: in.Announcement,
		Muted: in.Muted, History: in.History,
	})
}

func (o *Operations) groupJoin(ctx context.Context, caller Caller, in groupInput) (Changed, error) {
	return o.group(ctx, in.Conversation, conversation.Join{Stamp: o.stamp(caller), Limits: o.Limits})
}

func (o *Operations) groupRole(ctx context.Context, caller Caller, in groupRoleInput) (Changed, error) {
	return o.group(ctx, in.Conversation, conversation.SetRole{Stamp: o.stamp(caller), User: in.User, Role: in.Role})
}

func (o *Operations) groupMute(ctx context.Context, caller Caller, in groupMuteInput) (Changed, error) {
	if !in.Until.given {
		return Changed{}, domain.Errorf(domain.InvalidArgument, "until is missing: a time, or null to lift the mute")
	}
	return o.group(ctx, in.Conversation, conversation.Mute{Stamp: o.stamp(caller), User: in.User, Until: in.Until.Time})
}

func (o *Operations) groupDissolve(ctx context.Context, caller Caller, in groupInput) (Changed, error) {
	return o.group(ctx, in.Conversation, conversation.Dissolve{Stamp: o.stamp(caller)})
}
