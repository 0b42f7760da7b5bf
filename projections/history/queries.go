package history

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/database"
	"mpim/projections/tables"
)

// Queries reads the live build. Its errors are of kind Unavailable where the database is out of reach or has no live build,
// and otherwise as each method says.
type Queries struct{ db *database.DB }

// NewQueries returns queries on the database.
func NewQueries(db *database.DB) *Queries { return &Queries{db: db} }

// Page returns the messages of a range that the viewer may see, in ascending order, as the viewer reads them. An error is
// of kind InvalidArgument where both ends are given or the limit is out of bounds.
func (q *Queries) Page(ctx context.Context, id domain.ConversationID, view View, r Range) ([]Message, error) {
	switch {
	case r.Before != 0 && r.After != 0:
		return nil, domain.Errorf(domain.InvalidArgument, "give before or after, not both")
	case r.Before < 0 || r.After < 0:
		return nil, domain.Errorf(domain.InvalidArgument, "before and after are sequences, from 1")
	case r.Limit < 1 || r.Limit > MaxLimit:
		return nil, domain.Errorf(domain.InvalidArgument, "limit is 1 to %d", MaxLimit)
	}
	spans := spansOf(view.Windows, r)
	if len(spans) == 0 {
		return []Message{}, nil
	}
	var messages []Message
	err := q.live(ctx, func(s *store) error {
		rows, err := s.page(ctx, id, spans, r)
		if err != nil {
			return err
		}
		messages, err = s.seen(ctx, id, rows, view)
		return err
	})
	return messages, err
}

// Message returns one message and its later bodies up to the last that the viewer may see, oldest first. An error is of
// kind NotFound where there is no such message in the viewer's windows.
func (q *Queries) Message(
	ctx context.Context, id domain.ConversationID, seq domain.Seq, view View,
) (message Message, edits []Edit, err error) {
	if !view.Windows.Contains(seq) {
		return Message{}, nil, noMessage(seq)
	}
	err = q.live(ctx, func(s *store) error {
		row, err := s.message(ctx, id, seq)
		if err != nil {
			return err
		}
		messages, err := s.seen(ctx, id, []*messageRow{row}, view)
		if err != nil {
			return err
		}
		message, edits = messages[0], []Edit{}
		if row.EditedSeq == 0 || message.Body == nil {
			return nil
		}
		revisions, err := s.revisions(ctx, id, []*messageRow{row})
		if err != nil {
			return err
		}
		for _, r := range revisions {
			if r.Seq != r.Message && visible(view.Windows, seq, domain.Seq(r.Seq)) {
				edits = append(edits, Edit{Body: r.Body, At: r.At.UTC()})
			}
		}
		return nil
	})
	return message, edits, err
}

// Found names a message, and the windows through which its conversation is seen.
type Found struct {
	Conversation domain.ConversationID
	Seq          domain.Seq
	Windows      domain.Windows
}

// Messages returns those of the messages that the user may see, as the user reads them, in their order; at most MaxLimit are
// asked for. All of them are as of one moment.
func (q *Queries) Messages(ctx context.Context, user domain.UserID, found []Found) ([]Message, error) {
	if len(found) > MaxLimit {
		return nil, domain.Errorf(domain.InvalidArgument, "at most %d messages are read at once", MaxLimit)
	}
	byConversation := make(map[domain.ConversationID][]Found)
	for _, f := range found {
		if f.Windows.Contains(f.Seq) {
			byConversation[f.Conversation] = append(byConversation[f.Conversation], f)
		}
	}
	read := make(map[numberedKey]Message)
	err := q.live(ctx, func(s *store) error {
		for id, some := range byConversation {
			rows, err := s.some(ctx, id, some)
			if err != nil {
				return err
			}
			messages, err := s.seen(ctx, id, rows, View{User: user, Windows: some[0].Windows})
			if err != nil {
				return err
			}
			for _, m := range messages {
				read[numberedKey{string(id), int64(m.Seq)}] = m
			}
		}
		return nil
	})
	messages := make([]Message, 0, len(found))
	for _, f := range found {
		if m, ok := read[numberedKey{string(f.Conversation), int64(f.Seq)}]; ok {
			messages = append(messages, m)
		}
	}
	return messages, err
}

// Facts returns what edit, recall, react and reply are decided on. An error is of kind NotFound where the sequence is no
// message, or one that this projection has not seen yet.
func (q *Queries) Facts(ctx context.Context, id domain.ConversationID, seq domain.Seq) (facts Facts, err error) {
	err = q.live(ctx, func(s *store) error {
		row, err := s.message(ctx, id, seq)
		if err != nil {
			return err
		}
		facts = Facts{
			Sender: domain.UserID(row.Sender), At: row.At.UTC(), Kind: row.Kind,
			Recalled: !row.RecalledAt.IsZero(), Expired: !row.ExpiredAt.IsZero(), ExpiresAt: utc(row.ExpiresAt),
		}
		return nil
	})
	return facts, err
}

// live calls fn with the live build. The build is looked up in the transaction that reads its rows.
func (q *Queries) live(ctx context.Context, fn func(*store) error) error {
	err := tables.Read(ctx, q.db, Name, func(_ context.Context, tx *tables.Tx) error { return fn(&store{tx}) })
	if err != nil && projections.IsOutside(err) {
		return domain.Wrap(domain.Unavailable, err, "history cannot be read now")
	}
	return err
}

