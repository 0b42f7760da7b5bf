package api

import (
	"cmp"
	"context"
	"slices"
	"time"

	"mpim/domain"
	"mpim/projections/history"
	"mpim/projections/inbox"
	"mpim/projections/members"
)

type (
	conversationListInput struct {
		Page
	}
	conversationListResult struct {
		Conversations []Conversation `json:"conversations" nullable:"false"`
		Next          string         `json:"next,omitempty"`
	}
	conversationGetInput struct {
		Conversation domain.ConversationID `json:"conversation"`
		ReadAfter
	}
	// conversationGetResult has the cursors twice: the protocol's "conversation, with cursors" can be read either way.
	conversationGetResult struct {
		Conversation Conversation `json:"conversation"`
		Cursors      []Cursor     `json:"cursors" nullable:"false"`
	}
)

// maxCursors is for how many members conversation.get says how far they have come.
const maxCursors = 200

func (o *Operations) conversationList(ctx context.Context, caller Caller, in conversationListInput) (conversationListResult, error) {
	limit, err := in.limit()
	if err != nil {
		return conversationListResult{}, err
	}
	var from place
	if in.After != "" {
		places, err := parseToken(in.After, 1)
		if err != nil {
			return conversationListResult{}, err
		}
		from = places[0]
	}
	if err := o.await(ctx, in.ReadAfter, membersProjection, inboxProjection); err != nil {
		return conversationListResult{}, err
	}
	entries, err := o.entries(ctx, caller, func(m members.Membership) bool { return !m.Left() })
	if err != nil {
		return conversationListResult{}, err
	}
	slices.SortFunc(entries, func(a, b inbox.Entry) int { return listed(a).compare(listed(b)) })
	if in.After != "" {
		entries = slices.DeleteFunc(entries, func(e inbox.Entry) bool { return listed(e).compare(from) <= 0 })
	}
	var result conversationListResult
	if len(entries) > limit {
		entries = entries[:limit]
		result.Next = token(listed(entries[limit-1]))
	}
	result.Conversations, err = o.asSeen(ctx, caller.User, entries)
	return result, err
}

func placeOf(e inbox.Entry) place { return place{at: e.UpdatedAt, id: e.Conversation} }

// listed is where a conversation stands in the list of its user.
func listed(e inbox.Entry) place {
	p := placeOf(e)
	p.pinned = e.Pinned
	return p
}

// entries returns those of the caller's conversations that are wanted as the inbox has them, the newest first.
func (o *Operations) entries(ctx context.Context, caller Caller, wanted func(members.Membership) bool) ([]inbox.Entry, error) {
	memberships, err := o.Members.Conversations(ctx, caller.User)
	if err != nil {
		return nil, err
	}
	ids := make([]domain.ConversationID, 0, len(memberships))
	for _, m := range memberships {
		if wanted(m) {
			ids = append(ids, m.Conversation)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	entries, err := o.Inbox.Entries(ctx, caller.User, domain.Acknowledger(caller.Session, o.EpochNumber()), ids)
	if err != nil {
		return nil, err
	}
	// The inbox may be behind members: what it does not know yet comes with the next read.
	entries = slices.DeleteFunc(entries, func(e inbox.Entry) bool { return e.Kind == "" })
	slices.SortFunc(entries, func(a, b inbox.Entry) int { return placeOf(a).compare(placeOf(b)) })
	return entries, nil
}

// asSeen returns the objects of those conversations that the user is a member of.
func (o *Operations) asSeen(ctx context.Context, user domain.UserID, entries []inbox.Entry) ([]Conversation, error) {
	ids := make([]domain.ConversationID, len(entries))
	for i, e := range entries {
		ids[i] = e.Conversation
	}
	views, err := o.seeAll(ctx, user, ids)
	if err != nil {
		return nil, err
	}
	objects := make([]Conversation, 0, len(entries))
	for i, v := range views {
		if v.windows.Open() {
			objects = append(objects, conversationObject(v, entries[i]))
		}
	}
	return objects, nil
}

func (o *Operations) conversationGet(ctx context.Context, caller Caller, in conversationGetInput) (conversationGetResult, error) {
	if _, err := o.see(ctx, caller.User, in.Conversation); err != nil {
		return conversationGetResult{}, err
	}
	if err := o.await(ctx, in.ReadAfter, membersProjection, inboxProjection); err != nil {
		return conversationGetResult{}, err
	}
	object, v, err := o.describe(ctx, caller, in.Conversation)
	if err != nil {
		return conversationGetResult{}, err
	}
	if object.Cursors, err = o.cursors(ctx, v); err != nil {
		return conversationGetResult{}, err
	}
	if !v.windows.Open() {
		if last := o.lastSeen(ctx, v, in.ReadAfter); last != nil {
			object.LastMessage, object.UpdatedAt = last, last.At
		}
	}
	return conversationGetResult{Conversation: object, Cursors: object.Cursors}, nil
}

// lastSeenWait is how long the last message of a closed window is waited for.
const lastSeenWait = time.Second

// lastSeen returns the last message that a user saw who is gone, as it read then. The inbox has only the present one;
// history has it, and where history does not answer the conversation does without.
func (o *Operations) lastSeen(ctx context.Context, v view, after ReadAfter) *Message {
	ctx, cancel := context.WithTimeout(ctx, lastSeenWait)
	defer cancel()
	if o.await(ctx, after, historyProjection) != nil {
		return nil
	}
	found, err := o.History.Page(ctx, v.id, history.View{User: v.user, Windows: v.windows}, history.Range{Limit: 1})
	if err != nil || len(found) == 0 {
		return nil
	}
	last := historyMessage(found[0])
	return &last
}

// describe returns the object of one conversation.
func (o *Operations) describe(ctx context.Context, caller Caller, id domain.ConversationID) (Conversation, view, error) {
	v, err := o.see(ctx, caller.User, id)
	if err != nil {
		return Conversation{}, v, err
	}
	entries, err := o.Inbox.Entries(ctx, caller.User, caller.Session, []domain.ConversationID{id})
	if err != nil {
		return Conversation{}, v, err
	}
	entry := inbox.Entry{Conversation: id}
	if len(entries) == 1 {
		entry = entries[0]
	}
	return conversationObject(v, entry), v, nil
}

// cursors returns how far the members have come; nothing of those that came after the viewer has left.
func (o *Operations) cursors(ctx context.Context, v view) ([]Cursor, error) {
	if !v.windows.Open() {
		return []Cursor{}, nil
	}
	users := v.state.Users
	if v.id.IsGroup() {
		list, err := o.Members.List(ctx, v.id, "", maxCursors)
		if err != nil {
			return nil, err
		}
		users = make([]domain.UserID, len(list))
		for i, m := range list {
			users[i] = m.User
		}
	}
	found, err := o.Inbox.Cursors(ctx, v.id, users)
	if err != nil {
		return nil, err
	}
	cursors := make([]Cursor, len(found))
	for i, c := range found {
		cursors[i] = Cursor{User: c.User, ReadSeq: c.ReadSeq, DeliveredSeq: c.DeliveredSeq}
	}
	slices.SortFunc(cursors, func(a, b Cursor) int { return cmp.Compare(a.User, b.User) })
	return cursors, nil
}
