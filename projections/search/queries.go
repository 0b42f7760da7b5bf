package search

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/database"
	"mpim/projections/tables"
	"mpim/projections/words"
)

// MaxLimit bounds a page.
const MaxLimit = 100

// maxRounds bounds how often one page looks for further candidates after some had all terms and did not match.
const maxRounds = 5

// Scope is a conversation to search, and which parts of it the caller may see.
type Scope struct {
	Conversation domain.ConversationID
	Windows      domain.Windows
}

// Hit is a message that was found.
type Hit struct {
	Conversation domain.ConversationID
	Seq          domain.Seq
	At           time.Time
}

// compare puts hits in the order of a page: the newest first.
func (h Hit) compare(o Hit) int {
	return -cmp.Or(h.At.Compare(o.At), strings.Compare(string(h.Conversation), string(o.Conversation)), cmp.Compare(h.Seq, o.Seq))
}

// cursor is the form of a hit behind which the next page begins.
func (h Hit) cursor() string {
	return fmt.Sprintf("%d.%s.%d", h.At.UnixMilli(), h.Conversation, h.Seq)
}

func parseCursor(after string) (h Hit, err error) {
	parts := strings.Split(after, ".")
	if len(parts) != 3 {
		return h, errCursor
	}
	ms, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return h, errCursor
	}
	seq, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return h, errCursor
	}
	return Hit{Conversation: domain.ConversationID(parts[1]), Seq: domain.Seq(seq), At: time.UnixMilli(ms).UTC()}, nil
}

var errCursor = domain.Errorf(domain.InvalidArgument, "after is none that an earlier page gave")

// Queries reads the live build. Its errors are of kind Unavailable where the database is out of reach or has no live build,
// and otherwise as each method says.
type Queries struct{ db *database.DB }

// NewQueries returns queries on the database.
func NewQueries(db *database.DB) *Queries { return &Queries{db: db} }

// Search returns the messages in the scopes that match what is written, as package words has it, the newest first: at
// most limit of them, 1 to MaxLimit. Next continues behind them as after; it is empty at the end. A page may be short, or empty,
// and not be the last. Messages that were edited behind the end of a window are not found in it, nor are those whose time
// is up. An error is of kind InvalidArgument where the limit or after is wrong.
func (q *Queries) Search(
	ctx context.Context, scopes []Scope, written, after string, limit int,
) (hits []Hit, next string, err error) {
	if limit < 1 || limit > MaxLimit {
		return nil, "", domain.Errorf(domain.InvalidArgument, "limit is 1 to %d", MaxLimit)
	}
	s := search{query: words.NewQuery(written), scopes: seen(scopes), now: time.Now().UnixMilli(), limit: limit}
	if after != "" {
		from, err := parseCursor(after)
		if err != nil {
			return nil, "", err
		}
		s.after = &from
	}
	hits = []Hit{}
	if len(s.query.Terms) == 0 || len(s.scopes) == 0 {
		return hits, "", nil
	}
	err = tables.Read(ctx, q.db, Name, func(ctx context.Context, tx *tables.Tx) error {
		hits, next, err = s.page(ctx, tx)
		return err
	})
	if err != nil && projections.IsOutside(err) {
		return nil, "", domain.Wrap(domain.Unavailable, err, "messages cannot be searched now")
	}
	return hits, next, err
}

// seen leaves out what has no window.
func seen(scopes []Scope) []Scope {
	return slices.DeleteFunc(slices.Clone(scopes), func(s Scope) bool { return len(s.Windows) == 0 })
}

// search is one page on its way.
type search struct {
	query  words.Query
	scopes []Scope
	after  *Hit
	now    int64
	limit  int
}

// page collects hits until there is one more than the limit, or no further candidate.
func (s *search) page(ctx context.Context, tx *tables.Tx) (hits []Hit, next string, err error) {
	hits = []Hit{}
	for range maxRounds {
		found, more, err := s.candidates(ctx, tx)
		if err != nil {
			return nil, "", err
		}
		matching, err := s.matching(ctx, tx, found)
		if err != nil {
			return nil, "", err
		}
		if hits = append(hits, matching...); len(hits) > s.limit {
			return hits[:s.limit], hits[s.limit-1].cursor(), nil
		}
		if !more {
			return hits, "", nil
		}
		s.after = &found[len(found)-1]
	}
	return hits, s.after.cursor(), nil
}

// matching returns those candidates that match.
func (s *search) matching(ctx context.Context, tx *tables.Tx, found []Hit) ([]Hit, error) {
	if s.query.Exact {
		return found, nil
	}
	texts, err := textsOf(ctx, tx, found)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(found), func(h Hit) bool {
		return !s.query.Matches(texts[messageKey{string(h.Conversation), int64(h.Seq)}])
	}), nil
}