func noMessage(seq domain.Seq) error {
	return domain.Errorf(domain.NotFound, "there is no message %d in this conversation", seq)
}

// spansOf returns the parts of the windows that a range covers.
func spansOf(windows domain.Windows, r Range) []domain.Window {
	if r.After == math.MaxInt64 {
		return nil // nothing is above it, and it has no successor
	}
	var spans []domain.Window
	for _, w := range windows {
		w.From = max(w.From, r.After+1)
		if r.Before > 0 && (w.To == 0 || w.To >= r.Before) {
			if w.To = r.Before - 1; w.To == 0 {
				continue // before the first
			}
		}
		if w.To == 0 || w.From <= w.To {
			spans = append(spans, w)
		}
	}
	return spans
}

// visible says whether a change at the sequence at is part of how the message reads in these windows: it is, unless it
// came after the end of the window that the message lies in.
func visible(windows domain.Windows, message, at domain.Seq) bool {
	end := endOf(windows, message)
	return end == 0 || at <= end
}

// endOf returns the end of the window that holds the sequence; 0 where that is open.
func endOf(windows domain.Windows, seq domain.Seq) domain.Seq {
	for _, w := range windows {
		if w.Contains(seq) {
			return w.To
		}
	}
	return 0
}

// seen returns the rows as the viewer reads them.
func (s *store) seen(ctx context.Context, id domain.ConversationID, rows []*messageRow, view View) ([]Message, error) {
	older, err := s.older(ctx, id, rows, view)
	if err != nil {
		return nil, err
	}
	reactions, err := s.reactions(ctx, id, rows, view)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	messages := make([]Message, len(rows))
	for i, row := range rows {
		m := Message{
			Conversation: id, Seq: domain.Seq(row.Seq), Event: domain.EventID(row.Event), Sender: domain.UserID(row.Sender),
			At: row.At.UTC(), Kind: row.Kind, Body: row.Body, ClientID: string(row.ClientID), ReplyTo: domain.Seq(row.ReplyTo),
			ExpiresAt: utc(row.ExpiresAt), EditedAt: utc(row.EditedAt), RecalledAt: utc(row.RecalledAt),
			Reactions: reactions[row.Seq],
		}
		if was, ok := older[row.Seq]; ok {
			m.Body, m.Kind, m.EditedAt = was.body, cmp.Or(was.kind, row.Kind), was.editedAt
		}
		// The timer that ends a message may be late; its reader is not.
		if row.gone() || !row.ExpiresAt.IsZero() && !row.ExpiresAt.After(now) {
			m.Body, m.Reactions = nil, nil
		}
		if len(row.Mentions) > 0 {
			if err := json.Unmarshal(row.Mentions, &m.Mentions); err != nil {
				return nil, fmt.Errorf("mentions of message %d of %s: %w", row.Seq, id, err)
			}
		}
		messages[i] = m
	}
	return messages, nil
}

// state is how a message read at some moment.
type state struct {
	body     json.RawMessage
	kind     string
	editedAt time.Time
}

// older returns, for the messages that were edited after the end of their window, how they read before; of those that are
// gone since, only when that was last edited.
func (s *store) older(
	ctx context.Context, id domain.ConversationID, rows []*messageRow, view View,
) (map[int64]state, error) {
	var late []*messageRow
	for _, row := range rows {
		if row.EditedSeq > 0 && !visible(view.Windows, domain.Seq(row.Seq), domain.Seq(row.EditedSeq)) {
			late = append(late, row)
		}
	}
	if len(late) == 0 {
		return nil, nil
	}
	revisions, err := s.revisions(ctx, id, late)
	if err != nil {
		return nil, err
	}
	older := make(map[int64]state, len(late))
	for _, r := range revisions { // in order, so the last one that fits stays
		if !visible(view.Windows, domain.Seq(r.Message), domain.Seq(r.Seq)) {
			continue
		}
		was := state{body: r.Body}
		if len(r.Body) > 0 { // the body of a message that is gone went from its revisions too
			if was.kind, err = kindOf(r.Body); err != nil {
				return nil, fmt.Errorf("revision %d of message %d of %s: %w", r.Seq, r.Message, id, err)
			}
		}
		if r.Seq != r.Message {
			was.editedAt = r.At.UTC()
		}
		older[r.Message] = was
	}
	return older, nil
}

// reactions returns the reactions on messages, as of the ends of their windows: in the order in which each emoji came
// first. The rows are in ascending order, so those of one window stand together.
func (s *store) reactions(
	ctx context.Context, id domain.ConversationID, rows []*messageRow, view View,
) (map[int64][]Reaction, error) {
	all := make(map[int64][]Reaction)
	for len(rows) > 0 {
		end, n := endOf(view.Windows, domain.Seq(rows[0].Seq)), 1
		for n < len(rows) && endOf(view.Windows, domain.Seq(rows[n].Seq)) == end {
			n++
		}
		counts, err := s.countReactions(ctx, id, rows[0].Seq, rows[n-1].Seq, end, view.User)
		if err != nil {
			return nil, err
		}
		for _, c := range counts {
			all[c.Message] = append(all[c.Message], Reaction{Emoji: string(c.Emoji), Count: c.Count, Mine: c.Mine})
		}
		rows = rows[n:]
	}
	return all, nil
}

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}
