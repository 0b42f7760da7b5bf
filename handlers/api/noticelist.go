package api

import (
	"context"

	"mpim/domain"
	"mpim/projections/notices"
)

type (
	noticeListInput struct {
		Page
	}
	noticeListResult struct {
		Notices []Notice `json:"notices" nullable:"false"`
		Next    string   `json:"next,omitempty"`
	}
)

// noticeList lists the notices that are for the caller, the newest first. Conditions on where and with what somebody was
// connected narrow who is told at once, and nothing here.
func (o *Operations) noticeList(ctx context.Context, caller Caller, in noticeListInput) (noticeListResult, error) {
	limit, err := limitOf(in.Limit, defaultPage, notices.MaxLimit)
	if err != nil {
		return noticeListResult{}, err
	}
	if err := o.await(ctx, in.ReadAfter, membersProjection, noticesProjection); err != nil {
		return noticeListResult{}, err
	}
	memberships, err := o.Members.Conversations(ctx, caller.User)
	if err != nil {
		return noticeListResult{}, err
	}
	reader := notices.Reader{User: caller.User, Roles: make(map[domain.ConversationID]domain.Role, len(memberships))}
	for _, m := range memberships {
		if !m.Left() {
			reader.Roles[m.Conversation] = m.Role
		}
	}
	found, next, err := o.Notices.List(ctx, reader, in.After, limit)
	if err != nil {
		return noticeListResult{}, err
	}
	result := noticeListResult{Notices: make([]Notice, len(found)), Next: next}
	for i, n := range found {
		result.Notices[i] = Notice{Event: n.Event, Title: n.Title, Text: n.Text, At: formatTime(n.At), Priority: n.Priority}
	}
	return result, nil
}
