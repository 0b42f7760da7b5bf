package history

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/uptrace/bun"

	"mpim/projections/database"
	"mpim/projections/tables"
)

// Bounds of one statement: rows, keys looked up, and bytes, which must stay well below the smallest max_allowed_packet in use.
const (
	maxRows  = 1000
	maxKeys  = 200
	maxBytes = 2 << 20
)

// usualBytes is about what a row takes in a statement.
const usualBytes = 400

// store reads and writes the rows of a build in one transaction.
type store struct{ tx *tables.Tx }

// table is what an upsert needs to know.
type table struct {
	name          string
	keys, columns []string
}

// The columns of each table, but for the key's.
var (
	conversationColumns = table{conversationsTable, []string{"conversation"}, []string{
		"kind", "title", "avatar_url", "announcement", "join_rule", "history_rule", "muted", "created_by", "created_at",
		"updated_at", "dissolved_at",
	}}
	memberColumns = table{membersTable, []string{"conversation", "user_id", "from_seq"}, []string{
		"from_at", "began", "role", "muted_until", "to_seq", "to_at", "ended",
	}}
	messageColumns = table{messagesTable, []string{"conversation", "seq"}, []string{
		"ordinal", "event", "sender", "at", "kind", "client_id", "reply_to", "mentions", "expires_at", "body", "edited_seq",
		"edited_at", "recalled_by", "recalled_at", "expired_at",
	}}
	revisionColumns = table{revisionsTable, []string{"conversation", "message", "seq"}, []string{"event", "at", "body"}}
	reactionColumns = table{reactionsTable, []string{"conversation", "message", "user_id", "emoji", "from_seq"}, []string{
		"from_at", "to_seq", "to_at",
	}}
)

// row is what all rows can do.
type row[R any] interface {
	*R
	marks() mark
	// compare puts rows in the order of their keys.
	compare(other *R) int
	// write writes the key's columns and then the others, in the order of the table's.
	write(v *database.Values)
}

// writeRows writes the rows that changed, sorted by key, in as few statements as fit. Those that are stored are
// overwritten; a new one that is there already is an error.
func writeRows[R any, P row[R]](ctx context.Context, s *store, t table, rows iter.Seq[P]) error {
	var added, stored []P
	for r := range rows {
		switch m := r.marks(); {
		case !m.changed:
		case m.stored:
			stored = append(stored, r)
		default:
			added = append(added, r)
		}
	}
	if err := insert(ctx, s, t, added, false); err != nil {
		return err
	}
	return insert(ctx, s, t, stored, true)
}

func insert[R any, P row[R]](ctx context.Context, s *store, t table, rows []P, overwrite bool) error {
	slices.SortFunc(rows, func(a, b P) int { return a.compare(b) })
	statement := "INSERT INTO ? (" + strings.Join(t.keys, ", ") + ", " + strings.Join(t.columns, ", ") + ") VALUES ?"
	if overwrite {
		statement += " ON " + s.tx.DB.UpsertClause(t.keys, t.columns)
	}
	for len(rows) > 0 {
		values := s.tx.DB.NewValues(usualBytes * min(len(rows), maxRows))
		n := 0
		for n < len(rows) && n < maxRows && values.Size() < maxBytes {
			values.Row()
			rows[n].write(values)
			n++
		}
		rows = rows[n:]
		if _, err := s.tx.NewRaw(statement, s.tx.Table(t.name), values).Exec(ctx); err != nil {
			return fmt.Errorf("write %s: %w", t.name, err)
		}
	}
	return nil
}

// read scans the rows that match any of the conditions into rows.
func read[R any, K any](
	ctx context.Context, s *store, name string, keys []K, and string, condition func(K) (string, []any),
) (rows []*R, err error) {
	for chunk := range slices.Chunk(keys, maxKeys) {
		var found []*R
		err := s.tx.NewSelect().Model(&found).ModelTableExpr("? AS r", s.tx.Table(name)).
			WhereGroup(" AND ", func(q *bun.SelectQuery) *bun.SelectQuery {
				for _, key := range chunk {
					where, args := condition(key)
					q.WhereOr(where, args...)
				}
				return q
			}).Where(and).Scan(ctx)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		rows = append(rows, found...)
	}
	return rows, nil
}

