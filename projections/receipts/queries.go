package receipts

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/database"
	"mpim/projections/tables"
)

// MaxMembers is how many members a list has at most.
const MaxMembers = 200

// Receipt says when a member got or read a message.
type Receipt struct {
	User domain.UserID
	At   time.Time
}

// Receipts are what is known about one message. The counts are exact; the lists have MaxMembers at most, in the order
// of the times.
type Receipts struct {
	ReadCount, DeliveredCount, UnreadCount int
	// Read are those who read the message, Delivered those who got it, the first included.
	Read, Delivered []Receipt
}

// Queries reads the live build. Its errors are of kind Unavailable where the database is out of reach or has no live build.
type Queries struct{ db *database.DB }

// NewQueries returns queries on the database.
func NewQueries(db *database.DB) *Queries { return &Queries{db: db} }

// Message returns who of its audience has got and read a message: the present members who were members when it was sent,
// but not the sender. A message that is not there has the receipts of what stands at its sequence.
func (q *Queries) Message(
	ctx context.Context, id domain.ConversationID, seq domain.Seq, sender domain.UserID,
) (found Receipts, err error) {
	err = tables.Read(ctx, q.db, Name, func(ctx context.Context, tx *tables.Tx) error {
		found, err = message(ctx, tx, string(id), int64(seq), string(sender))
		return err
	})
	if err != nil && projections.IsOutside(err) {
		return Receipts{}, domain.Wrap(domain.Unavailable, err, "receipts cannot be read now")
	}
	return found, err
}

// audience restricts a query of cursors, called r, to those whom a message concerns.
type audience struct {
	id, sender string
	seq        int64
}

func (a audience) of(tx *tables.Tx) *bun.SelectQuery {
	return tx.NewSelect().TableExpr("? AS r", tx.Table(cursors.Name)).
		Where("r.conversation = ? AND r.to_seq IS NULL AND r.from_seq <= ? AND r.user_id <> ?", a.id, a.seq, a.sender)
}

func message(ctx context.Context, tx *tables.Tx, id string, seq int64, sender string) (found Receipts, err error) {
	a := audience{id, sender, seq}
	var counts []struct{ Members, HaveRead, Got int }
	err = a.of(tx).ColumnExpr("COUNT(*) AS members").
		ColumnExpr("COALESCE(SUM(CASE WHEN r.read_seq >= ? THEN 1 ELSE 0 END), 0) AS have_read", seq).
		ColumnExpr("COALESCE(SUM(CASE WHEN r.read_seq >= ? OR r.delivered_seq >= ? THEN 1 ELSE 0 END), 0) AS got", seq, seq).
		Scan(ctx, &counts)
	if err != nil {
		return found, fmt.Errorf("count receipts: %w", err)
	}
	found.ReadCount, found.DeliveredCount = counts[0].HaveRead, counts[0].Got
	found.UnreadCount = counts[0].Members - counts[0].HaveRead
	if found.Read, err = a.list(ctx, tx, "r.read_seq >= ?0", read); err != nil {
		return found, err
	}
	found.Delivered, err = a.list(ctx, tx, "(r.read_seq >= ?0 OR r.delivered_seq >= ?0)", read, delivered)
	return found, err
}

// list returns the members whom the condition finds, with the time of the first move of any of the kinds that reached the
// message.
func (a audience) list(ctx context.Context, tx *tables.Tx, where string, kinds ...string) ([]Receipt, error) {
	var rows []struct {
		User string    `bun:"user_id"`
		At   time.Time `bun:"at,nullzero"`
	}
	err := a.of(tx).ColumnExpr("r.user_id").
		ColumnExpr("(SELECT MIN(m.at) FROM ? AS m WHERE m.conversation = r.conversation AND m.user_id = r.user_id "+
			"AND m.kind IN (?) AND m.seq = (SELECT MIN(n.seq) FROM ? AS n WHERE n.conversation = m.conversation "+
			"AND n.user_id = m.user_id AND n.kind = m.kind AND n.seq >= ?)) AS at",
			tx.Table(moves.Name), bun.List(kinds), tx.Table(moves.Name), a.seq).
		Where(where, a.seq).OrderExpr("r.user_id").Limit(MaxMembers).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("list receipts: %w", err)
	}
	all := make([]Receipt, len(rows))
	for i, r := range rows {
		all[i] = Receipt{User: domain.UserID(r.User), At: utc(r.At)}
	}
	slices.SortFunc(all, func(a, b Receipt) int {
		return cmp.Or(a.At.Compare(b.At), strings.Compare(string(a.User), string(b.User)))
	})
	return all, nil
}
