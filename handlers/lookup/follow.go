package lookup

import (
	"context"
	"errors"
	"fmt"

	"github.com/ThreeDotsLabs/watermill/message"

	"mpim/domain"
	"mpim/projections/contacts"
	"mpim/projections/history"
	"mpim/schema"
)

// Consumer is the name under which the log is followed for the cache.
const Consumer = "cache"

// Waiter waits until projections have passed positions.
type Waiter interface {
	Wait(ctx context.Context, projection string, positions ...domain.Position) error
}

// Follower keeps a cache up to date with the log.
type Follower struct {
	Lookup *Lookup
	Waiter Waiter
	// Advance moves the follower's checkpoint over a batch.
	Advance func(ctx context.Context, b *schema.Batch) error
}

// Handle refreshes what the batch of a message changed. It is a message.NoPublishHandlerFunc for batches.
func (f *Follower) Handle(m *message.Message) error {
	batch := schema.BatchFrom(m.Context())
	if batch == nil {
		return errors.New("the message carries no batch: it was not delivered by the batch subscriber")
	}
	ctx := m.Context()
	c := changes{seen: make(map[string]map[string]bool)}
	for _, r := range batch.Records {
		c.add(r)
	}
	for _, step := range []struct {
		kind, projection string
		load             Load
	}{
		{UserInfo, contacts.Name, f.Lookup.loadUsers}, {UserFriends, contacts.Name, f.Lookup.loadBooks}, {GroupInfo, history.Name, f.Lookup.loadGroups},
	} {
		ids := c.ids(step.kind)
		if len(ids) == 0 {
			continue
		}
		err := f.Waiter.Wait(ctx, step.projection, domain.Position{Partition: batch.Partition, Seq: batch.To})
		if domain.CodeOf(err) == domain.Unavailable {
			m.Nack() // SQL is behind, which is no failure of this: the same batch comes again
			return nil
		}
		if err != nil {
			return fmt.Errorf("wait for %s before the cache is refreshed: %w", step.projection, err)
		}
		if step.kind == UserFriends && len(c.erased) > 0 {
			more, err := f.acquaintances(ctx, c.erased)
			if err != nil {
				return err
			}
			ids = append(ids, more...)
		}
		if err := f.Lookup.Cache.Refresh(ctx, step.kind, ids, step.load); err != nil {
			return err
		}
	}
	return f.Advance(ctx, batch)
}

// acquaintances are those on whose lists erased users were.
func (f *Follower) acquaintances(ctx context.Context, erased []domain.UserID) (ids []string, err error) {
	for _, user := range erased {
		book, err := f.Lookup.Directory.Book(ctx, user)
		if err != nil {
			return nil, err
		}
		for _, c := range book.Contacts {
			ids = append(ids, string(c.User))
		}
	}
	return ids, nil
}

// changes are the entries that events change.
type changes struct {
	order  []entry
	seen   map[string]map[string]bool
	erased []domain.UserID
}

type entry struct{ kind, id string }

func (c *changes) ids(kind string) (ids []string) {
	for _, e := range c.order {
		if e.kind == kind {
			ids = append(ids, e.id)
		}
	}
	return ids
}

func (c *changes) changed(kind, id string) {
	if c.seen[kind] == nil {
		c.seen[kind] = make(map[string]bool)
	}
	if id != "" && !c.seen[kind][id] {
		c.seen[kind][id] = true
		c.order = append(c.order, entry{kind, id})
	}
}

// add notes what an event changes. One that cannot be read changes nothing that could be told.
func (c *changes) add(r *schema.Record) {
	switch r.Type { //nolint:exhaustive // all others change no entry
	case domain.TypeAccountRegistered, domain.TypeAccountUpdated, domain.TypeAccountSuspended, domain.TypeAccountRestored:
		c.changed(UserInfo, r.Aggregate.ID)
	case domain.TypeAccountErased:
		c.changed(UserInfo, r.Aggregate.ID)
		c.changed(UserFriends, r.Aggregate.ID)
		c.erased = append(c.erased, domain.UserID(r.Aggregate.ID))
	case domain.TypeConversationCreated, domain.TypeConversationUpdated, domain.TypeConversationDissolved:
		if r.Conversation().IsGroup() {
			c.changed(GroupInfo, r.Aggregate.ID)
		}
	case domain.TypeContactRequested, domain.TypeContactAccepted, domain.TypeContactDeclined, domain.TypeContactRemoved,
		domain.TypeContactRemarked, domain.TypeUserBlocked, domain.TypeUserUnblocked:
		c.changed(UserFriends, string(r.Actor))
		c.changed(UserFriends, string(other(r)))
	}
}

// other returns the user that a fact of contacts names.
func other(r *schema.Record) domain.UserID {
	fact, err := r.Fact()
	if err != nil {
		return ""
	}
	return domain.Other(fact)
}

var _ message.NoPublishHandlerFunc = (*Follower)(nil).Handle
