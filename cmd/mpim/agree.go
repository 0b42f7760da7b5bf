package main

import (
	"context"
	"log/slog"
	"sync"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/contacts"
	"mpim/projections/database"
	"mpim/projections/history"
	"mpim/projections/notices"
	"mpim/projections/receipts"
	"mpim/projections/search"
	"mpim/schema/migrations"
)

// agreement remembers whether Redis and SQL hold the same log. A process may start while SQL is down; then it is asked
// before SQL is used for the first time.
type agreement struct {
	mu    sync.Mutex
	known bool
	err   error
}

// forget has the two compared anew.
func (a *agreement) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known, a.err = false, nil
}

// agree returns nil where the SQL database has the schema that this binary needs and belongs to the log. An error is
// marked by projections.Outside, so that nothing is parked for it.
func (s *stores) agree(ctx context.Context) error {
	s.agreement.mu.Lock()
	defer s.agreement.mu.Unlock()
	if s.agreement.known {
		return s.agreement.err
	}
	err := s.compare(ctx)
	if err == nil || !projections.IsOutside(err) {
		s.agreement.known = true
		s.agreement.err = projections.Outside(err)
		if err != nil {
			s.logger.Error("the SQL database is not used", slog.Any("error", err))
		}
	}
	return projections.Outside(err)
}

func (s *stores) compare(ctx context.Context) error {
	if err := s.db.Ping(ctx); err != nil {
		return projections.Outside(err)
	}
	list, err := database.NewMigrations(s.db, migrations.Files)
	if err != nil {
		return err
	}
	if err := list.Check(ctx); err != nil {
		return err
	}
	return s.compareIdentity(ctx)
}

// identical is a check: it fails where SQL is known not to belong to the log. That it does not answer is no failure.
func (s *stores) identical(ctx context.Context) error {
	err := s.agree(ctx)
	s.agreement.mu.Lock()
	defer s.agreement.mu.Unlock()
	if !s.agreement.known {
		return nil
	}
	return err
}

// agreedQueries are queries that read from no database of another log.
type agreedQueries struct {
	*history.Queries
	stores *stores
}

func (q agreedQueries) agree(ctx context.Context) error {
	if err := q.stores.agree(ctx); err != nil {
		return domain.Wrap(domain.Unavailable, err, "history cannot be read now: try again")
	}
	return nil
}

// agreedContacts is the same for contacts.
type agreedContacts struct {
	*contacts.Queries
	stores *stores
}

func (q agreedContacts) agree(ctx context.Context) error {
	if err := q.stores.agree(ctx); err != nil {
		return domain.Wrap(domain.Unavailable, err, "contacts cannot be read now: try again")
	}
	return nil
}

// Book returns what a user has to do with others.
func (q agreedContacts) Book(ctx context.Context, user domain.UserID) (contacts.Book, error) {
	if err := q.agree(ctx); err != nil {
		return contacts.Book{}, err
	}
	return q.Queries.Book(ctx, user)
}

// Blocks returns whom a user blocked.
func (q agreedContacts) Blocks(ctx context.Context, user domain.UserID) ([]contacts.Block, error) {
	if err := q.agree(ctx); err != nil {
		return nil, err
	}
	return q.Queries.Blocks(ctx, user)
}

// Search returns the users whose name begins with a text.
func (q agreedContacts) Search(ctx context.Context, prefix string, limit int) ([]contacts.User, error) {
	if err := q.agree(ctx); err != nil {
		return nil, err
	}
	return q.Queries.Search(ctx, prefix, limit)
}

// agreedReceipts is the same for receipts.
type agreedReceipts struct {
	*receipts.Queries
	stores *stores
}

// Message returns who got and read a message.
func (q agreedReceipts) Message(
	ctx context.Context, id domain.ConversationID, seq domain.Seq, sender domain.UserID,
) (receipts.Receipts, error) {
	if err := q.stores.agree(ctx); err != nil {
		return receipts.Receipts{}, domain.Wrap(domain.Unavailable, err, "receipts cannot be read now: try again")
	}
	return q.Queries.Message(ctx, id, seq, sender)
}

// Page returns messages of a range.
func (q agreedQueries) Page(ctx context.Context, id domain.ConversationID, view history.View, r history.Range) ([]history.Message, error) {
	if err := q.agree(ctx); err != nil {
		return nil, err
	}
	return q.Queries.Page(ctx, id, view, r)
}

// Message returns one message and how it was edited.
func (q agreedQueries) Message(
	ctx context.Context, id domain.ConversationID, seq domain.Seq, view history.View,
) (history.Message, []history.Edit, error) {
	if err := q.agree(ctx); err != nil {
		return history.Message{}, nil, err
	}
	return q.Queries.Message(ctx, id, seq, view)
}

// Messages returns messages that were found.
func (q agreedQueries) Messages(ctx context.Context, user domain.UserID, found []history.Found) ([]history.Message, error) {
	if err := q.agree(ctx); err != nil {
		return nil, err
	}
	return q.Queries.Messages(ctx, user, found)
}

// agreedSearch is the same for search.
type agreedSearch struct {
	*search.Queries
	stores *stores
}

// Search returns the messages that match.
func (q agreedSearch) Search(
	ctx context.Context, scopes []search.Scope, written, after string, limit int,
) ([]search.Hit, string, error) {
	if err := q.stores.agree(ctx); err != nil {
		return nil, "", domain.Wrap(domain.Unavailable, err, "messages cannot be searched now: try again")
	}
	return q.Queries.Search(ctx, scopes, written, after, limit)
}

// Facts returns what changes of a message are decided on.
func (q agreedQueries) Facts(ctx context.Context, id domain.ConversationID, seq domain.Seq) (history.Facts, error) {
	if err := q.agree(ctx); err != nil {
		return history.Facts{}, err
	}
	return q.Queries.Facts(ctx, id, seq)
}

// Ordinal returns how many messages a conversation has up to seq.
func (q agreedQueries) Ordinal(ctx context.Context, id domain.ConversationID, seq domain.Seq) (int64, error) {
	if err := q.agree(ctx); err != nil {
		return 0, err
	}
	return q.Queries.Ordinal(ctx, id, seq)
}

// List returns users in the order of their ids.
func (q agreedContacts) List(ctx context.Context, after domain.UserID, limit int) ([]contacts.User, error) {
	if err := q.agree(ctx); err != nil {
		return nil, err
	}
	return q.Queries.List(ctx, after, limit)
}

// agreedNotices is the same for notices.
type agreedNotices struct {
	*notices.Queries
	stores *stores
}

// List returns the notices that are for a reader.
func (q agreedNotices) List(ctx context.Context, reader notices.Reader, after string, limit int) ([]notices.Notice, string, error) {
	if err := q.stores.agree(ctx); err != nil {
		return nil, "", domain.Wrap(domain.Unavailable, err, "notices cannot be read now: try again")
	}
	return q.Queries.List(ctx, reader, after, limit)
}
