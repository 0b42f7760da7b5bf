package history

import (
	"context"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"mpim/domain"
)

// page returns the rows of a page, ascending: a scan of the primary key from its end, or from where After says.
func (s *store) page(
	ctx context.Context, id domain.ConversationID, spans []domain.Window, r Range,
) (rows []*messageRow, err error) {
	descending := r.After == 0
	q := s.from(&rows, messagesTable, id).WhereGroup(" AND ", func(q *bun.SelectQuery) *bun.SelectQuery {
		for _, span := range spans {
			if span.To == 0 {
				q.WhereOr("r.seq >= ?", span.From)
			} else {
				q.WhereOr("r.seq BETWEEN ? AND ?", span.From, span.To)
			}
		}
		return q
	}).Limit(int64(r.Limit))
	if descending {
		q.OrderExpr("r.seq DESC")
	} else {
		q.OrderExpr("r.seq")
	}
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("read messages: %w", err)
	}
	if descending {
		slices.Reverse(rows)
	}
	return rows, nil
}

// message returns the row of one message. An error is of kind NotFound where there is none.
func (s *store) message(ctx context.Context, id domain.ConversationID, seq domain.Seq) (*messageRow, error) {
	var rows []*messageRow
	if err := s.from(&rows, messagesTable, id).Where("r.seq = ?", seq).Scan(ctx); err != nil {
		return nil, fmt.Errorf("read a message: %w", err)
	}
	if len(rows) == 0 {
		return nil, noMessage(seq)
	}
	return rows[0], nil
}

// some returns the rows of some messages of a conversation, ascending.
func (s *store) some(ctx context.Context, id domain.ConversationID, found []Found) (rows []*messageRow, err error) {
	seqs := make([]int64, len(found))
	for i, f := range found {
		seqs[i] = int64(f.Seq)
	}
	if err := s.from(&rows, messagesTable, id).Where("r.seq IN (?)", bun.List(seqs)).OrderExpr("r.seq").Scan(ctx); err != nil {
		return nil, fmt.Errorf("read messages that were found: %w", err)
	}
	return rows, nil
}

// revisions returns every body that the messages had, in order.
func (s *store) revisions(
	ctx context.Context, id domain.ConversationID, of []*messageRow,
) (rows []revisionRow, err error) {
	err = s.from(&rows, revisionsTable, id).Where("r.message IN (?)", bun.List(numbers(of))).
		OrderExpr("r.message, r.seq").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("read revisions: %w", err)
	}
	return rows, nil
}

// reactionCount is how often an emoji stands on a message.
type reactionCount struct {
	Message int64
	Emoji   []byte
	Count   int
	Mine    bool
}

// countReactions counts the reactions on the messages from first to last as they stood with the event at end, or as they
// stand now where end is 0.
func (s *store) countReactions(
	ctx context.Context, id domain.ConversationID, first, last int64, end domain.Seq, viewer domain.UserID,
) (counts []reactionCount, err error) {
	q := s.tx.NewSelect().TableExpr("? AS r", s.tx.Table(reactionsTable)).
		ColumnExpr("r.message, r.emoji, COUNT(*) AS count").
		ColumnExpr("MAX(CASE WHEN r.user_id = ? THEN 1 ELSE 0 END) AS mine", string(viewer)).
		Where("r.conversation = ? AND r.message BETWEEN ? AND ?", string(id), first, last)
	if end == 0 {
		q.Where("r.to_seq IS NULL")
	} else {
		q.Where("r.from_seq <= ? AND (r.to_seq IS NULL OR r.to_seq > ?)", end, end)
	}
	if err := q.GroupExpr("r.message, r.emoji").OrderExpr("r.message, MIN(r.from_seq)").Scan(ctx, &counts); err != nil {
		return nil, fmt.Errorf("count reactions: %w", err)
	}
	return counts, nil
}

// from begins a query of one conversation's rows.
func (s *store) from(rows any, name string, id domain.ConversationID) *bun.SelectQuery {
	return s.tx.NewSelect().Model(rows).ModelTableExpr("? AS r", s.tx.Table(name)).
		Where("r.conversation = ?", string(id))
}

func numbers(rows []*messageRow) []int64 {
	all := make([]int64, len(rows))
	for i, row := range rows {
		all[i] = row.Seq
	}
	return all
}
