package seal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"mpim/domain"
)

// Store keeps users' keys for good.
type Store interface {
	// Read returns the keys of these users, those destroyed included. Users that never had one are left out.
	Read(ctx context.Context, users []domain.UserID) ([]Wrapped, error)
	// Create keeps a key, unless its user has or had one, and returns the one that stands.
	Create(ctx context.Context, key Wrapped) (Wrapped, error)
	// Erased returns the users whose keys were destroyed.
	Erased(ctx context.Context) ([]domain.UserID, error)
}

// Kept is a key in the cache.
type Kept struct {
	Wrapped

	// Left is for how long it is kept from now on.
	Left time.Duration
}

// Cache keeps wrapped keys for a while where all processes find them, so that these need not ask SQL each, and go on for some
// minutes without it.
type Cache interface {
	// Get returns what is kept of these users, that their key was destroyed included.
	Get(ctx context.Context, users []domain.UserID) ([]Kept, error)
	// Put keeps keys for so long, but never in the place of one that was destroyed.
	Put(ctx context.Context, keys []Wrapped, left time.Duration) error
	// Destroyed calls gone for each user whose key is destroyed from now on, and lost whenever some may have been missed, until
	// the context ends. It calls lost before it can miss the first.
	Destroyed(ctx context.Context, gone func(domain.UserID), lost func()) error
}

// MaxAge is for how long a key may be used after SQL was asked for it.
const MaxAge = 10 * time.Minute

// Ages of a key in a process: how long it is kept there, when it is asked for again while it is in use, and how long before
// its end nothing is sealed with it any more, so that who reads has time to get it, too.
const (
	keptFor      = MaxAge / 2
	refreshAfter = MaxAge / 4
	sealUntil    = MaxAge / 10
)

// Config is what a Ring needs.
type Config struct {
	// Store keeps the keys.
	Store Store
	// Wrapping are the wrapping keys.
	Wrapping *Wrapping
	// Cache is shared between processes. Default: none.
	Cache Cache
	// Size is how many keys are kept in the process. Default: 65,536.
	Size int
	// Timeout bounds a call of the store. Default: two seconds.
	Timeout time.Duration
	// Logger receives what an operator should know. Default: it is discarded.
	Logger *slog.Logger
}

// Ring seals and opens with the keys of all users. It is safe for use by many goroutines.
type Ring struct {
	config Config

	mu   sync.RWMutex
	held map[domain.UserID]*held
	// gone are the users whose keys were destroyed lately, with the time when that was heard: what was fetched before must not
	// be held after.
	gone map[domain.UserID]time.Time
	// cleared is when all was dropped last.
	cleared time.Time
	// erased are those whose texts are not shown even where they were stored open.
	erased erased
}

// held is a key in the process.
type held struct {
	// key is nil where it was destroyed, or where it cannot be unwrapped, which err says then.
	key *Key
	err error
	// until is when it must be fetched again, refresh when it should be, if used says that it is in use.
	until, refresh time.Time
	used           bool
}

// NewRing returns a ring that holds nothing yet.
func NewRing(c Config) (*Ring, error) {
	if c.Store == nil || c.Wrapping == nil {
		return nil, errors.New("seal: Store and Wrapping must be set")
	}
	if c.Size == 0 {
		c.Size = 1 << 16
	}
	if c.Timeout == 0 {
		c.Timeout = 2 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Ring{config: c, held: make(map[domain.UserID]*held), gone: make(map[domain.UserID]time.Time)}, nil
}

// Run drops keys when they are destroyed, and fetches those in use again before they end, until the context ends.
func (r *Ring) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	if r.config.Cache != nil {
		group.Go(func() error { return r.config.Cache.Destroyed(ctx, r.Drop, r.Clear) })
	}
	group.Go(func() error {
		ticker := time.NewTicker(refreshAfter / 5)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-ticker.C:
				r.refresh(ctx)
			}
		}
	})
	return group.Wait()
}

// Drop forgets the key of a user for good: it was destroyed.
func (r *Ring) Drop(user domain.UserID) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held[user] = &held{until: now.Add(keptFor)}
	r.gone[user] = now
	r.erased.add(user)
	for user, at := range r.gone {
		if now.Sub(at) > MaxAge {
			delete(r.gone, user)
		}
	}
}

// Clear forgets all keys; they are fetched again when they are needed.
func (r *Ring) Clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.held)
	r.cleared = time.Now()
	r.erased.until = time.Time{}
}

