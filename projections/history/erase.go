package history

import (
	"context"
	"fmt"
)

// erase takes the bodies of all that a user wrote in a conversation: of what is in memory here, of what is stored when the fold is
// written. A message whose sender is erased reads as if it had been stored after its key was destroyed.
func (f *fold) erase(c *change) {
	for key, row := range f.messages {
		if key.conversation != c.conversation || row.Sender != c.erases {
			continue
		}
		row.Body, row.Kind, row.mark.changed = nil, erasedKind, true
		for _, r := range f.revisions {
			if r.Conversation == row.Conversation && r.Message == row.Seq {
				r.Body = nil
			}
		}
	}
	f.erased = append(f.erased, c)
}

// writeErased erases what was stored before this fold.
func (f *fold) writeErased(ctx context.Context) error {
	tx := f.store.tx
	for _, c := range f.erased {
		if _, err := tx.NewUpdate().ModelTableExpr("?", tx.Table(messagesTable)).Model((*messageRow)(nil)).
			Set("body = NULL").Set("kind = ?", erasedKind).
			Where("conversation = ? AND sender = ?", c.conversation, c.erases).Exec(ctx); err != nil {
			return fmt.Errorf("erase messages in %s: %w", c.conversation, err)
		}
		if _, err := tx.NewUpdate().ModelTableExpr("?", tx.Table(revisionsTable)).Model((*revisionRow)(nil)).
			Set("body = NULL").
			Where("conversation = ? AND message IN (SELECT seq FROM ? WHERE conversation = ? AND sender = ?)",
				c.conversation, tx.Table(messagesTable), c.conversation, c.erases).Exec(ctx); err != nil {
			return fmt.Errorf("erase revisions in %s: %w", c.conversation, err)
		}
	}
	return nil
}
