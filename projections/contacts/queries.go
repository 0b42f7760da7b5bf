package contacts

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

// MaxLimit bounds how many users are asked for at once.
const MaxLimit = 100

// User is what the directory says about a user.
type User struct {
	ID                               domain.UserID
	Username, DisplayName, AvatarURL string
	CreatedAt                        time.Time
	// Suspended users cannot log in; they are not found by Search.
	Suspended bool
	// Erased users have no names any more.
	Erased bool
}

// Contact is a user's contact, with what the user noted about it.
type Contact struct {
	User   domain.UserID
	Since  time.Time
	Remark string
}

// Request is a request for contact that was not answered yet. User is the other side.
type Request struct {
	User    domain.UserID
	Message string
	At      time.Time
}

// Block is another user who may not write to this one.
type Block struct {
	User  domain.UserID
	Since time.Time
}

// Book is all that a user has to do with others, each list in the order in which it came about.
type Book struct {
	Contacts []Contact
	// Incoming requests wait for the user, Outgoing ones for others.
	Incoming, Outgoing []Request
	Blocks             []Block
}

// Queries reads the live build. Its errors are of kind Unavailable where the database is out of reach or has no live build,
// and otherwise as each method says.
type Queries struct{ db *database.DB }

// NewQueries returns queries on the database.
func NewQueries(db *database.DB) *Queries { return &Queries{db: db} }

// Search returns the users whose user name or display name begins with the text, whatever its case, in the order of the
// names; at most limit of them, 1 to MaxLimit, else an error is of kind InvalidArgument. Users who are suspended or
// erased are not found, and nobody is by an empty text.
func (q *Queries) Search(ctx context.Context, prefix string, limit int) (found []User, err error) {
	if limit < 1 || limit > MaxLimit {
		return nil, domain.Errorf(domain.InvalidArgument, "limit is 1 to %d", MaxLimit)
	}
	name := nameOf(strings.TrimSpace(prefix))
	if name == "" {
		return []User{}, nil
	}
	err = q.live(ctx, func(tx *tables.Tx) error {
		var rows []nameRow
		// A user has two names at most. No byte of a name is as high as 0xff.
		err := tx.Select(&rows, names.Name).Where("r.name >= ? AND r.name < ?", []byte(name), []byte(name+"\xff")).
			OrderExpr("r.name, r.user_id").Limit(2 * int64(limit)).Scan(ctx)
		if err != nil {
			return fmt.Errorf("search names: %w", err)
		}
		var ids []string
		for _, row := range rows {
			if !slices.Contains(ids, row.User) && len(ids) < limit {
				ids = append(ids, row.User)
			}
		}
		found, err = usersOf(ctx, tx, ids)
		return err
	})
	return found, err
}

// Users returns the users with these ids, at most MaxLimit, in their order. Ids that nobody has are left out.
func (q *Queries) Users(ctx context.Context, ids []domain.UserID) (found []User, err error) {
	if len(ids) > MaxLimit {
		return nil, domain.Errorf(domain.InvalidArgument, "more than %d users", MaxLimit)
	}
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = string(id)
	}
	err = q.live(ctx, func(tx *tables.Tx) error {
		found, err = usersOf(ctx, tx, texts)
		return err
	})
	return found, err
}

// List returns users in the order of their ids, from the first behind after: at most limit of them, 1 to MaxLimit, else an
// error is of kind InvalidArgument. Those who are suspended or erased are among them.
func (q *Queries) List(ctx context.Context, after domain.UserID, limit int) (found []User, err error) {
	if limit < 1 || limit > MaxLimit {
		return nil, domain.Errorf(domain.InvalidArgument, "limit is 1 to %d", MaxLimit)
	}
	err = q.live(ctx, func(tx *tables.Tx) error {
		var rows []userRow
		err := tx.Select(&rows, users.Name).Where("r.user_id > ?", string(after)).OrderExpr("r.user_id").Limit(int64(limit)).Scan(ctx)
		if err != nil {
			return fmt.Errorf("list users: %w", err)
		}
		found = make([]User, len(rows))
		for i, r := range rows {
			found[i] = userOf(r)
		}
		return nil
	})
	return found, err
}

