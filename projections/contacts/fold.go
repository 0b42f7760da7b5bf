package contacts

import (
	"context"
	"slices"
	"time"
	"unicode/utf8"

	"mpim/domain"
	"mpim/projections/rows"
	"mpim/projections/tables"
	"mpim/projections/words"
	"mpim/schema"
)

// change is a record with its data decoded.
type change struct {
	*schema.Record

	fact domain.Fact
}

// fold is what a run of events makes of the rows they touch.
type fold struct {
	users     *rows.Rows[string, userRow]
	names     *rows.Rows[nameKey, nameRow]
	relations *rows.Rows[relationKey, relationRow]
}

func newFold(tx *tables.Tx) *fold {
	return &fold{users: rows.In(tx, users), names: rows.In(tx, names), relations: rows.In(tx, relations)}
}

// run folds the events over the stored rows.
func (f *fold) run(ctx context.Context, changes []change) error {
	var accounts []string
	var pairs []relationKey
	for _, c := range changes {
		if c.Aggregate.Kind == domain.Account {
			accounts = append(accounts, c.Aggregate.ID)
		} else if other := domain.Other(c.fact); other != "" {
			a, b := string(c.Actor), string(other)
			for _, kind := range []string{contact, incoming, outgoing, blocked} {
				pairs = append(pairs, relationKey{a, kind, b}, relationKey{b, kind, a})
			}
		}
	}
	if err := f.users.Load(ctx, accounts); err != nil {
		return err
	}
	if err := f.relations.Load(ctx, pairs); err != nil {
		return err
	}
	for i := range changes {
		f.apply(&changes[i])
	}
	if err := f.users.Flush(ctx); err != nil {
		return err
	}
	if err := f.names.Flush(ctx); err != nil {
		return err
	}
	return f.relations.Flush(ctx)
}

// apply folds one event. Events that name what is not there change nothing.
func (f *fold) apply(c *change) {
	a, b := string(c.Actor), string(domain.Other(c.fact))
	switch fact := c.fact.(type) {
	case *domain.ContactRequested:
		f.put(c, a, outgoing, b, fact.Message)
		f.put(c, b, incoming, a, fact.Message)
	case *domain.ContactAccepted:
		f.settle(a, b)
		f.settle(b, a)
		f.add(c, a, contact, b)
		f.add(c, b, contact, a)
	case *domain.ContactDeclined:
		f.settle(a, b)
	case *domain.ContactRemoved:
		f.settle(b, a) // the actor takes back what it asked
		f.delete(a, contact, b)
		f.delete(b, contact, a)
		// It takes back what the one who removes had asked, too.
		f.settle(b, a)
	case *domain.ContactRemarked:
		if row := f.relations.Get(relationKey{a, contact, b}); row != nil {
			row.Note = fact.Remark
			f.relations.Put(row)
		}
	case *domain.AccountErased:
		if c.Aggregate.Kind == domain.Account {
			f.account(c)
			return
		}
		for _, key := range []relationKey{{a, contact, b}, {a, outgoing, b}, {b, incoming, a}} {
			if row := f.relations.Get(key); row != nil {
				row.Note = ""
				f.relations.Put(row)
			}
		}
	case *domain.UserBlocked:
		f.add(c, a, blocked, b)
	case *domain.UserUnblocked:
		f.delete(a, blocked, b)
	default:
		f.account(c)
	}
}

// settle ends what b asked of a.
func (f *fold) settle(a, b string) {
	f.delete(a, incoming, b)
	f.delete(b, outgoing, a)
}

func (f *fold) put(c *change, user, kind, peer, note string) {
	f.relations.Put(&relationRow{User: user, Kind: kind, Peer: peer, At: c.At, Note: note})
}

// add puts a relation that has no note, unless it stands already.
func (f *fold) add(c *change, user, kind, peer string) {
	if f.relations.Get(relationKey{user, kind, peer}) == nil {
		f.put(c, user, kind, peer, "")
	}
}

func (f *fold) delete(user, kind, peer string) {
	if key := (relationKey{user, kind, peer}); f.relations.Get(key) != nil {
		f.relations.Delete(key)
	}
}

// account folds an event of an account.
func (f *fold) account(c *change) {
	id := c.Aggregate.ID
	if fact, ok := c.fact.(*domain.AccountRegistered); ok {
		f.change(f.users.Get(id), userRow{
			User: id, Username: fact.Username, DisplayName: fact.DisplayName, CreatedAt: c.At, UpdatedAt: c.At,
		})
		return
	}
	was := f.users.Get(id)
	if was == nil || !was.ErasedAt.IsZero() {
		return
	}
	now := *was
	now.UpdatedAt = c.At
	switch fact := c.fact.(type) {
	case *domain.AccountUpdated:
		if fact.DisplayName != nil {
			now.DisplayName = *fact.DisplayName
		}
		if fact.AvatarURL != nil {
			now.AvatarURL = *fact.AvatarURL
		}
	case *domain.AccountSuspended:
		now.SuspendedAt = c.At
	case *domain.AccountRestored:
		now.SuspendedAt = time.Time{}
	case *domain.AccountErased:
		now.Username, now.DisplayName, now.AvatarURL, now.ErasedAt = "", "", "", c.At
	default: // nothing else of an account is handled
		return
	}
	f.change(was, now)
}

// change puts a user in the place of what it was, and its names with it.
func (f *fold) change(was *userRow, now userRow) {
	for _, name := range namesOf(was) {
		f.names.Delete(nameKey{name, was.User})
	}
	for _, name := range namesOf(&now) {
		f.names.Put(&nameRow{Name: []byte(name), User: now.User})
	}
	f.users.Put(&now)
}

// namesOf returns what a user is found by.
func namesOf(u *userRow) []string {
	if u == nil || !u.SuspendedAt.IsZero() || !u.ErasedAt.IsZero() {
		return nil
	}
	return slices.DeleteFunc([]string{nameOf(u.Username), nameOf(u.DisplayName)}, func(name string) bool { return name == "" })
}

// maxName is how many bytes of a name are kept to find it by.
const maxName = 255

// nameOf returns the form of a name that is searched.
func nameOf(name string) string {
	name = words.Fold(name)
	if len(name) <= maxName {
		return name
	}
	end := maxName
	for !utf8.RuneStart(name[end]) {
		end--
	}
	return name[:end]
}
