package seal

import (
	"context"
	"errors"
	"time"

	"mpim/domain"
	"mpim/schema"
)

// Seal returns what seals the personal members of a commit's events, nil where they have none. It makes the key of a user
// that has none yet. An error of kind Unavailable says that the key cannot be had just now, one of kind Unauthenticated that
// it was destroyed.
func (r *Ring) Seal(ctx context.Context, c *domain.Commit) (schema.Seal, error) {
	owner := schema.Owner(c.Aggregate, c.Actor)
	if owner == "" || !hasPersonal(c.Events) {
		return nil, nil
	}
	key, err := r.sealing(ctx, owner)
	if err != nil {
		return nil, err
	}
	aggregate := c.Aggregate
	return func(text []byte, event domain.EventID, t domain.EventType, members []byte) []byte {
		return key.Seal(text, Place{Event: event, Aggregate: aggregate, Type: t}, members)
	}, nil
}

func hasPersonal(events []domain.Fact) bool {
	for _, fact := range events {
		if schema.Personal(fact.EventType()) {
			return true
		}
	}
	return false
}

// sealing returns the key that a user's texts are sealed with.
func (r *Ring) sealing(ctx context.Context, user domain.UserID) (*Key, error) {
	var h *held
	var err error
	// What was fetched while all keys were dropped, as they are when it begins to be heard which are destroyed, is not held.
	for try := 0; h == nil && err == nil && try < 3; try++ {
		h, err = r.tryHold(ctx, user)
	}
	switch {
	case h == nil && err == nil:
		err = errors.New("the key was dropped while it was fetched")
	case h != nil && h.err != nil:
		err = h.err
	case h != nil && h.key == nil:
		return nil, domain.Errorf(domain.Unauthenticated, "this account was erased")
	}
	if err != nil {
		return nil, unavailable(err)
	}
	r.use(h)
	return h.key, nil
}

// tryHold returns what is held of a user, who gets a key if there is none yet; nil where it was dropped meanwhile.
func (r *Ring) tryHold(ctx context.Context, user domain.UserID) (*held, error) {
	now := time.Now()
	r.mu.RLock()
	h := r.find(user, now)
	r.mu.RUnlock()
	if h != nil && (h.key == nil || h.until.Sub(now) >= sealUntil) {
		return h, nil
	}
	err := r.fetch(ctx, []domain.UserID{user}, 2*sealUntil)
	r.mu.RLock()
	fetched, cleared := r.find(user, now), !r.cleared.Before(now)
	r.mu.RUnlock()
	switch {
	case fetched != nil:
		return fetched, nil // perhaps the one that ends soon, where no other can be had
	case err != nil || cleared:
		return nil, err
	default:
		return r.create(ctx, user)
	}
}

// use notes that a key is in use. Most of the time that is known.
func (r *Ring) use(h *held) {
	r.mu.RLock()
	used := h.used
	r.mu.RUnlock()
	if !used {
		r.mu.Lock()
		h.used = true
		r.mu.Unlock()
	}
}

// create makes a key for a user that has none.
func (r *Ring) create(ctx context.Context, user domain.UserID) (*held, error) {
	began := time.Now()
	limit, cancel := context.WithTimeout(ctx, r.config.Timeout)
	defer cancel()
	stands, err := r.config.Store.Create(limit, r.config.Wrapping.NewKey(user))
	if err != nil {
		return nil, err
	}
	r.keep(ctx, []Wrapped{stands}, began)
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.find(user, began), nil
}

func unavailable(err error) error {
	return &domain.Error{
		Code: domain.Unavailable, Message: "the key that protects your texts cannot be had now: try again",
		RetryAfter: time.Second, Cause: err,
	}
}