// Book returns all lists of a user as of one moment. Users who were erased are left out.
func (q *Queries) Book(ctx context.Context, user domain.UserID) (book Book, err error) {
	return q.book(ctx, user, contact, incoming, outgoing, blocked)
}

// Contacts returns a user's contacts.
func (q *Queries) Contacts(ctx context.Context, user domain.UserID) ([]Contact, error) {
	book, err := q.book(ctx, user, contact)
	return book.Contacts, err
}

// Incoming returns the requests that wait for the user.
func (q *Queries) Incoming(ctx context.Context, user domain.UserID) ([]Request, error) {
	book, err := q.book(ctx, user, incoming)
	return book.Incoming, err
}

// Outgoing returns the user's requests that wait for others.
func (q *Queries) Outgoing(ctx context.Context, user domain.UserID) ([]Request, error) {
	book, err := q.book(ctx, user, outgoing)
	return book.Outgoing, err
}

// Blocks returns whom the user blocked.
func (q *Queries) Blocks(ctx context.Context, user domain.UserID) ([]Block, error) {
	book, err := q.book(ctx, user, blocked)
	return book.Blocks, err
}

func (q *Queries) book(ctx context.Context, user domain.UserID, kinds ...string) (book Book, err error) {
	err = q.live(ctx, func(tx *tables.Tx) error {
		var rows []relationRow
		err := tx.Select(&rows, relations.Name).Where("r.user_id = ? AND r.kind IN (?)", string(user), bun.List(kinds)).
			Where("NOT EXISTS (SELECT 1 FROM ? AS u WHERE u.user_id = r.peer AND u.erased_at IS NOT NULL)",
				tx.Table(users.Name)).Scan(ctx)
		if err != nil {
			return fmt.Errorf("read relations: %w", err)
		}
		slices.SortFunc(rows, func(a, b relationRow) int { return cmp.Or(a.At.Compare(b.At), strings.Compare(a.Peer, b.Peer)) })
		book = bookOf(rows)
		return nil
	})
	return book, err
}

func bookOf(rows []relationRow) Book {
	book := Book{Contacts: []Contact{}, Incoming: []Request{}, Outgoing: []Request{}, Blocks: []Block{}}
	for _, r := range rows {
		peer, at := domain.UserID(r.Peer), r.At.UTC()
		switch r.Kind {
		case contact:
			book.Contacts = append(book.Contacts, Contact{User: peer, Since: at, Remark: r.Note})
		case incoming:
			book.Incoming = append(book.Incoming, Request{User: peer, Message: r.Note, At: at})
		case outgoing:
			book.Outgoing = append(book.Outgoing, Request{User: peer, Message: r.Note, At: at})
		case blocked:
			book.Blocks = append(book.Blocks, Block{User: peer, Since: at})
		default: // nothing else is written
		}
	}
	return book
}

// usersOf returns the users with these ids, in their order.
func usersOf(ctx context.Context, tx *tables.Tx, ids []string) ([]User, error) {
	found := make([]User, 0, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	var rows []userRow
	if err := tx.Select(&rows, users.Name).Where("r.user_id IN (?)", bun.List(ids)).Scan(ctx); err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	for _, r := range rows {
		found = append(found, userOf(r))
	}
	place := func(u User) int { return slices.Index(ids, string(u.ID)) }
	slices.SortFunc(found, func(a, b User) int { return cmp.Compare(place(a), place(b)) })
	return found, nil
}

func userOf(r userRow) User {
	return User{
		ID: domain.UserID(r.User), Username: r.Username, DisplayName: r.DisplayName, AvatarURL: r.AvatarURL,
		CreatedAt: r.CreatedAt.UTC(), Suspended: !r.SuspendedAt.IsZero(), Erased: !r.ErasedAt.IsZero(),
	}
}

// live calls fn with the live build.
func (q *Queries) live(ctx context.Context, fn func(*tables.Tx) error) error {
	err := tables.Read(ctx, q.db, Name, func(_ context.Context, tx *tables.Tx) error { return fn(tx) })
	if err != nil && projections.IsOutside(err) {
		return domain.Wrap(domain.Unavailable, err, "users and contacts cannot be read now")
	}
	return err
}
