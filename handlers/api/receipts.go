package api

import (
	"context"
	"time"

	"mpim/domain"
	"mpim/domain/conversation"
	"mpim/projections/receipts"
)

type (
	receiptsResult struct {
		ReadCount      int             `json:"read_count"`
		DeliveredCount int             `json:"delivered_count"`
		UnreadCount    int             `json:"unread_count"`
		Read           []memberReceipt `json:"read" nullable:"false" doc:"Up to 200 members who read it."`
		Delivered      []memberReceipt `json:"delivered" nullable:"false" doc:"Up to 200 members who got it; in groups over 200, those who read it."`
	}
	memberReceipt struct {
		User domain.UserID `json:"user"`
		At   string        `json:"at" format:"date-time"`
	}
)

// messageReceipts says who has got and read a message: of the present members who were members when it was sent, without
// its sender.
func (o *Operations) messageReceipts(ctx context.Context, caller Caller, in messageGetInput) (receiptsResult, error) {
	v, facts, err := o.concerned(ctx, caller, in.Conversation, in.Seq)
	if err != nil {
		return receiptsResult{}, err
	}
	switch {
	case in.Seq < 1:
		return receiptsResult{}, domain.Errorf(domain.InvalidArgument, "seq is at least 1")
	case in.Seq <= v.windows.Last(v.state.Head) && !v.windows.Contains(in.Seq):
		return receiptsResult{}, domain.Errorf(domain.PermissionDenied, "this message lies outside what you may see")
	case facts.Sender == "":
		return receiptsResult{}, domain.Errorf(domain.NotFound, "there is no message %d in this conversation", in.Seq)
	}
	if err := o.await(ctx, in.ReadAfter, receiptsProjection, inboxProjection, membersProjection); err != nil {
		return receiptsResult{}, err
	}
	found, err := o.Receipts.Message(ctx, in.Conversation, in.Seq, facts.Sender)
	if err != nil {
		return receiptsResult{}, err
	}
	result := receiptsResult{
		ReadCount: found.ReadCount, DeliveredCount: found.DeliveredCount, UnreadCount: found.UnreadCount,
		Read: memberReceipts(found.Read), Delivered: memberReceipts(found.Delivered),
	}
	if in.Conversation.IsGroup() && v.state.MemberCount > conversation.LargeGroup {
		// There what was delivered is no event: the inbox alone knows of it.
		result.DeliveredCount, err = o.deliveredTo(ctx, in.Conversation, in.Seq, facts.Sender)
	}
	return result, err
}

func memberReceipts(list []receipts.Receipt) []memberReceipt {
	all := make([]memberReceipt, len(list))
	for i, r := range list {
		all[i] = memberReceipt{User: r.User, At: formatTime(r.At.Truncate(time.Millisecond))}
	}
	return all
}

// deliveredPage is how many members' cursors are read at once.
const deliveredPage = 1000

// deliveredTo counts the members of a message's audience that got it.
func (o *Operations) deliveredTo(
	ctx context.Context, id domain.ConversationID, seq domain.Seq, sender domain.UserID,
) (count int, err error) {
	for after := domain.UserID(""); ; {
		page, err := o.Members.List(ctx, id, after, deliveredPage)
		if err != nil {
			return 0, err
		}
		var users []domain.UserID
		for _, m := range page {
			after = m.User
			if m.User != sender && m.Windows.Contains(seq) {
				users = append(users, m.User)
			}
		}
		cursors, err := o.Inbox.Cursors(ctx, id, users)
		if err != nil {
			return 0, err
		}
		for _, c := range cursors {
			if c.DeliveredSeq >= seq {
				count++
			}
		}
		if len(page) < deliveredPage {
			return count, nil
		}
	}
}
