package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"mpim/domain"
)

// doubts are watches whose users the caller may perhaps not see any more. Each waits at most once, however often it
// became doubtful, so that people who come and go cannot make more of it than one question at a time.
type doubts struct {
	mu    sync.Mutex
	queue map[*watch]struct{}
	wake  chan struct{}
}

const (
	// doubtWorkers is how many watches are asked about at a time.
	doubtWorkers = 4
	// doubtPause is how long those wait that could not be asked about.
	doubtPause = time.Second
)

func newDoubts() *doubts {
	return &doubts{queue: make(map[*watch]struct{}), wake: make(chan struct{}, 1)}
}

func (d *doubts) add(w *watch) {
	d.mu.Lock()
	d.queue[w] = struct{}{}
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

func (d *doubts) take() map[*watch]struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	queue := d.queue
	d.queue = make(map[*watch]struct{})
	return queue
}

// run asks about the watches until the context ends.
func (d *doubts) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.wake:
		}
		if !d.round(ctx) {
			wait(ctx, doubtPause)
		}
	}
}

// round asks about all that wait, and is false where some have to be asked about again.
func (d *doubts) round(ctx context.Context) bool {
	var workers errgroup.Group
	workers.SetLimit(doubtWorkers)
	for w := range d.take() {
		workers.Go(func() error {
			err := w.check(ctx)
			if err != nil && ctx.Err() == nil {
				w.conn.gateway.logger.Warn("who may be watched is not known", slog.Any("error", err))
				d.add(w)
			}
			return err
		})
	}
	return workers.Wait() == nil
}

// check asks who may be seen. Where that became doubtful meanwhile, somebody asks again.
func (w *watch) check(ctx context.Context) error {
	c := w.conn
	c.mu.Lock()
	if c.watch != w {
		c.mu.Unlock()
		return nil
	}
	asked := w.doubts
	for user := range w.hidden {
		// Should they be seen again, the answer is newer.
		delete(w.held, user)
	}
	params, err := json.Marshal(map[string][]domain.UserID{"users": w.users})
	c.mu.Unlock()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.gateway.config.CallTimeout)
	defer cancel()
	result, err := c.operate(ctx, methodPresenceGet, params)
	if err != nil {
		return err
	}
	visible, err := visibleIn(result)
	if err != nil {
		return err
	}
	var todo Step
	c.mu.Lock()
	if c.watch == w && w.doubts == asked {
		w.settle(visible, &todo)
	}
	write := c.settle(&todo)
	c.mu.Unlock()
	c.carryOut(todo, write)
	return nil
}

// recheck asks about every watch now and then, because the event that ends a membership may be lost on its way.
func (g *Gateway) recheck(ctx context.Context) error {
	for wait(ctx, g.config.Recheck) {
		watching := slices.DeleteFunc(g.hub.all(), func(c *conn) bool { return c.watching() == nil })
		spread(ctx, watching, g.config.Recheck, func(c *conn) {
			w := c.watching()
			if w == nil {
				return
			}
			if err := w.check(ctx); err != nil && ctx.Err() == nil {
				g.logger.Warn("who may be watched is not known", slog.Any("error", err))
			}
		})
	}
	return nil
}

func (c *conn) watching() *watch {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.watch
}

// ending is the end of one membership, or of all in a conversation.
type ending struct {
	user domain.UserID // empty for all
}

// endings are the types of events that end memberships.
var endings = [...]string{"member.removed", "member.left", "conversation.dissolved"}

// endingIn reads a pushed frame as an event that ends a membership.
func endingIn(frame []byte) (ending, bool) {
	// Almost no frame names such a type, and one that does may only say so in a text.
	if !slices.ContainsFunc(endings[:], func(kind string) bool { return bytes.Contains(frame, []byte(kind)) }) {
		return ending{}, false
	}
	var pushed struct {
		Params struct {
			Type string `json:"type"`
			Data struct {
				User domain.UserID `json:"user"`
			} `json:"data"`
		} `json:"params"`
	}
	if json.Unmarshal(frame, &pushed) != nil || !slices.Contains(endings[:], pushed.Params.Type) {
		return ending{}, false
	}
	return ending{user: pushed.Params.Data.User}, true
}

// doubt stops the presence of those users that the ending may concern until it is known who may still be seen.
func (c *conn) doubt(e ending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	concerns := func(w *watch) bool {
		return w != nil && (e.user == "" || e.user == c.session.Owner().User || slices.Contains(w.users, e.user))
	}
	if concerns(c.asking) {
		c.asking.doubts++
	}
	if concerns(c.watch) {
		c.watch.doubts++
		c.watch.sure = false
		c.gateway.doubts.add(c.watch)
	}
}
