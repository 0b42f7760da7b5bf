package api

import (
	"context"
	"encoding/json"
	"time"

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
		Size *int64          `json:"size,omitempty" doc:"Of a file, in bytes."`
		MIME string          `json:"mime,omitempty"`
		Data json.RawMessage `json:"data,omitempty"`
	}
	sendInput struct {
		To         target      `json:"to" doc:"One of the two. A user finds or creates the direct conversation."`
		ClientID   string      `json:"client_id" doc:"1 to 64 characters. Sent again with the same content, the request has no further effect."`
		Body       body        `json:"body"`
		ReplyTo    *domain.Seq `json:"reply_to,omitempty" doc:"The seq of the message that this one answers."`
		Mentions   mentions    `json:"mentions,omitempty" doc:"Ids of members; or all, which admins of groups may."`
		ExpiresInS *int64      `json:"expires_in_s,omitempty" doc:"The message goes by itself after so many seconds."`
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
)

func (b body) domain() domain.Body {
	d := domain.Body{Type: b.Type, Text: b.Text, URL: b.URL, Name: b.Name, MIME: b.MIME, Data: b.Data}
	if b.Type == domain.FileBody || b.Size != nil && *b.Size != 0 { // a text of size 0 is as good as one without
		d.Size = b.Size
	}
	return d.Sized()
}

func (o *Operations) send(ctx context.Context, caller Caller, in sendInput) (sendResult, error) {
	id, err := o.addressed(caller, in.To, in.ClientID)
	if err != nil {
		return sendResult{}, err
	}
	message := conversation.SendMessage{
		Stamp: o.stamp(caller), ClientID: in.ClientID, Body: in.Body.domain(), Mentions: in.Mentions,
		ExpiresIn: expiresIn(in.ExpiresInS), Limits: o.Limits,
	}
	if in.ReplyTo != nil {
		if message.ReplyTo, message.Answered, err = o.answered(ctx, caller, id, *in.ReplyTo); err != nil {
			return sendResult{}, err
		}
	}
	request, err := in.sent().Request(o.Placement, id, caller.User)
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

// sent returns what identifies the message.
func (in sendInput) sent() command.Sent {
	sent := command.Sent{ClientID: in.ClientID, Body: in.Body.domain(), Mentions: in.Mentions}
	if in.ReplyTo != nil {
		sent.ReplyTo = *in.ReplyTo
	}
	if in.ExpiresInS != nil {
		sent.ExpiresInS = *in.ExpiresInS
	}
	return sent
}

// addressed returns the conversation that something new is for.
func (o *Operations) addressed(caller Caller, to target, clientID string) (domain.ConversationID, error) {
	if (to.User == "") == (to.Conversation == "") {
		return "", domain.Errorf(domain.InvalidArgument, "to has either user or conversation")
	}
	if err := conversation.CheckClientID(clientID, o.Limits); err != nil {
		return "", err
	}
	id := to.Conversation
	if to.User != "" {
		if o.placed(to.User.Partition()) != nil {
			return "", noSuchUser()
		}
		id = o.Placement.Pair(caller.User, to.User)
	}
	return id, o.placed(id.Partition())
}

// expiresIn returns for how long a message stands; what is out of bounds becomes a time that is refused.
func expiresIn(seconds *int64) time.Duration {
	switch {
	case seconds == nil:
		return 0
	case *seconds < 1 || *seconds > int64(conversation.MaxExpiry/time.Second):
		return -1
	default:
		return time.Duration(*seconds) * time.Second
	}
}

// answered returns what is known of the message that another answers.
func (o *Operations) answered(
	ctx context.Context, caller Caller, id domain.ConversationID, seq domain.Seq,
) (domain.Seq, conversation.Facts, error) {
	if seq < 1 {
		return 0, conversation.Facts{}, domain.Errorf(domain.InvalidArgument, "reply_to begins at 1")
	}
	_, facts, err := o.concerned(ctx, caller, id, seq)
	return seq, facts, err
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
