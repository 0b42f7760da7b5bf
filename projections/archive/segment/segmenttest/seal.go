package segmenttest

import (
	"context"
	"sync"
	"testing"

	"mpim/domain"
	"mpim/schema/seal"
)

// NewRing returns a ring of keys that are kept in memory. Every user has one as soon as it is asked for.
func NewRing(tb testing.TB) *seal.Ring {
	tb.Helper()
	wrapping, err := seal.NewWrapping("wraps the keys of users in tests of segments")
	if err != nil {
		tb.Fatal(err)
	}
	ring, err := seal.NewRing(seal.Config{Store: &userKeys{keys: make(map[domain.UserID]seal.Wrapped)}, Wrapping: wrapping})
	if err != nil {
		tb.Fatal(err)
	}
	return ring
}

// userKeys implements seal.Store.
type userKeys struct {
	mu   sync.Mutex
	keys map[domain.UserID]seal.Wrapped
}

// Read implements seal.Store.
func (k *userKeys) Read(_ context.Context, users []domain.UserID) (found []seal.Wrapped, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, user := range users {
		if key, ok := k.keys[user]; ok {
			found = append(found, key)
		}
	}
	return found, nil
}

// Create implements seal.Store.
func (k *userKeys) Create(_ context.Context, key seal.Wrapped) (seal.Wrapped, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.keys[key.User]; !ok {
		k.keys[key.User] = key
	}
	return k.keys[key.User], nil
}

// Erased implements seal.Store.
func (k *userKeys) Erased(context.Context) ([]domain.UserID, error) { return nil, nil }