// Gone says that the key of a user was destroyed a short while ago: what was opened with it before is to be opened again.
func (r *Ring) Gone(user domain.UserID) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, gone := r.gone[user]
	return gone
}

// find returns what is held of a user, and nil where it must be fetched.
func (r *Ring) find(user domain.UserID, now time.Time) *held {
	h := r.held[user]
	if h == nil || !now.Before(h.until) {
		return nil
	}
	return h
}

// fetch makes sure that keys are held, where the users have any: from the cache if they have so long to live there, else from
// the store.
func (r *Ring) fetch(ctx context.Context, users []domain.UserID, least time.Duration) error {
	began := time.Now()
	var kept []Kept
	if r.config.Cache != nil {
		var err error
		if kept, err = r.config.Cache.Get(ctx, users); err != nil {
			r.config.Logger.DebugContext(ctx, "shared key cache cannot be read", slog.Any("error", err))
		}
	}
	missing := make(map[domain.UserID]bool, len(users))
	for _, user := range users {
		missing[user] = true
	}
	var old []Kept
	for _, k := range kept {
		if k.Left < least && !k.Destroyed() {
			old = append(old, k)
			continue
		}
		delete(missing, k.User)
		r.hold(k.Wrapped, k.Left, began)
	}
	if len(missing) == 0 {
		return nil
	}
	err := r.read(ctx, missing, began)
	if err != nil {
		// Those that are too old for what was asked are better than none.
		for _, k := range old {
			r.hold(k.Wrapped, k.Left, began)
			delete(missing, k.User)
		}
		if len(missing) == 0 {
			return nil
		}
	}
	return err
}

// read asks the store, and puts into the cache what it says.
func (r *Ring) read(ctx context.Context, users map[domain.UserID]bool, began time.Time) error {
	asked := make([]domain.UserID, 0, len(users))
	for user := range users {
		asked = append(asked, user)
	}
	limit, cancel := context.WithTimeout(ctx, r.config.Timeout)
	defer cancel()
	keys, err := r.config.Store.Read(limit, asked)
	if err != nil {
		return fmt.Errorf("read the keys of users: %w", err)
	}
	r.keep(ctx, keys, began)
	return nil
}

// keep holds keys that the store gave.
func (r *Ring) keep(ctx context.Context, keys []Wrapped, began time.Time) {
	for _, k := range keys {
		r.hold(k, MaxAge, began)
	}
	if r.config.Cache == nil || len(keys) == 0 {
		return
	}
	if err := r.config.Cache.Put(ctx, keys, MaxAge); err != nil {
		r.config.Logger.DebugContext(ctx, "shared key cache cannot be written", slog.Any("error", err))
	}
}

// hold holds a key, unless it was destroyed since the fetch began.
func (r *Ring) hold(k Wrapped, left time.Duration, began time.Time) {
	h := &held{until: began.Add(min(left, keptFor)), refresh: began.Add(left - MaxAge + refreshAfter)}
	if !k.Destroyed() {
		raw, err := r.config.Wrapping.unwrap(k)
		if err == nil {
			h.key, err = NewKey([KeyBytes]byte(raw))
		}
		h.err = err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, gone := r.gone[k.User]; h.key != nil && (gone && !began.After(at) || !began.After(r.cleared)) {
		// Whether it is destroyed shows when it is fetched again.
		return
	}
	for user := range r.held {
		if len(r.held) < r.config.Size {
			break
		}
		delete(r.held, user)
	}
	r.held[k.User] = h
}

// refreshed is how many keys are asked for at once.
const refreshed = 500

// refresh fetches the keys that are in use and old.
func (r *Ring) refresh(ctx context.Context) {
	now := time.Now()
	var users []domain.UserID
	r.mu.Lock()
	for user, h := range r.held {
		switch {
		case !now.Before(h.until):
			delete(r.held, user)
		case h.used && h.key != nil && !now.Before(h.refresh):
			h.used = false
			users = append(users, user)
		}
	}
	r.mu.Unlock()
	for len(users) > 0 && ctx.Err() == nil {
		n := min(len(users), refreshed)
		if err := r.fetch(ctx, users[:n], MaxAge-refreshAfter); err != nil {
			r.config.Logger.WarnContext(ctx, "keys of users cannot be fetched again: texts are refused when those in memory end",
				slog.Int("users", len(users)), slog.Any("error", err))
			return
		}
		users = users[n:]
	}
}
