package notices

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/database"
	"mpim/projections/tables"
)

// MaxLimit bounds a page.
const MaxLimit = 100

// Notice is one notice of the system.
type Notice struct {
	Event       domain.EventID
	Title, Text string
	At          time.Time
	Priority    string
}

// Reader is who reads: a user, and the roles that the user has in conversations.
type Reader struct {
	User  domain.UserID
	Roles map[domain.ConversationID]domain.Role
}

// audiences returns the keys of all that the reader belongs to.
func (r Reader) audiences() []string {
	keys := []string{everybody, string(r.User)}
	for id, role := range r.Roles {
		keys = append(keys, string(id), roleOf(id, role))
	}
	return keys
}

// Queries reads the live build. Its errors are of kind Unavailable where the database is out of reach or has no live build,
// and otherwise as List says.
type Queries struct{ db *database.DB }

// NewQueries returns queries on the database.
func NewQueries(db *database.DB) *Queries { return &Queries{db: db} }

// List returns the notices that are for the reader, the newest first: at most limit of them, 1 to MaxLimit. Next continues
// behind them as after; it is empty at the end. An error is of kind InvalidArgument where the limit or after is wrong.
func (q *Queries) List(ctx context.Context, reader Reader, after string, limit int) (found []Notice, next string, err error) {
	if limit < 1 || limit > MaxLimit {
		return nil, "", domain.Errorf(domain.InvalidArgument, "limit is 1 to %d", MaxLimit)
	}
	at, event, err := parseCursor(after)
	if err != nil {
		return nil, "", err
	}
	var rows []noticeRow
	err = tables.Read(ctx, q.db, Name, func(ctx context.Context, tx *tables.Tx) error {
		rows = nil
		keys := tx.NewSelect().Distinct().TableExpr("? AS a", tx.Table(audiences.Name)).ColumnExpr("a.at_ms, a.event").
			Where("a.audience IN (?)", bun.List(reader.audiences()))
		if after != "" {
			keys.Where("a.at_ms <= ? AND (a.at_ms < ? OR a.event < ?)", at, at, event)
		}
		keys.OrderExpr("a.at_ms DESC, a.event DESC").Limit(int64(limit) + 1)
		return tx.NewSelect().Model(&rows).ModelTableExpr("? AS r", tx.Table(notices.Name)).
			Join("JOIN (?) AS k ON k.at_ms = r.at_ms AND k.event = r.event", keys).
			OrderExpr("r.at_ms DESC, r.event DESC").Scan(ctx)
	})
	switch {
	case err != nil && projections.IsOutside(err):
		return nil, "", domain.Wrap(domain.Unavailable, err, "notices cannot be read now")
	case err != nil:
		return nil, "", fmt.Errorf("list notices: %w", err)
	}
	if len(rows) > limit {
		rows = rows[:limit]
		next = fmt.Sprintf("%d.%s", rows[limit-1].AtMS, rows[limit-1].Event)
	}
	found = make([]Notice, len(rows))
	for i, r := range rows {
		found[i] = Notice{
			Event: domain.EventID(r.Event), Title: r.Title, Text: r.Text, At: time.UnixMilli(r.AtMS).UTC(), Priority: r.Priority,
		}
	}
	return found, next, nil
}

// parseCursor reads after, which may be empty.
func parseCursor(after string) (at int64, event string, err error) {
	if after == "" {
		return 0, "", nil
	}
	ms, event, found := strings.Cut(after, ".")
	if at, err = strconv.ParseInt(ms, 10, 64); err != nil || !found {
		return 0, "", domain.Errorf(domain.InvalidArgument, "after is none that an earlier page gave")
	}
	return at, event, nil
}
