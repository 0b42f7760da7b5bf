package tables_test

import (
	"context"
	"maps"
	"slices"

	"mpim/domain"
	"mpim/projections/tables"
	"mpim/schema"
)

// sizes counts the messages of each conversation, and of each hour over all partitions.
var sizes = tables.Definition{
	Name: "sizes", Version: 1,
	Types: []domain.EventType{domain.TypeMessageSent},
	Tables: []tables.Table{{Name: "conversations", Columns: `
		conversation {id} NOT NULL,
		messages     BIGINT NOT NULL,
		bytes        BIGINT NOT NULL,
		PRIMARY KEY (conversation)`, Indexes: []string{"messages", "bytes, messages"}}, {Name: "seen", Columns: `
		event  {id} NOT NULL,
		sender {id} NOT NULL,
		PRIMARY KEY (event)`}},
	Fold: foldSizes,
}

type sizeRow struct {
	Conversation string `bun:"conversation,pk"`
	Messages     int64  `bun:"messages"`
	Bytes        int64  `bun:"bytes"`
}

type seenRow struct {
	Event  string `bun:"event,pk"`
	Sender string `bun:"sender"`
}

func foldSizes(ctx context.Context, tx *tables.Tx, records []*schema.Record) error {
	sent := make(map[string]*sizeRow)
	var seen []seenRow
	for _, r := range records {
		if _, err := r.Fact(); err != nil {
			return err
		}
		c := string(r.Conversation())
		if sent[c] == nil {
			sent[c] = &sizeRow{Conversation: c}
		}
		sent[c].Messages++
		sent[c].Bytes += int64(len(r.Data))
		seen = append(seen, seenRow{r.String(), string(r.Actor)})
	}
	if err := tables.Insert(ctx, tx, "seen", seen); err != nil {
		return err
	}
	return tables.Add(ctx, tx, "conversations", slices.Collect(maps.Values(sent)))
}
