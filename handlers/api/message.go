package api

import (
	"cmp"
	"context"
	"encoding/json"

	"mpim/domain"
	"mpim/domain/conversation"
	"mpim/domain/pair"
	"mpim/handlers/command"
)

type (
	// target is who a message is for: a user or a conversation.
	target struct {
		User         domain.UserID         `json:"user,omitempty"`
		Conversation domain.ConversationID `json:"conversation,omitempty"`
	}
	body struct {
		Type string          `json:"type" enum:"text,file,custom"`
		Text string          `json:"text,omitempty"`
		URL  string          `json:"url,omitempty"`
		Name string          `json:"name,omitempty"`
		Size int64           `json:"size,omitzero"`
		MIME string          `json:"mime,omitempty"`
		Data json.RawMessage `json:"data,omitempty"`
	}
	sendInput struct {
		To         target            `json:"to" doc:"One of the two. A user finds or creates the direct conversation."`
		ClientID   string            `json:"client_id" doc:"1 to 64 characters. Sent again with the same content, the request has no further effect."`
		Body       body              `json:"body"`
		ReplyTo    later[domain.Seq] `json:"reply_to,omitzero"`
		Mentions   later[mentions]   `json:"mentions,omitzero" doc:"User ids, or all."`
		ExpiresInS later[int64]      `json:"expires_in_s,omitzero"`
	}
	sendResult struct {
		Conversation domain.ConversationID `json:"conversation"`
		Seq          domain.Seq            `json:"seq"`
		Event        domain.EventID        `json:"event"`
		At           string                `json:"at" format:"date-time"`
		Duplicate    bool                  `json:"duplicate"`
		Durability   string                `json:"durability" enum:"appended,replicated,fsynced"`
		Changed
	}
	editInput struct {
		Conversation domain.ConversationID `json:"conversation"`
		Seq          domain.Seq            `json:"seq"`
		Body         body                  `json:"body"`
	}
	recallInput struct {
		Conversation domain.ConversationID `json:"conversation"`
		Seq          domain.Seq            `json:"seq"`
	}
)

func (b body) domain() domain.Body {
	return domain.Body{Type: b.Type, Text: b.Text, URL: b.URL, Name: b.Name, Size: b.Size, MIME: b.MIME, Data: b.Data}
}

func (o *Operations) send(ctx context.Context, caller Caller, in sendInput) (sendResult, error) {
	if (in.To.User == "") == (in.To.Conversation == "") {
		return sendResult{}, domain.Errorf(domain.InvalidArgument, "to has either user or conversation")
	}
	if err := cmp.Or(in.ReplyTo.refused("reply_to"), in.Mentions.refused("mentions"), in.ExpiresInS.refused("expires_in_s")); err != nil {
		return sendResult{}, err
	}
	if err := conversation.CheckClientID(in.ClientID, o.Limits); err != nil {
		return sendResult{}, err
	}
	message := conversation.SendMessage{
		Stamp: o.stamp(caller), ClientID: in.ClientID, Body: in.Body.domain(), Limits: o.Limits,
	}
	id := in.To.Conversation
	if in.To.User != "" {
		if o.placed(in.To.User.Partition()) != nil {
			return sendResult{}, noSuchUser()
		}
		id = o.Placement.Pair(caller.User, in.To.User)
	}
	if err := o.placed(id.Partition()); err != nil {
		return sendResult{}, err
	}
	// What the message says identifies it, not where it goes: that is the scope.
	content := in
	content.To = target{}
	request, err := command.Identify(o.Placement, string(id), caller.User, in.ClientID, content)
	if err != nil {
		return sendResult{}, err
	}
	appended, err := o.deliver(ctx, id, in.To.User, message, request)
	if err != nil {
		return sendResult{}, err
	}
	seq, event := appended.Seq, appended.Event
	if !id.IsGroup() {
		seq, event = pair.Sent(appended)
	}
	return sendResult{
		Conversation: id, Seq: seq, Event: event, At: formatTime(appended.At), Duplicate: appended.Duplicate,
		Durability: o.Durability, Changed: at(appended.Position),
	}, nil
}

// deliver appends a message to a group or a pair. To is the other user where that, and not the conversation, was named.
func (o *Operations) deliver(
	ctx context.Context, id domain.ConversationID, to domain.UserID, message conversation.SendMessage, request *domain.Request,
) (domain.Appended, error) {
	if id.IsGroup() {
		result, err := command.Execute(ctx, o.Log, command.Group, command.Request[conversation.Command]{
			Aggregate: id.Aggregate(), Command: message, Entropy: entropy(), ID: request,
		})
		return result.Appended, err
	}
	return o.sendDirect(ctx, id, to, message, request)
}

func (o *Operations) edit(ctx context.Context, caller Caller, in editInput) (Changed, error) {
	facts, err := o.facts(ctx, caller.User, in.Conversation, in.Seq)
	if err != nil {
		return Changed{}, err
	}
	return o.shared(ctx, in.Conversation, conversation.EditMessage{
		Stamp: o.stamp(caller), Message: in.Seq, Facts: facts, Body: in.Body.domain(), Limits: o.Limits,
	})
}

func (o *Operations) recall(ctx context.Context, caller Caller, in recallInput) (Changed, error) {
	facts, err := o.facts(ctx, caller.User, in.Conversation, in.Seq)
	if err != nil {
		return Changed{}, err
	}
	return o.shared(ctx, in.Conversation, conversation.RecallMessage{
		Stamp: o.stamp(caller), Message: in.Seq, Facts: facts, Limits: o.Limits,
	})
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

// facts returns what is known of a message that the user sees; nothing of one that the command will be refused for
// anyway. It comes from recent, else from history, each given the time to catch up.
func (o *Operations) facts(ctx context.Context, user domain.UserID, id domain.ConversationID, seq domain.Seq) (conversation.Facts, error) {
	v, err := o.see(ctx, user, id)
	if err != nil || seq < 1 || seq > v.state.Head || !v.windows.Contains(seq) {
		return conversation.Facts{}, err
	}
	event, found, err := o.recent(ctx, id, seq)
	switch {
	case err != nil:
		return conversation.Facts{}, err
	case found && event.Type != domain.TypeMessageSent:
		return conversation.Facts{}, nil
	case found:
		return conversation.Facts{Sender: event.Sender, At: event.At, Recalled: event.Gone}, nil
	}
	if err := o.reached(ctx, id, historyProjection); err != nil {
		return conversation.Facts{}, err
	}
	switch old, err := o.History.Facts(ctx, id, seq); {
	case err == nil:
		return conversation.Facts{Sender: old.Sender, At: old.At, Recalled: old.Recalled || old.Expired}, nil
	case domain.CodeOf(err) == domain.NotFound:
		return conversation.Facts{}, nil
	default:
		return conversation.Facts{}, err
	}
}

// recent returns an event of a conversation from recent, which is waited for where it is behind. It is false where the
// event is too old to be there.
func (o *Operations) recent(ctx context.Context, id domain.ConversationID, seq domain.Seq) (recentFacts, bool, error) {
	event, found, err := o.Recent.Get(ctx, id, seq)
	if found || err != nil {
		return event, found, err
	}
	if err := o.reached(ctx, id, recentProjection); err != nil {
		return recentFacts{}, false, err
	}
	return o.Recent.Get(ctx, id, seq)
}
