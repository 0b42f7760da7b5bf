package api

import (
	"context"

	"mpim/domain"
	"mpim/projections/history"
)

type (
	historyInput struct {
		Conversation domain.ConversationID `json:"conversation"`
		Before       *domain.Seq           `json:"before,omitempty" doc:"The newest messages below it."`
		After        *domain.Seq           `json:"after,omitempty" doc:"The oldest messages above it."`
		Limit        *int                  `json:"limit,omitempty" minimum:"1" maximum:"200" default:"50" doc:"The page is shorter where the messages are large."`
		ReadAfter
	}
	historyResult struct {
		Messages []Message `json:"messages" nullable:"false"`
	}
)

func (o *Operations) history(ctx context.Context, caller Caller, in historyInput) (historyResult, error) {
	limit, err := limitOf(in.Limit, defaultPage, history.MaxLimit)
	if err != nil {
		return historyResult{}, err
	}
	if in.Before != nil && in.After != nil {
		return historyResult{}, domain.Errorf(domain.InvalidArgument, "history goes before or after a seq, not both")
	}
	if in.Before != nil && *in.Before < 0 || in.After != nil && *in.After < 0 {
		return historyResult{}, domain.Errorf(domain.InvalidArgument, "before and after are not negative")
	}
	v, err := o.see(ctx, caller.User, in.Conversation)
	if err != nil {
		return historyResult{}, err
	}
	r, empty, err := v.span(in.Before, in.After)
	if err != nil || empty {
		return historyResult{Messages: []Message{}}, err
	}
	if err := o.await(ctx, in.ReadAfter, historyProjection); err != nil {
		return historyResult{}, err
	}
	r.Limit = limit
	found, err := o.History.Page(ctx, in.Conversation, history.View{User: caller.User, Windows: v.windows}, r)
	if err != nil {
		return historyResult{}, err
	}
	return historyResult{Messages: fitting(found, in.After == nil)}, nil
}

// historyBytes leaves, of the largest frame to a client, room for what stands around the messages.
const historyBytes = 900 << 10

// fitting returns as many messages as a frame has room for, at least one, so that each page gets the client on. Those
// that do not fit are the last of the page that it asks for next, which begins where this one ends: the oldest where it
// goes back.
func fitting(found []history.Message, back bool) []Message {
	room, n := historyBytes, 0
	for n < len(found) {
		next := n
		if back {
			next = len(found) - 1 - n
		}
		if room -= sizeOf(found[next]); room < 0 && n > 0 {
			break
		}
		n++
	}
	if back {
		found = found[len(found)-n:]
	} else {
		found = found[:n]
	}
	messages := make([]Message, len(found))
	for i, m := range found {
		messages[i] = historyMessage(m)
	}
	return messages
}

// sizeOf returns about how many bytes a message takes in an answer, rather too many than too few.
func sizeOf(m history.Message) int {
	const members, mention, reaction = 768, 48, 64
	// A character takes at most six bytes where it is escaped. The body is JSON, and escaped already.
	size := members + len(m.Body) + 6*len(m.ClientID)
	for _, id := range m.Mentions {
		size += mention + len(id)
	}
	for _, r := range m.Reactions {
		size += reaction + 6*len(r.Emoji)
	}
	return size
}

// span returns the range between the bounds that were given. Empty says that the conversation has nothing there. An error
// is of kind PermissionDenied where it has, but all of it lies outside the user's windows.
func (v view) span(before, after *domain.Seq) (r history.Range, empty bool, err error) {
	first, last := domain.Seq(1), v.state.Head
	if before != nil {
		last = min(last, *before-1)
		// A bound of 0 means none to history.
		r.Before = *before
	}
	if after != nil {
		if *after >= last {
			return r, true, nil
		}
		first = *after + 1
		r.After = *after
	}
	if first > last {
		return r, true, nil
	}
	if len(v.windows.Above(first-1, last)) == 0 {
		return r, false, domain.Errorf(domain.PermissionDenied, "these messages lie outside what you may see")
	}
	if after != nil && *after == 0 {
		// Above 0 is the oldest, which history takes for no bound: the sequence before the first visible one is the same.
		r.After = max(1, v.windows[0].From-1)
	}
	return r, false, nil
}
