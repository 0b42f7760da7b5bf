package search

import (
	"context"
	"fmt"

	"mpim/projections/rows"
	"mpim/projections/tables"
)

// sentBy returns the keys of what the erased user of a change has stored in its conversation.
func sentBy(ctx context.Context, tx *tables.Tx, c change) (keys []messageKey, err error) {
	var stored []int64
	if err := tx.NewSelect().TableExpr("?", tx.Table(messages.Name)).Column("seq").
		Where("conversation = ? AND sender = ?", c.key.conversation, string(c.erased)).Scan(ctx, &stored); err != nil {
		return nil, fmt.Errorf("read what %s sent to %s: %w", c.erased, c.key.conversation, err)
	}
	for _, seq := range stored {
		keys = append(keys, messageKey{c.key.conversation, seq})
	}
	return keys, nil
}

// erase takes away what the erased user had sent: what was stored, and what stands before the change in this run.
func erase(all *rows.Rows[messageKey, messageRow], c change, before []change, stored []messageKey) {
	for _, b := range before {
		if b.row != nil {
			stored = append(stored, b.key)
		}
	}
	for _, key := range stored {
		if row := all.Get(key); row != nil && key.conversation == c.key.conversation && row.Sender == string(c.erased) {
			all.Delete(key)
		}
	}
}
