package gateway

import (
	"context"
	"encoding/json"
	"slices"
	"sync"

	"mpim/domain"
	"mpim/handlers/api"
)

// watch is one list of users whose presence a connection wants to hear of. Nothing is pushed of a user before
// presence.get has listed it for the caller, nor from the moment on that this is in doubt: the last change of each is
// held meanwhile, and pushed or forgotten when the answer is there. The mutex of the connection guards it.
type watch struct {
	conn *conn
	// users are those asked for until the first answer, then those that it listed, sorted.
	users []domain.UserID
	// sure says that what hidden says holds.
	sure bool
	// doubts counts how often that became doubtful: an answer to what was asked before says nothing.
	doubts int
	// hidden are users that the caller may not see any more. Nil for none.
	hidden map[domain.UserID]struct{}
	// held is the last change of users of which nothing may be pushed now.
	held map[domain.UserID][]byte
}

// hear pushes a change of a user's presence, or holds it.
func (w *watch) hear(user domain.UserID, frame []byte) {
	c := w.conn
	c.mu.Lock()
	var todo Step
	if w.takes(user, frame) {
		todo = c.session.Push(Ephemeral, frame)
	}
	write := c.settle(&todo)
	c.mu.Unlock()
	c.carryOut(todo, write)
}

// takes says whether a change may be pushed now, and holds it where that is not known.
func (w *watch) takes(user domain.UserID, frame []byte) bool {
	// Whoever brings it looked the watch up before; it may have been answered or replaced since.
	if w != w.conn.watch && w != w.conn.asking {
		return false
	}
	_, listed := slices.BinarySearch(w.users, user)
	_, hidden := w.hidden[user]
	switch {
	case w.sure && !hidden:
		return listed
	case w.sure && !listed:
		return false
	}
	if w.held == nil {
		w.held = make(map[domain.UserID][]byte)
	}
	w.held[user] = frame
	return false
}

// seen is what presence.get says.
type seen struct {
	Presence []json.RawMessage `json:"presence"`
}

// byUser returns the presence of each user that may be seen, as JSON text.
func (s *seen) byUser() (map[domain.UserID]json.RawMessage, error) {
	users := make(map[domain.UserID]json.RawMessage, len(s.Presence))
	for _, one := range s.Presence {
		var p struct {
			User domain.UserID `json:"user"`
		}
		if err := json.Unmarshal(one, &p); err != nil {
			return nil, err
		}
		users[p.User] = one
	}
	return users, nil
}

// settle takes an answer that nothing made doubtful since, and pushes what it allows. Who may be seen again is shown as
// the answer says, because changes meanwhile were not pushed.
func (w *watch) settle(visible map[domain.UserID]json.RawMessage, step *Step) {
	hidden, held := w.hidden, w.held
	w.sure, w.hidden, w.held = true, nil, nil
	for _, user := range w.users {
		if _, ok := visible[user]; !ok {
			if w.hidden == nil {
				w.hidden = make(map[domain.UserID]struct{})
			}
			w.hidden[user] = struct{}{}
			continue
		}
		if _, was := hidden[user]; was {
			step.join(w.conn.session.Push(Ephemeral, notification("presence", visible[user])))
		}
		if frame := held[user]; frame != nil {
			step.join(w.conn.session.Push(Ephemeral, frame))
		}
	}
}

// join adds what a push asks for. Ephemeral frames never end a session.
func (s *Step) join(pushed Step) {
	s.Shed += pushed.Shed
	s.Write = s.Write || pushed.Write
}

// watchers knows which connections want to hear of which users' presence.
type watchers struct {
	mu    sync.RWMutex
	users map[domain.UserID]map[*watch]struct{}
}

func newWatchers() *watchers { return &watchers{users: make(map[domain.UserID]map[*watch]struct{})} }

func (w *watchers) add(one *watch, users []domain.UserID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, user := range users {
		if w.users[user] == nil {
			w.users[user] = make(map[*watch]struct{}, 1)
		}
		w.users[user][one] = struct{}{}
	}
}

