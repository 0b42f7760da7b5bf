package history

import (
	"context"
	"fmt"
	"time"

	"mpim/domain"
)

// Sent is what finds a message again that a client sent.
type Sent struct {
	Seq      domain.Seq
	Sender   domain.UserID
	ClientID string
	At       time.Time
}

// Sent returns the messages of a conversation whose client id begins with the prefix, whatever became of them since.
func (q *Queries) Sent(ctx context.Context, id domain.ConversationID, prefix string) (found []Sent, err error) {
	err = q.live(ctx, func(s *store) error {
		var rows []*messageRow
		err := s.from(&rows, messagesTable, id).Column("seq", "sender", "client_id", "at").
			Where("r.client_id >= ? AND r.client_id < ?", []byte(prefix), []byte(prefix+"\xff")).OrderExpr("r.seq").Scan(ctx)
		if err != nil {
			return fmt.Errorf("find messages by their client ids: %w", err)
		}
		found = make([]Sent, len(rows))
		for i, r := range rows {
			found[i] = Sent{Seq: domain.Seq(r.Seq), Sender: domain.UserID(r.Sender), ClientID: string(r.ClientID), At: r.At.UTC()}
		}
		return nil
	})
	return found, err
}
