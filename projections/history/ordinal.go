package history

import (
	"context"

	"mpim/domain"
)

// Ordinal returns how many messages the conversation has up to seq, as far as this projection has come: what a receipt
// carries, so that unread is a subtraction.
func (q *Queries) Ordinal(ctx context.Context, id domain.ConversationID, seq domain.Seq) (ordinal int64, err error) {
	err = q.live(ctx, func(s *store) error {
		rows, err := s.page(ctx, id, []domain.Window{{From: 1, To: seq}}, Range{Limit: 1})
		if len(rows) > 0 {
			ordinal = rows[0].Ordinal
		}
		return err
	})
	return ordinal, err
}
