package history

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"mpim/domain"
)

// Group is what history has of a group as it stands.
type Group struct {
	ID                             domain.ConversationID
	Title, AvatarURL, Announcement string
	CreatedBy                      domain.UserID
	CreatedAt                      time.Time
	// Dissolved groups stay readable.
	Dissolved bool
}

// Groups returns the groups with these ids, in no order. Ids that no group has are left out.
func (q *Queries) Groups(ctx context.Context, ids []domain.ConversationID) (found []Group, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = string(id)
	}
	err = q.live(ctx, func(s *store) error {
		var rows []conversationRow
		err := s.tx.Select(&rows, conversationsTable).Where("r.conversation IN (?) AND r.kind = ?", bun.List(texts), domain.GroupConversation).Scan(ctx)
		if err != nil {
			return fmt.Errorf("read groups: %w", err)
		}
		found = make([]Group, len(rows))
		for i, r := range rows {
			found[i] = Group{
				ID: domain.ConversationID(r.Conversation), Title: string(r.Title), AvatarURL: string(r.AvatarURL), Announcement: string(r.Announcement),
				CreatedBy: domain.UserID(r.CreatedBy), CreatedAt: r.CreatedAt.UTC(), Dissolved: !r.DissolvedAt.IsZero(),
			}
		}
		return nil
	})
	return found, err
}