const everything, open = "1 = 1", "r.to_seq IS NULL"

// load reads the rows that the changes need and do not make themselves.
func (f *fold) load(ctx context.Context, changes []change) error {
	n := needsOf(changes)
	conversations, err := read[conversationRow](ctx, f.store, conversationsTable, n.conversations.sorted(strings.Compare), everything,
		func(id string) (string, []any) { return "r.conversation = ?", []any{id} })
	if err != nil {
		return err
	}
	for _, row := range conversations {
		row.mark.stored = true
		f.conversations[row.Conversation] = row
	}
	members, err := read[memberRow](ctx, f.store, membersTable, n.members.sorted(compareMembers), open,
		func(k memberKey) (string, []any) {
			return "r.conversation = ? AND r.user_id = ?", []any{k.conversation, k.user}
		})
	if err != nil {
		return err
	}
	for _, row := range members {
		row.mark.stored = true
		f.members[memberKey{row.Conversation, row.User}] = row
		f.intervals = append(f.intervals, row)
	}
	messages, err := read[messageRow](ctx, f.store, messagesTable, n.messages.sorted(compareNumbered), everything,
		func(k numberedKey) (string, []any) {
			return "r.conversation = ? AND r.seq = ?", []any{k.conversation, k.seq}
		})
	if err != nil {
		return err
	}
	for _, row := range messages {
		row.mark.stored = true
		f.messages[numberedKey{row.Conversation, row.Seq}] = row
	}
	reactions, err := read[reactionRow](ctx, f.store, reactionsTable, n.reactions.sorted(compareReactions), open,
		func(k reactionKey) (string, []any) {
			return "r.conversation = ? AND r.message = ? AND r.user_id = ? AND r.emoji = ?",
				[]any{k.conversation, k.seq, k.user, []byte(k.emoji)}
		})
	if err != nil {
		return err
	}
	for _, row := range reactions {
		row.mark.stored = true
		f.reactions[reactionKey{numberedKey{row.Conversation, row.Message}, row.User, string(row.Emoji)}] = row
		f.reacted = append(f.reacted, row)
	}
	return nil
}

// write stores what changed.
func (f *fold) write(ctx context.Context) error {
	s := f.store
	// First, because the intervals in memory are newer than what this closes.
	for _, c := range f.dissolved {
		_, err := s.tx.NewUpdate().ModelTableExpr("?", s.tx.Table(membersTable)).Model((*memberRow)(nil)).
			Set("to_seq = ?", c.seq).Set("to_at = ?", c.At.UTC()).Set("ended = ?", string(c.Type)).
			Where("conversation = ? AND to_seq IS NULL", c.conversation).Exec(ctx)
		if err != nil {
			return fmt.Errorf("close the windows of %s: %w", c.conversation, err)
		}
	}
	if err := f.writeErased(ctx); err != nil {
		return err
	}
	for _, write := range []func() error{
		func() error { return writeRows(ctx, s, conversationColumns, maps.Values(f.conversations)) },
		func() error { return writeRows(ctx, s, memberColumns, slices.Values(f.intervals)) },
		func() error { return writeRows(ctx, s, messageColumns, maps.Values(f.messages)) },
		func() error { return writeRows(ctx, s, revisionColumns, slices.Values(f.revisions)) },
		func() error { return writeRows(ctx, s, reactionColumns, slices.Values(f.reacted)) },
	} {
		if err := write(); err != nil {
			return err
		}
	}
	return f.writeEmptied(ctx)
}

// writeEmptied takes the bodies of stored revisions away.
func (f *fold) writeEmptied(ctx context.Context) error {
	s := f.store
	slices.SortFunc(f.emptied, compareNumbered)
	for chunk := range slices.Chunk(f.emptied, maxKeys) {
		_, err := s.tx.NewUpdate().ModelTableExpr("?", s.tx.Table(revisionsTable)).Model((*revisionRow)(nil)).
			Set("body = NULL").WhereGroup(" AND ", func(q *bun.UpdateQuery) *bun.UpdateQuery {
			for _, key := range chunk {
				q.WhereOr("conversation = ? AND message = ?", key.conversation, key.seq)
			}
			return q
		}).Exec(ctx)
		if err != nil {
			return fmt.Errorf("empty revisions: %w", err)
		}
	}
	return nil
}
