package search

import (
	"context"

	"mpim/domain"
	"mpim/projections/database"
	"mpim/projections/rows"
	"mpim/projections/tables"
	"mpim/projections/words"
	"mpim/schema"
)

// Name is the name of the projection and of its consumer.
const Name = "search"

// Definition makes the tables of search.
var Definition = tables.Definition{
	Name:    Name,
	Version: 1,
	Types: []domain.EventType{
		domain.TypeMessageSent, domain.TypeMessageEdited, domain.TypeMessageRecalled, domain.TypeMessageExpired,
		domain.TypeAccountErased,
	},
	Tables: columns,
	Decode: decode,
}

// New returns the projection on a database.
func New(db *database.DB) *tables.Projection { return tables.New(db, Definition) }

// change is a record with its data decoded. Row is that of a message that was sent; of an edit, text is what it says then.
type change struct {
	key  messageKey
	row  *messageRow
	edit domain.Seq
	text []byte
	// erased is whose messages go.
	erased domain.UserID
}

// decode decodes the records and returns what folds them.
func decode(records []*schema.Record) (tables.Write, error) {
	changes := make([]change, 0, len(records))
	for _, record := range records {
		fact, err := record.Fact()
		if err != nil {
			return nil, err
		}
		c := change{key: messageKey{conversation: string(record.Conversation())}}
		switch fact := fact.(type) {
		case *domain.MessageSent:
			c.key.seq = int64(record.ConversationSeq)
			c.row = &messageRow{
				Conversation: c.key.conversation, Seq: c.key.seq, Sender: string(record.Actor), AtMS: record.At.UnixMilli(),
				Text: textOf(fact.Body),
			}
			if fact.ExpiresAt != nil {
				c.row.ExpiresMS = fact.ExpiresAt.UnixMilli()
			}
		case *domain.MessageEdited:
			c.key.seq, c.edit, c.text = int64(fact.Message), record.ConversationSeq, textOf(fact.Body)
		case *domain.MessageRecalled:
			c.key.seq = int64(fact.Message)
		case *domain.MessageExpired:
			c.key.seq = int64(fact.Message)
		case *domain.AccountErased:
			if c.key.conversation == "" {
				continue // that of the account itself
			}
			c.erased = record.Actor
		default: // Types lets no other through
		}
		changes = append(changes, c)
	}
	return func(ctx context.Context, tx *tables.Tx) error { return fold(ctx, tx, changes) }, nil
}

// textOf returns the folded text by which a body is found.
func textOf(b domain.Body) []byte {
	switch b.Type {
	case domain.TextBody:
		return []byte(words.Fold(b.Text))
	case domain.FileBody:
		return []byte(words.Fold(b.Name))
	default:
		return []byte{}
	}
}

// fold writes what the changes come to.
func fold(ctx context.Context, tx *tables.Tx, changes []change) error {
	all := rows.In(tx, messages)
	sent := make(map[messageKey]bool)
	var needed []messageKey
	for _, c := range changes {
		switch {
		case c.row != nil:
			sent[c.key] = true
		case c.erased != "":
			keys, err := sentBy(ctx, tx, c)
			if err != nil {
				return err
			}
			needed = append(needed, keys...)
		case !sent[c.key]:
			needed = append(needed, c.key)
		}
	}
	if err := all.Load(ctx, needed); err != nil {
		return err
	}
	for i, c := range changes {
		row := all.Get(c.key)
		switch {
		case c.row != nil:
			now := *c.row // the changes are folded again where the transaction is tried again
			all.Put(&now)
		case c.erased != "":
			erase(all, c, changes[:i], needed)
		case row == nil: // it is gone, or never was
		case c.edit != 0:
			row.Text, row.EditedSeq = c.text, int64(c.edit)
			all.Put(row)
		default:
			all.Delete(c.key)
		}
	}
	if err := writeTerms(ctx, tx, all); err != nil {
		return err
	}
	return all.Flush(ctx)
}

// writeTerms writes what became of the terms of the messages that changed.
func writeTerms(ctx context.Context, tx *tables.Tx, all *rows.Rows[messageKey, messageRow]) error {
	changed := rows.In(tx, terms)
	all.Changes(func(was, now *messageRow) {
		old := make(map[string]bool)
		if was != nil {
			for _, term := range words.Terms(string(was.Text)) {
				old[term] = true
			}
		}
		if now != nil {
			for _, term := range words.Terms(string(now.Text)) {
				if !old[term] {
					changed.Put(&termRow{Conversation: now.Conversation, Term: []byte(term), AtMS: now.AtMS, Seq: now.Seq})
				}
				delete(old, term)
			}
		}
		for term := range old {
			changed.Delete(termKey{was.Conversation, term, was.AtMS, was.Seq})
		}
	})
	return changed.Flush(ctx)
}
