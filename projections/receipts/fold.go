package receipts

import (
	"context"
	"fmt"
	"time"

	"mpim/domain"
	"mpim/projections/database"
	"mpim/projections/rows"
	"mpim/projections/tables"
	"mpim/schema"
)

// Name is the name of the projection and of its consumer.
const Name = "receipts"

// Kept is for how many sequences below a member's cursor its moves are kept, at least.
const Kept = 1000

// step is how many sequences a cursor advances until its old moves are looked for.
const step = 100

// Definition makes the tables of receipts.
var Definition = tables.Definition{
	Name:    Name,
	Version: 1,
	Types: []domain.EventType{
		domain.TypeConversationCreated, domain.TypeMemberAdded, domain.TypeMemberJoined, domain.TypeMemberLeft,
		domain.TypeMemberRemoved, domain.TypeMessageSent, domain.TypeReceiptMoved,
	},
	Tables: columns,
	Views:  views,
	Decode: decode,
}

// New returns the projection on a database.
func New(db *database.DB) *tables.Projection { return tables.New(db, Definition) }

// change is a record with its data decoded; fact is nil for a message, whose data do not matter.
type change struct {
	*schema.Record

	conversation string
	fact         domain.Fact
}

// decode decodes the records and returns what folds them.
func decode(records []*schema.Record) (_ tables.Write, err error) {
	changes := make([]change, len(records))
	for i, record := range records {
		changes[i] = change{Record: record, conversation: string(record.Conversation())}
		if record.Type == domain.TypeMessageSent {
			continue
		}
		if changes[i].fact, err = record.Fact(); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context, tx *tables.Tx) error {
		f := fold{tx: tx, cursors: rows.In(tx, cursors), moves: rows.In(tx, moves), old: make(map[moveKey]bool)}
		return f.run(ctx, changes)
	}, nil
}

// fold is what a run of events makes of the rows they touch.
type fold struct {
	tx      *tables.Tx
	cursors *rows.Rows[cursorKey, cursorRow]
	moves   *rows.Rows[moveKey, moveRow]
	// old are moves that go, with all below them.
	old map[moveKey]bool
}

func (f *fold) run(ctx context.Context, changes []change) error {
	var needed []cursorKey
	for _, c := range changes {
		for _, user := range c.users() {
			needed = append(needed, cursorKey{c.conversation, string(user)})
		}
	}
	if err := f.cursors.Load(ctx, needed); err != nil {
		return err
	}
	for i := range changes {
		f.apply(&changes[i])
	}
	if err := f.cursors.Flush(ctx); err != nil {
		return err
	}
	if err := f.moves.Flush(ctx); err != nil {
		return err
	}
	return f.forget(ctx)
}

// users returns whose rows an event may change.
func (c *change) users() []domain.UserID {
	if users := domain.Concerned(c.fact); users != nil {
		return users
	}
	return []domain.UserID{c.Actor}
}

// apply folds one event. Events that name what is not there change nothing.
func (f *fold) apply(c *change) {
	switch fact := c.fact.(type) {
	case *domain.ConversationCreated, *domain.MemberAdded, *domain.MemberJoined:
		for _, user := range c.users() {
			f.begin(c, string(user))
		}
	case *domain.MemberLeft, *domain.MemberRemoved:
		row := f.cursors.Get(cursorKey{c.conversation, string(c.users()[0])})
		if row != nil && row.ToSeq == 0 {
			row.ToSeq = int64(c.ConversationSeq)
			f.cursors.Put(row)
		}
	case *domain.ReceiptMoved:
		f.move(c, delivered, int64(fact.DeliveredSeq))
		f.move(c, read, int64(fact.ReadSeq))
	default: // a message
		f.move(c, read, int64(c.ConversationSeq))
	}
}

// begin makes a user a member who is none. The cursors of one who comes back stand where they were.
func (f *fold) begin(c *change, user string) {
	row := f.cursors.Get(cursorKey{c.conversation, user})
	if row == nil {
		row = &cursorRow{Conversation: c.conversation, User: user}
	} else if row.ToSeq == 0 {
		return
	}
	row.FromSeq, row.ToSeq = int64(c.ConversationSeq), 0
	f.cursors.Put(row)
}

// move moves a cursor of the actor forward.
func (f *fold) move(c *change, kind string, seq int64) {
	row := f.cursors.Get(cursorKey{c.conversation, string(c.Actor)})
	if row == nil {
		return
	}
	at, stands := &row.ReadAt, &row.ReadSeq
	if kind == delivered {
		at, stands = &row.DeliveredAt, &row.DeliveredSeq
	}
	if seq <= *stands {
		return
	}
	f.age(row, kind, *stands, seq)
	*at, *stands = c.At, seq
	f.cursors.Put(row)
	f.moves.Put(&moveRow{Conversation: row.Conversation, User: row.User, Kind: kind, Seq: seq, At: c.At})
}

// age notes which moves go when a cursor moves: all up to a bound that follows from where the cursor stands alone.
func (f *fold) age(row *cursorRow, kind string, from, to int64) {
	bound := to/step*step - Kept
	if bound > 0 && from/step != to/step {
		f.old[moveKey{cursorKey{row.Conversation, row.User}, kind, bound}] = true
	}
}

// forget removes old moves.
func (f *fold) forget(ctx context.Context) error {
	for key := range f.old {
		_, err := f.tx.NewRaw("DELETE FROM ? WHERE conversation = ? AND user_id = ? AND kind = ? AND seq <= ?",
			f.tx.Table(moves.Name), key.conversation, key.user, key.kind, key.seq).Exec(ctx)
		if err != nil {
			return fmt.Errorf("forget old moves: %w", err)
		}
	}
	return nil
}

// utc returns the time of a row.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}
