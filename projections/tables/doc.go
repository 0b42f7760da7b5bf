// Package tables makes a projection whose state is tables in SQL out of a short definition: what the tables are, which events
// matter, and what a run of events does to the rows. Checkpoints, exactly-once, parking, builds that stand beside each
// other, and status are the same for all and are here.
//
//	var Definition = tables.Definition{
//		Name: "sizes", Version: 1,
//		Types:  []domain.EventType{domain.TypeMessageSent},
//		Tables: []tables.Table{{Name: "conversations", Columns: `
//		  conversation {id} NOT NULL,
//		  messages     BIGINT NOT NULL,
//		  PRIMARY KEY (conversation)`}},
//		Fold: fold,
//	}
//
//	type row struct {
//		Conversation string `bun:"conversation,pk"`
//		Messages     int64  `bun:"messages"`
//	}
//
//	func fold(ctx context.Context, tx *tables.Tx, records []*schema.Record) error {
//		sent := make(map[string]*row)
//		for _, r := range records {
//			c := string(r.Conversation())
//			if sent[c] == nil {
//				sent[c] = &row{Conversation: c}
//			}
//			sent[c].Messages++
//		}
//		return tables.Add(ctx, tx, "conversations", slices.Collect(maps.Values(sent)))
//	}
//
// tables.New(db, Definition) is then a projections.Projection. Queries read through [Read], which finds the live build.
//
// # Promises
//
// Fold is called with every event of its types once, in the order of its partition, and what it writes is kept if and only if
// the checkpoint moves. It may be called several times for the same events, in transactions that are rolled back, so
// it keeps nothing outside of the transaction. Partitions are folded at the same time: rows that events of several
// partitions change are changed by statements that can cross each other, such as [Add].
//
// An error of Fold that the database did not cause is taken for an event's own fault: the events are halved until the one is
// found, which is parked with its conversation.
//
// # Design
//
// The tables of a build are called <name>_<build>_<table>, so a build can be made beside the live one by the same code. Fold
// never learns which build it writes: it names its tables through [Tx].
//
// The rows of a build follow from the events of the log alone. Who needs state of another projection folds the events
// that made it, because the other one may stand elsewhere in the log, or be another build tomorrow.
package tables
