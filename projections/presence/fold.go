package presence

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"mpim/domain"
	"mpim/projections/checkpoint"
	"mpim/schema"
)

// lost is the reason of session.disconnected for an end without a close frame. After the others the user is gone at once:
// it closed, or its gateway was silent for as long as Grace already.
const lost = "lost"

func (p *Projection) fold(ctx context.Context, records []*schema.Record, w *checkpoint.Writes) ([]Presence, error) {
	f := folding{p: p, w: w, partition: records[0].Partition}
	var events []event
	for _, r := range records {
		if !p.Handles(r.Type) {
			continue
		}
		fact, err := r.Fact()
		if err != nil {
			return nil, err
		}
		id := domain.UserID(r.Aggregate.ID)
		if !slices.Contains(f.order, id) {
			f.order = append(f.order, id)
		}
		events = append(events, event{r, id, fact})
	}
	if len(events) == 0 {
		return nil, nil
	}
	known, err := p.store.load(ctx, map[int][]domain.UserID{f.partition: f.order})
	if err != nil {
		return nil, checkpoint.Outside(fmt.Errorf("read who is connected: %w", err))
	}
	f.users = known.users
	now := time.Now()
	before := make([]Presence, len(f.order))
	for i, id := range f.order {
		before[i] = presenceOf(id, known.users[id], known.choices[id], now)
	}
	for _, e := range events {
		if err := f.apply(e, known.choices[e.user]); err != nil {
			return nil, err
		}
	}
	var changed []Presence
	for i, id := range f.order {
		f.write(id)
		if after := presenceOf(id, f.users[id], known.choices[id], now); after != before[i] {
			changed = append(changed, after)
		}
	}
	return changed, nil
}

// event is a record that matters to this projection, decoded.
type event struct {
	*schema.Record
	user domain.UserID
	fact domain.Fact
}

// folding is what one fold changes.
type folding struct {
	p         *Projection
	w         *checkpoint.Writes
	partition int
	// order are the users, as they first come.
	order []domain.UserID
	users map[domain.UserID]user
}

func (f *folding) apply(e event, chosen choice) error {
	u := f.users[e.user]
	// Route and status have one tag, and so one guard.
	lease := f.w.Guarded(f.p.store.statusKey(e.user), StatusTTL)
	switch fact := e.fact.(type) {
	case *domain.SessionConnected:
		text, err := Connection{
			ID: fact.Connection, User: e.user, Session: fact.Session, Gateway: fact.Gateway, Client: fact.Client, At: e.At,
		}.encode()
		if err != nil {
			return err
		}
		if !slices.Contains(u.connections, fact.Connection) {
			u.connections = append(slices.Clip(u.connections), fact.Connection)
		}
		u.due = 0
		f.w.HSet(f.p.store.connectionsKey(f.partition), string(fact.Connection), text)
		lease.Do(e.Seq, "HSET", f.p.store.routeKey(e.user), string(fact.Connection), text)
		lease.Do(e.Seq, "PEXPIRE", f.p.store.routeKey(e.user), strconv.FormatInt(RouteTTL.Milliseconds(), 10))
	case *domain.SessionDisconnected:
		if !slices.Contains(u.connections, fact.Connection) {
			return nil // known already
		}
		at := e.At.UnixMilli()
		u.connections = slices.DeleteFunc(slices.Clone(u.connections), func(id domain.ConnectionID) bool {
			return id == fact.Connection
		})
		u.seen = max(u.seen, at)
		if len(u.connections) == 0 {
			u.due = at
			if fact.Reason == lost {
				u.due = at + Grace.Milliseconds()
			}
		}
		f.w.HDel(f.p.store.connectionsKey(f.partition), string(fact.Connection))
		lease.Do(e.Seq, "HDEL", f.p.store.routeKey(e.user), string(fact.Connection))
	default:
		return nil // Handles lets nothing else pass.
	}
	f.users[e.user] = u
	lease.HSet(e.Seq, usersField, u.String())
	if chosen.at > 0 {
		lease.Do(e.Seq, "NEWER", f.p.store.statusKey(e.user), choiceField, strconv.FormatInt(chosen.at, 10), chosen.String())
	}
	return nil
}

// write sets what the user has come to, and when it goes offline.
func (f *folding) write(id domain.UserID) {
	u := f.users[id]
	f.w.HSet(f.p.store.usersKey(f.partition), string(id), u.String())
	if len(u.connections) == 0 && u.due > u.seen {
		f.w.Do("ZADD", f.p.store.offlineKey(f.partition), strconv.FormatInt(u.due, 10), string(id))
		return
	}
	f.w.Do("ZREM", f.p.store.offlineKey(f.partition), string(id))
}
