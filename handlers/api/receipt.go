package api

import (
	"context"

	"mpim/domain"
	"mpim/domain/conversation"
)

type (
	deliveredInput struct {
		Conversation domain.ConversationID `json:"conversation"`
		DeliveredSeq domain.Seq            `json:"delivered_seq"`
	}
	readInput struct {
		Conversation domain.ConversationID `json:"conversation"`
		ReadSeq      domain.Seq            `json:"read_seq"`
	}
	receiptInput struct {
		Conversation domain.ConversationID `json:"conversation"`
		DeliveredSeq *domain.Seq           `json:"delivered_seq,omitempty"`
		ReadSeq      *domain.Seq           `json:"read_seq,omitempty"`
	}
)

func (o *Operations) delivered(ctx context.Context, caller Caller, in deliveredInput) (Changed, error) {
	return o.receipt(ctx, caller, receiptInput{Conversation: in.Conversation, DeliveredSeq: &in.DeliveredSeq})
}

func (o *Operations) read(ctx context.Context, caller Caller, in readInput) (Changed, error) {
	return o.receipt(ctx, caller, receiptInput{Conversation: in.Conversation, ReadSeq: &in.ReadSeq})
}

func (o *Operations) receipt(ctx context.Context, caller Caller, in receiptInput) (Changed, error) {
	if in.DeliveredSeq == nil && in.ReadSeq == nil {
		return Changed{}, domain.Errorf(domain.InvalidArgument, "a receipt has delivered_seq, read_seq or both")
	}
	if in.DeliveredSeq != nil && *in.DeliveredSeq < 1 || in.ReadSeq != nil && *in.ReadSeq < 1 {
		return Changed{}, domain.Errorf(domain.InvalidArgument, "a receipt names a seq of at least 1")
	}
	return o.gathered.move(ctx, caller, in, o.moveReceipt)
}

func (o *Operations) moveReceipt(ctx context.Context, caller Caller, in receiptInput) (Changed, error) {
	v, err := o.see(ctx, caller.User, in.Conversation)
	if err != nil {
		return Changed{}, err
	}
	move := conversation.MoveReceipt{
		Stamp: o.stamp(caller), Session: caller.Session, Epoch: o.EpochNumber(), Unlogged: conversation.LargeGroup,
	}
	if move.Delivered, move.DeliveredOrdinal, err = o.counted(ctx, v, in.DeliveredSeq); err != nil {
		return Changed{}, err
	}
	if move.Read, move.ReadOrdinal, err = o.counted(ctx, v, in.ReadSeq); err != nil {
		return Changed{}, err
	}
	position, state, err := o.sharedState(ctx, in.Conversation, move)
	if err != nil {
		return Changed{}, err
	}
	if kept, ok := conversation.Unlogged(state, move); ok {
		session := domain.Acknowledger(kept.Session, kept.Epoch)
		if err := o.Inbox.Delivered(ctx, in.Conversation, caller.User, session, kept.DeliveredSeq); err != nil {
			return Changed{}, err
		}
	}
	return at(position), nil
}

// counted returns a cursor with how many messages stand at or below it. One that the command will be refused for is
// returned as it is.
func (o *Operations) counted(ctx context.Context, v view, seq *domain.Seq) (domain.Seq, int64, error) {
	switch {
	case seq == nil:
		return 0, 0, nil
	case *seq > v.windows.Last(v.state.Head):
		return *seq, 0, nil
	case *seq == v.state.Head:
		// The usual case, and the one that asks nobody.
		return *seq, v.ordinal, nil
	}
	event, found, err := o.recent(ctx, v.id, *seq)
	if found || err != nil {
		return *seq, event.Ordinal, err
	}
	if err := o.reached(ctx, v.id, historyProjection); err != nil {
		return 0, 0, err
	}
	ordinal, err := o.History.Ordinal(ctx, v.id, *seq)
	return *seq, ordinal, err
}
