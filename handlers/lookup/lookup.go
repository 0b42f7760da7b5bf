package lookup

import (
	"context"
	"encoding/json"
	"fmt"

	"mpim/domain"
	"mpim/projections/contacts"
	"mpim/projections/history"
)

// The kinds of entries.
const (
	UserInfo    = "user:info"
	UserFriends = "user:friends"
	GroupInfo   = "group:info"
)

// Load reads entries from SQL. Ids that name nothing are missing from what it returns.
type Load = func(ctx context.Context, ids []string) (map[string][]byte, error)

// Cache keeps entries, as package cache does.
type Cache interface {
	GetMany(ctx context.Context, kind string, ids []string, load Load) (map[string][]byte, error)
	Refresh(ctx context.Context, kind string, ids []string, load Load) error
}

// Directory is what SQL has of users and contacts.
type Directory interface {
	Users(ctx context.Context, ids []domain.UserID) ([]contacts.User, error)
	Book(ctx context.Context, user domain.UserID) (contacts.Book, error)
}

// Groups is what SQL has of groups.
type Groups interface {
	Groups(ctx context.Context, ids []domain.ConversationID) ([]history.Group, error)
}

// Lookup reads through a cache.
type Lookup struct {
	Cache     Cache
	Directory Directory
	Groups    Groups
}

// Users returns the users with these ids, in their order; those that nobody has are left out. Errors are those of
// contacts.Queries.
func (l *Lookup) Users(ctx context.Context, ids []domain.UserID) ([]contacts.User, error) {
	found, err := l.Cache.GetMany(ctx, UserInfo, texts(ids), l.loadUsers)
	if err != nil {
		return nil, err
	}
	return ordered[contacts.User](texts(ids), found)
}

// Book returns a user's contacts, requests and blocks.
func (l *Lookup) Book(ctx context.Context, user domain.UserID) (book contacts.Book, err error) {
	found, err := l.Cache.GetMany(ctx, UserFriends, []string{string(user)}, l.loadBooks)
	if err != nil {
		return book, err
	}
	if err := json.Unmarshal(found[string(user)], &book); err != nil {
		return book, fmt.Errorf("read the contacts of %s: %w", user, err)
	}
	return book, nil
}

// GroupsOf returns the groups with these ids, in their order; those that are none are left out.
func (l *Lookup) GroupsOf(ctx context.Context, ids []domain.ConversationID) ([]history.Group, error) {
	found, err := l.Cache.GetMany(ctx, GroupInfo, texts(ids), l.loadGroups)
	if err != nil {
		return nil, err
	}
	return ordered[history.Group](texts(ids), found)
}

// Loads returns how entries of each kind are read from SQL.
func (l *Lookup) Loads() map[string]Load {
	return map[string]Load{UserInfo: l.loadUsers, UserFriends: l.loadBooks, GroupInfo: l.loadGroups}
}

func (l *Lookup) loadUsers(ctx context.Context, ids []string) (map[string][]byte, error) {
	values := make(map[string][]byte, len(ids))
	for len(ids) > 0 {
		some := ids[:min(contacts.MaxLimit, len(ids))]
		ids = ids[len(some):]
		users, err := l.Directory.Users(ctx, named[domain.UserID](some))
		if err != nil {
			return nil, err
		}
		for _, u := range users {
			if values[string(u.ID)], err = json.Marshal(u); err != nil {
				return nil, err
			}
		}
	}
	return values, nil
}

// loadBooks loads one by one: a process seldom needs many, but when it warms.
func (l *Lookup) loadBooks(ctx context.Context, ids []string) (map[string][]byte, error) {
	values := make(map[string][]byte, len(ids))
	for _, id := range ids {
		book, err := l.Directory.Book(ctx, domain.UserID(id))
		if err != nil {
			return nil, err
		}
		if values[id], err = json.Marshal(book); err != nil {
			return nil, err
		}
	}
	return values, nil
}

func (l *Lookup) loadGroups(ctx context.Context, ids []string) (map[string][]byte, error) {
	groups, err := l.Groups.Groups(ctx, named[domain.ConversationID](ids))
	if err != nil {
		return nil, err
	}
	values := make(map[string][]byte, len(ids))
	for _, g := range groups {
		if values[string(g.ID)], err = json.Marshal(g); err != nil {
			return nil, err
		}
	}
	return values, nil
}

func texts[ID ~string](ids []ID) []string {
	all := make([]string, len(ids))
	for i, id := range ids {
		all[i] = string(id)
	}
	return all
}

func named[ID ~string](texts []string) []ID {
	all := make([]ID, len(texts))
	for i, text := range texts {
		all[i] = ID(text)
	}
	return all
}

// ordered decodes entries in the order of ids, each once.
func ordered[T any](ids []string, found map[string][]byte) ([]T, error) {
	all := make([]T, 0, len(found))
	seen := make(map[string]bool, len(ids))
	for _, id := range ids {
		encoded, ok := found[id]
		if !ok || seen[id] {
			continue
		}
		seen[id] = true
		var one T
		if err := json.Unmarshal(encoded, &one); err != nil {
			return nil, fmt.Errorf("read the cache entry of %s: %w", id, err)
		}
		all = append(all, one)
	}
	return all, nil
}
