package api

import (
	"context"
	"slices"
	"strings"

	"mpim/domain"
	"mpim/projections/history"
	"mpim/projections/members"
	"mpim/projections/search"
)

type (
	searchInput struct {
		Q            string                `json:"q" doc:"Words that messages have, in any order; the last may be the beginning of one."`
		Conversation domain.ConversationID `json:"conversation,omitempty" doc:"Search this one alone."`
		Limit        *int                  `json:"limit,omitempty" minimum:"1" maximum:"100" default:"50"`
		After        string                `json:"after,omitempty" doc:"The next of the page before. A page may be short and not be the last."`
		ReadAfter
	}
	searchResult struct {
		Messages []Message `json:"messages" nullable:"false"`
		Next     string    `json:"next,omitempty"`
	}
)

// maxQuery bounds what is searched for, in characters.
const maxQuery = 256

func (o *Operations) search(ctx context.Context, caller Caller, in searchInput) (searchResult, error) {
	limit, err := limitOf(in.Limit, defaultPage, search.MaxLimit)
	if err != nil {
		return searchResult{}, err
	}
	if strings.TrimSpace(in.Q) == "" {
		return searchResult{}, domain.Errorf(domain.InvalidArgument, "q is empty")
	}
	if err := domain.CheckText("q", in.Q, maxQuery); err != nil {
		return searchResult{}, err
	}
	scopes, err := o.scopes(ctx, caller, in)
	if err != nil {
		return searchResult{}, err
	}
	if err := o.await(ctx, in.ReadAfter, searchProjection, historyProjection); err != nil {
		return searchResult{}, err
	}
	hits, next, err := o.Search.Search(ctx, scopes, in.Q, in.After, limit)
	if err != nil {
		return searchResult{}, err
	}
	found, err := o.found(ctx, caller.User, scopes, hits)
	if err != nil {
		return searchResult{}, err
	}
	n := fit(found)
	if n < len(found) {
		// There is no room for all of them: the page ends earlier, and the next one begins there.
		end := slices.IndexFunc(hits, func(h search.Hit) bool {
			return h.Conversation == found[n].Conversation && h.Seq == found[n].Seq
		})
		if _, next, err = o.Search.Search(ctx, scopes, in.Q, in.After, max(end, 1)); err != nil {
			return searchResult{}, err
		}
		found = found[:n]
	}
	result := searchResult{Messages: make([]Message, len(found)), Next: next}
	for i, m := range found {
		result.Messages[i] = historyMessage(m)
	}
	return result, nil
}

// scopes returns what the caller may search: what it sees of the conversation that it names, or of all its own.
func (o *Operations) scopes(ctx context.Context, caller Caller, in searchInput) ([]search.Scope, error) {
	if in.Conversation != "" {
		v, err := o.see(ctx, caller.User, in.Conversation)
		return []search.Scope{{Conversation: v.id, Windows: v.windows}}, err
	}
	if err := o.await(ctx, in.ReadAfter, membersProjection); err != nil {
		return nil, err
	}
	memberships, err := o.Members.Conversations(ctx, caller.User)
	if err != nil {
		return nil, err
	}
	views, err := o.seeAll(ctx, caller.User, conversationsOf(memberships))
	if err != nil {
		return nil, err
	}
	scopes := make([]search.Scope, len(views))
	for i, v := range views {
		scopes[i] = search.Scope{Conversation: v.id, Windows: v.windows}
	}
	return scopes, nil
}

func conversationsOf(memberships []members.Membership) []domain.ConversationID {
	ids := make([]domain.ConversationID, len(memberships))
	for i, m := range memberships {
		ids[i] = m.Conversation
	}
	return ids
}

// found returns the messages of hits, but for those that are gone.
func (o *Operations) found(ctx context.Context, user domain.UserID, scopes []search.Scope, hits []search.Hit) ([]history.Message, error) {
	windows := make(map[domain.ConversationID]domain.Windows, len(scopes))
	for _, s := range scopes {
		windows[s.Conversation] = s.Windows
	}
	wanted := make([]history.Found, len(hits))
	for i, h := range hits {
		wanted[i] = history.Found{Conversation: h.Conversation, Seq: h.Seq, Windows: windows[h.Conversation]}
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	found, err := o.History.Messages(ctx, user, wanted)
	return slices.DeleteFunc(found, func(m history.Message) bool { return m.Body == nil }), err
}

// fit returns how many messages a frame has room for, at least one.
func fit(found []history.Message) int {
	room := historyBytes
	for n, m := range found {
		if room -= sizeOf(m); room < 0 && n > 0 {
			return n
		}
	}
	return len(found)
}
