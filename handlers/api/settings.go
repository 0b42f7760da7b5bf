package api

import (
	"context"

	"mpim/domain"
	"mpim/domain/account"
	"mpim/handlers/command"
)

type settingsInput struct {
	Conversation domain.ConversationID `json:"conversation"`
	Pinned       *bool                 `json:"pinned,omitempty"`
	Muted        *bool                 `json:"muted,omitempty"`
}

// conversationSettings changes how the caller sees a conversation. It is an event of the caller's account: nobody else
// hears of it.
func (o *Operations) conversationSettings(ctx context.Context, caller Caller, in settingsInput) (Changed, error) {
	if in.Pinned == nil && in.Muted == nil {
		return Changed{}, domain.Errorf(domain.InvalidArgument, "settings have pinned, muted or both")
	}
	v, err := o.see(ctx, caller.User, in.Conversation)
	if err != nil {
		return Changed{}, err
	}
	if err := v.present(); err != nil {
		return Changed{}, err
	}
	result, err := command.Execute(ctx, o.Log, command.Account, command.Request[account.Command]{
		Aggregate: caller.User.Aggregate(), Entropy: entropy(),
		Command: account.ChangeSettings{
			Stamp: o.stamp(caller), Conversation: in.Conversation, Pinned: in.Pinned, Muted: in.Muted,
		},
	})
	return at(result.Position), err
}
