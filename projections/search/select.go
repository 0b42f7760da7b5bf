package search

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"mpim/domain"
	"mpim/projections/tables"
)

// maxScopes is how many conversations one statement looks at.
const maxScopes = 100

// candidates returns the newest messages behind after that have all terms, in order, and whether there may be more.
func (s *search) candidates(ctx context.Context, tx *tables.Tx) (found []Hit, more bool, err error) {
	want := s.limit + 1
	for chunk := range slices.Chunk(s.scopes, maxScopes) {
		var statement strings.Builder
		var args []any
		for i, scope := range chunk {
			if i > 0 {
				statement.WriteString(" UNION ALL ")
			}
			text, values := s.newest(tx, scope, want)
			statement.WriteString("SELECT * FROM (" + text + ") AS x")
			args = append(args, values...)
		}
		var rows []termRow
		if err := tx.NewRaw(statement.String(), args...).Scan(ctx, &rows); err != nil {
			return nil, false, fmt.Errorf("search: %w", err)
		}
		for _, r := range rows {
			found = append(found, Hit{
				Conversation: domain.ConversationID(r.Conversation), Seq: domain.Seq(r.Seq), At: time.UnixMilli(r.AtMS).UTC(),
			})
		}
	}
	slices.SortFunc(found, Hit.compare)
	if len(found) >= want {
		return found[:want], true, nil
	}
	return found, false, nil
}

// newest returns the query for the newest candidates of one conversation: the end of a range of the key, from which each row
// is looked up under the other terms and as a message.
func (s *search) newest(tx *tables.Tx, scope Scope, limit int) (statement string, args []any) {
	var b strings.Builder
	add := func(text string, values ...any) {
		b.WriteString(text)
		args = append(args, values...)
	}
	add("SELECT t.conversation, t.at_ms, t.seq FROM ? AS t JOIN ? AS m ON m.conversation = t.conversation AND m.seq = t.seq",
		tx.Table(terms.Name), tx.Table(messages.Name))
	for i, term := range s.query.Terms[1:] {
		add(fmt.Sprintf(" JOIN ? AS t%d ON t%[1]d.conversation = t.conversation AND t%[1]d.term = ? "+
			"AND t%[1]d.at_ms = t.at_ms AND t%[1]d.seq = t.seq", i), tx.Table(terms.Name), []byte(term))
	}
	add(" WHERE t.conversation = ? AND t.term = ? AND (m.expires_ms = 0 OR m.expires_ms > ?)",
		string(scope.Conversation), []byte(s.query.Terms[0]), s.now)
	if s.after != nil {
		last, ms := int64(s.after.Seq), s.after.At.UnixMilli()
		switch order := strings.Compare(string(scope.Conversation), string(s.after.Conversation)); {
		case order > 0: // what is as old comes before
			add(" AND t.at_ms < ?", ms)
		case order < 0:
			add(" AND t.at_ms <= ?", ms)
		default:
			add(" AND t.at_ms <= ? AND (t.at_ms < ? OR t.seq < ?)", ms, ms, last)
		}
	}
	separator := " AND ("
	for _, w := range scope.Windows {
		add(separator)
		if separator = " OR "; w.To == 0 {
			add("t.seq >= ?", int64(w.From))
		} else {
			add("(t.seq BETWEEN ? AND ? AND m.edited_seq <= ?)", int64(w.From), int64(w.To), int64(w.To))
		}
	}
	add(") ORDER BY t.at_ms DESC, t.seq DESC LIMIT ?", limit)
	return b.String(), args
}

// textsOf returns the folded texts of messages.
func textsOf(ctx context.Context, tx *tables.Tx, found []Hit) (map[messageKey]string, error) {
	texts := make(map[messageKey]string, len(found))
	if len(found) == 0 {
		return texts, nil
	}
	var rows []messageRow
	err := tx.Select(&rows, messages.Name).WhereGroup("", func(q *bun.SelectQuery) *bun.SelectQuery {
		for _, h := range found {
			q.WhereOr("r.conversation = ? AND r.seq = ?", string(h.Conversation), int64(h.Seq))
		}
		return q
	}).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the texts of candidates: %w", err)
	}
	for _, r := range rows {
		texts[messageKey{r.Conversation, r.Seq}] = string(r.Text)
	}
	return texts, nil
}
