package api

import (
	"context"
	"encoding/json"

	"mpim/domain"
	"mpim/domain/conversation"
	"mpim/domain/pair"
	"mpim/handlers/command"
	"mpim/projections/history"
)

type (
	editInput struct {
		Conversation domain.ConversationID `json:"conversation"`
		Seq          domain.Seq            `json:"seq"`
		Body         body                  `json:"body"`
	}
	messageInput struct {
		Conversation domain.ConversationID `json:"conversation"`
		Seq          domain.Seq            `json:"seq"`
	}
	reactInput struct {
		Conversation domain.ConversationID `json:"conversation"`
		Seq          domain.Seq            `json:"seq"`
		Emoji        string                `json:"emoji" doc:"At most 32 bytes."`
		Remove       bool                  `json:"remove,omitzero" doc:"Take the emoji off."`
	}
	unreactInput struct {
		Conversation domain.ConversationID `json:"conversation"`
		Seq          domain.Seq            `json:"seq"`
		Emoji        string                `json:"emoji"`
	}
	messageGetInput struct {
		Conversation domain.ConversationID `json:"conversation"`
		Seq          domain.Seq            `json:"seq"`
		ReadAfter
	}
	messageGetResult struct {
		Message Message `json:"message"`
		Edits   []edit  `json:"edits" nullable:"false" doc:"Each later body, oldest first; of a message that is gone, none."`
	}
	edit struct {
		Body json.RawMessage `json:"body"`
		At   string          `json:"at" format:"date-time"`
	}
)

func (o *Operations) edit(ctx context.Context, caller Caller, in editInput) (Changed, error) {
	_, facts, err := o.concerned(ctx, caller, in.Conversation, in.Seq)
	if err != nil {
		return Changed{}, err
	}
	return o.shared(ctx, in.Conversation, conversation.EditMessage{
		Stamp: o.stamp(caller), Message: in.Seq, Facts: facts, Body: in.Body.domain(), Limits: o.Limits,
	})
}

func (o *Operations) recall(ctx context.Context, caller Caller, in messageInput) (Changed, error) {
	_, facts, err := o.concerned(ctx, caller, in.Conversation, in.Seq)
	if err != nil {
		return Changed{}, err
	}
	return o.shared(ctx, in.Conversation, conversation.RecallMessage{
		Stamp: o.stamp(caller), Message: in.Seq, Facts: facts, Limits: o.Limits,
	})
}

func (o *Operations) react(ctx context.Context, caller Caller, in reactInput) (Changed, error) {
	v, facts, err := o.concerned(ctx, caller, in.Conversation, in.Seq)
	if err != nil {
		return Changed{}, err
	}
	c := conversation.React{
		Stamp: o.stamp(caller), Message: in.Seq, Facts: facts, Emoji: in.Emoji, Removed: in.Remove,
	}
	if facts.Sender != "" {
		stands, known, err := o.Recent.Reacted(ctx, v.id, in.Seq, v.state.Head, caller.User, in.Emoji)
		if err != nil {
			return Changed{}, err
		}
		c.Already = known && stands != in.Remove
	}
	return o.shared(ctx, in.Conversation, c)
}

func (o *Operations) unreact(ctx context.Context, caller Caller, in unreactInput) (Changed, error) {
	return o.react(ctx, caller, reactInput{Conversation: in.Conversation, Seq: in.Seq, Emoji: in.Emoji, Remove: true})
}

// concerned returns what is known about the message of a command.
func (o *Operations) concerned(
	ctx context.Context, caller Caller, id domain.ConversationID, seq domain.Seq,
) (view, conversation.Facts, error) {
	v, err := o.see(ctx, caller.User, id)
	if err != nil {
		return v, conversation.Facts{}, err
	}
	facts, err := o.facts(ctx, v, seq)
	return v, facts, err
}

// shared gives a conversation, of whatever kind, a command that both kinds have.
func (o *Operations) shared(ctx context.Context, id domain.ConversationID, c conversation.MessageCommand) (Changed, error) {
	position, _, err := o.sharedState(ctx, id, c)
	return at(position), err
}

func (o *Operations) sharedState(
	ctx context.Context, id domain.ConversationID, c conversation.MessageCommand,
) (domain.Position, conversation.State, error) {
	if id.IsGroup() {
		result, err := command.Execute(ctx, o.Log, command.Group, command.Request[conversation.Command]{
			Aggregate: id.Aggregate(), Command: c, Entropy: entropy(),
		})
		return result.Position, result.State, err
	}
	result, err := command.Execute(ctx, o.Log, command.Pair, command.Request[pair.Command]{
		Aggregate: id.Aggregate(), Command: pair.Shared{Command: c}, Entropy: entropy(),
	})
	return result.Position, result.State.State, err
}

// messageGet returns a message as the caller may see it. One that was just sent is waited for.
func (o *Operations) messageGet(ctx context.Context, caller Caller, in messageGetInput) (messageGetResult, error) {
	v, err := o.see(ctx, caller.User, in.Conversation)
	switch {
	case err != nil:
		return messageGetResult{}, err
	case in.Seq < 1:
		return messageGetResult{}, domain.Errorf(domain.InvalidArgument, "seq begins at 1")
	case !v.windows.Contains(in.Seq):
		return messageGetResult{}, domain.Errorf(domain.PermissionDenied, "the message lies outside what you may see")
	case in.Seq > v.state.Head:
		return messageGetResult{}, domain.Errorf(domain.NotFound, "there is no such message")
	}
	if err := o.await(ctx, in.ReadAfter, historyProjection); err != nil {
		return messageGetResult{}, err
	}
	reader := history.View{User: caller.User, Windows: v.windows}
	message, edits, err := o.History.Message(ctx, v.id, in.Seq, reader)
	if domain.CodeOf(err) == domain.NotFound {
		if err := o.reached(ctx, v.id, historyProjection); err != nil {
			return messageGetResult{}, err
		}
		message, edits, err = o.History.Message(ctx, v.id, in.Seq, reader)
	}
	if err != nil {
		return messageGetResult{}, err
	}
	result := messageGetResult{Message: historyMessage(message), Edits: make([]edit, len(edits))}
	for i, e := range edits {
		result.Edits[i] = edit{Body: e.Body, At: formatTime(e.At)}
	}
	return result, nil
}
