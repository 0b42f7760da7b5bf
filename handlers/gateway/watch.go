package gateway

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"

	"mpim/domain"
	"mpim/schema"
)

// watchers knows which connections want to hear of which users' presence.
type watchers struct {
	mu    sync.RWMutex
	users map[domain.UserID]map[*conn]struct{}
}

func newWatchers() *watchers { return &watchers{users: make(map[domain.UserID]map[*conn]struct{})} }

// replace has a connection watch other users than before.
func (w *watchers) replace(c *conn, before, after []domain.UserID) {
	if len(before) == 0 && len(after) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, user := range before {
		delete(w.users[user], c)
		if len(w.users[user]) == 0 {
			delete(w.users, user)
		}
	}
	for _, user := range after {
		if w.users[user] == nil {
			w.users[user] = make(map[*conn]struct{}, 1)
		}
		w.users[user][c] = struct{}{}
	}
}

// of appends the connections that watch a user.
func (w *watchers) of(dst []*conn, user domain.UserID) []*conn {
	w.mu.RLock()
	defer w.mu.RUnlock()
	for c := range w.users[user] {
		dst = append(dst, c)
	}
	return dst
}

// maxWatched is how many users one connection may watch.
const maxWatched = 1000

// watch answers presence.watch: the presence of those users that the caller may see, and from now on its changes.
func (c *conn) watch(ctx context.Context, params []byte) ([]byte, error) {
	var p struct {
		Users []domain.UserID `json:"users"`
	}
	if err := json.Unmarshal(params, &p); err != nil {
		return nil, domain.Errorf(domain.InvalidArgument, "presence.watch takes users, an array of ids")
	}
	if len(p.Users) > maxWatched {
		return nil, domain.Errorf(domain.TooLarge, "at most %d users can be watched", maxWatched)
	}
	if len(p.Users) == 0 {
		c.setWatched(nil)
		return []byte(`{"presence":[]}`), nil
	}
	// Watching begins before reading, so that no change falls between; whoever the caller may not see is taken off again.
	c.setWatched(p.Users)
	result, err := c.operate(ctx, methodPresenceGet, params)
	if err != nil {
		c.setWatched(nil)
		return nil, err
	}
	var seen struct {
		Presence []struct {
			User domain.UserID `json:"user"`
		} `json:"presence"`
	}
	if err := json.Unmarshal(result, &seen); err != nil {
		return nil, err
	}
	users := make([]domain.UserID, len(seen.Presence))
	for i, one := range seen.Presence {
		users[i] = one.User
	}
	c.setWatched(users)
	return result, nil
}

func (c *conn) setWatched(users []domain.UserID) {
	c.mu.Lock()
	before := c.watched
	if c.gone {
		users = nil
	}
	c.watched = users
	c.gateway.watchers.replace(c, before, users)
	c.mu.Unlock()
}

// listenStatus hears the changes of presence until the context ends. What is lost while it does not listen is not made
// good: presence is pushed at most once.
func (g *Gateway) listenStatus(ctx context.Context) error {
	channels := make([]string, g.config.Placement.Partitions)
	for p := range channels {
		channels[p] = schema.StatusChannel(p)
	}
	for pause := minPause; ctx.Err() == nil; pause = min(2*pause, maxPause) {
		err := g.config.Channels.Listen(ctx, channels, func() { pause = minPause }, func(_ string, message []byte) { g.hearStatus(message) })
		if err != nil {
			g.logger.Warn("subscription to presence broke", slog.Any("error", err))
		}
		wait(ctx, pause)
	}
	return nil
}

// pushedStatus is the params of a presence notification.
type pushedStatus struct {
	User     domain.UserID `json:"user"`
	Status   string        `json:"status"`
	Text     string        `json:"text,omitempty"`
	LastSeen *string       `json:"last_seen_at"`
}

func (g *Gateway) hearStatus(message []byte) {
	statuses, err := schema.DecodeStatuses(message)
	if err != nil {
		g.logger.Error("status message cannot be read", slog.Any("error", err))
		return
	}
	var conns []*conn
	for _, status := range statuses {
		conns = g.watchers.of(conns[:0], status.User)
		if len(conns) == 0 {
			continue
		}
		params := pushedStatus{User: status.User, Status: status.Status, Text: status.Text}
		if !status.LastSeenAt.IsZero() {
			at := status.LastSeenAt.UTC().Format(schema.TimeFormat)
			params.LastSeen = &at
		}
		text, err := json.Marshal(params)
		if err != nil {
			continue
		}
		frame := notification("presence", text)
		for _, c := range conns {
			c.push(Ephemeral, frame)
		}
	}
}
