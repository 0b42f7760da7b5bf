package api

import (
	"context"
	"time"

	"mpim/domain"
	"mpim/domain/conversation"
	"mpim/projections/recent"
)

type recentFacts = recent.Facts

// factsWait is how long recent is given to come to the end of the log, so that who recalls a message and changes it next
// hears that it is gone. The decision does without where that takes longer.
const factsWait = 500 * time.Millisecond

// facts returns what is known of a message that the user sees; nothing of one that the command will be refused for
// anyway. It comes from recent, else from history, each given the time to catch up.
func (o *Operations) facts(ctx context.Context, v view, seq domain.Seq) (conversation.Facts, error) {
	if seq < 1 || seq > v.state.Head || !v.windows.Contains(seq) {
		return conversation.Facts{}, nil
	}
	o.freshen(ctx, v.id)
	event, found, err := o.recent(ctx, v.id, seq)
	switch {
	case err != nil:
		return conversation.Facts{}, err
	case found && event.Type != domain.TypeMessageSent:
		return conversation.Facts{}, nil
	case found:
		return conversation.Facts{Sender: event.Sender, At: event.At, ExpiresAt: event.ExpiresAt, Recalled: event.Gone}, nil
	}
	if err := o.reached(ctx, v.id, historyProjection); err != nil {
		return o.archived(ctx, v.id, seq, err)
	}
	switch old, err := o.History.Facts(ctx, v.id, seq); {
	case err == nil:
		return conversation.Facts{
			Sender: old.Sender, At: old.At, ExpiresAt: old.ExpiresAt, Recalled: old.Recalled || old.Expired,
		}, nil
	case domain.CodeOf(err) == domain.NotFound:
		return conversation.Facts{}, nil
	default:
		return conversation.Facts{}, err
	}
}

// archived returns the facts of a message from the archive, which has them where history is behind, or in the midst of being
// built. Where it has not, the error is why history could not be asked.
func (o *Operations) archived(ctx context.Context, id domain.ConversationID, seq domain.Seq, missing error) (conversation.Facts, error) {
	if o.Archive == nil {
		return conversation.Facts{}, missing
	}
	old, err := o.Archive.Facts(ctx, id, seq)
	if err != nil {
		return conversation.Facts{}, missing
	}
	return conversation.Facts{Sender: old.Sender, At: old.At, ExpiresAt: old.ExpiresAt}, nil
}

// freshen gives recent a moment to come to where the log stands now.
func (o *Operations) freshen(ctx context.Context, id domain.ConversationID) {
	ctx, cancel := context.WithTimeout(ctx, factsWait)
	defer cancel()
	// Where it does not, the decision is the one that crosses a change.
	_ = o.reached(ctx, id, recentProjection)
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