func (w *watchers) remove(one *watch, users []domain.UserID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, user := range users {
		delete(w.users[user], one)
		if len(w.users[user]) == 0 {
			delete(w.users, user)
		}
	}
}

// of appends the watches of a user.
func (w *watchers) of(dst []*watch, user domain.UserID) []*watch {
	w.mu.RLock()
	defer w.mu.RUnlock()
	for one := range w.users[user] {
		dst = append(dst, one)
	}
	return dst
}

// maxWatched is how many users one connection may watch.
const maxWatched = api.MaxPresence

var emptyPresence = []byte(`{"presence":[]}`)

// startWatch answers presence.watch: the presence of those users that the caller may see, and from now on its changes.
// They are listened to before reading, so that none falls between, and pushed after the answer: done is to be called with
// the step that sends it, under the mutex. Until then, and where this fails, the watch before stays. The session makes
// these requests one after the other.
func (c *conn) startWatch(ctx context.Context, params []byte) (result []byte, done func(*Step), err error) {
	var p struct {
		Users []domain.UserID `json:"users"`
		After string          `json:"after_position"`
	}
	if err := decode(params, &p, "presence.watch takes users, an array of ids"); err != nil {
		return nil, nil, err
	}
	if p.Users == nil {
		return nil, nil, domain.Errorf(domain.InvalidArgument, "users is missing: name whom to watch, or [] for nobody")
	}
	if len(p.Users) > maxWatched {
		return nil, nil, domain.Errorf(domain.TooLarge, "at most %d users can be watched", maxWatched)
	}
	if len(p.Users) == 0 {
		return emptyPresence, func(*Step) { c.setWatch(nil) }, nil
	}
	w := c.prepareWatch(p.Users)
	result, err = c.operate(ctx, methodPresenceGet, params)
	var visible map[domain.UserID]json.RawMessage
	if err == nil {
		visible, err = visibleIn(result)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.narrow(w, visible)
	if err != nil {
		c.asking = nil
		return nil, nil, err
	}
	return result, func(step *Step) { c.adopt(w, visible, step) }, nil
}

// prepareWatch listens to the presence of users, and holds what it hears.
func (c *conn) prepareWatch(users []domain.UserID) *watch {
	w := &watch{conn: c, users: users}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asking = w
	c.gateway.watchers.add(w, users)
	return w
}

// narrow has a watch listen to those users only that may be seen. It is called under the mutex.
func (c *conn) narrow(w *watch, visible map[domain.UserID]json.RawMessage) {
	var listed, others []domain.UserID
	for _, user := range w.users {
		if visible[user] == nil {
			others = append(others, user)
		} else {
			listed = append(listed, user)
		}
	}
	slices.Sort(listed)
	w.users = slices.Compact(listed)
	c.gateway.watchers.remove(w, others)
}

// adopt puts a watch that was answered in the place of the one before. It is called under the mutex.
func (c *conn) adopt(w *watch, visible map[domain.UserID]json.RawMessage, step *Step) {
	c.asking = nil
	c.setWatch(w)
	switch {
	case c.watch == nil:
	case w.doubts == 0:
		w.settle(visible, step)
	default:
		c.gateway.doubts.add(w)
	}
}

func visibleIn(result []byte) (map[domain.UserID]json.RawMessage, error) {
	var s seen
	if err := json.Unmarshal(result, &s); err != nil {
		return nil, err
	}
	return s.byUser()
}

// setWatch puts a watch, or nil, in the place of the one before. It is called under the mutex.
func (c *conn) setWatch(w *watch) {
	index := c.gateway.watchers
	if c.watch != nil {
		index.remove(c.watch, c.watch.users)
	}
	if w != nil && (c.gone || len(w.users) == 0) {
		index.remove(w, w.users)
		w = nil
	}
	c.watch = w
}
