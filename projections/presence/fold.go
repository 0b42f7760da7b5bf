package presence

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

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
	known, err := load(ctx, p, map[int][]domain.UserID{f.partition: f.order})
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
		f.w.HSet(f.p.Key(f.partition, connectionsName), string(fact.Connection), text)
		if lease := f.lease(e); lease != nil {
			lease.Do(e.Seq, "HSET", f.p.store.routeKey(e.user), string(fact.Connection), text)
			lease.Do(e.Seq, "PEXPIRE", f.p.store.routeKey(e.user), strconv.FormatInt(RouteTTL.Milliseconds(), 10))
		}
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
		f.w.HDel(f.p.Key(f.partition, connectionsName), string(fact.Connection))
		if lease := f.lease(e); lease != nil {
			lease.Do(e.Seq, "HDEL", f.p.store.routeKey(e.user), string(fact.Connection))
		}
	default:
		return nil // Handles lets nothing else pass.
	}
	f.users[e.user] = u
	lease := f.lease(e)
	if lease == nil {
		return nil
	}
	lease.HSet(e.Seq, usersField, u.String())
	if chosen.at > 0 {
		lease.Do(e.Seq, "NEWER", f.p.store.statusKey(e.user), choiceField, strconv.FormatInt(chosen.at, 10), chosen.String())
	}
	return nil
}

// lease returns what is written to the leases of the event's user: route and status, which have one tag and so one guard. It
// is nil where nothing is. All builds write the same; a build that is not live is silent of what is so old that its lease has
// run out, for the guard has run out with it.
func (f *folding) lease(e event) *checkpoint.Guarded {
	if !f.p.leases || !f.p.live && time.Since(e.At) > StatusTTL {
		return nil
	}
	return f.w.Guarded(f.p.store.statusKey(e.user), StatusTTL)
}

// forgottenAfter is for how long a build that is not live keeps who went offline: nobody sweeps it.
const forgottenAfter = time.Hour

// write sets what the user has come to, and when it goes offline.
func (f *folding) write(id domain.UserID) {
	u := f.users[id]
	f.w.HSet(f.p.Key(f.partition, usersName), string(id), u.String())
	offline := f.p.Key(f.partition, offlineName)
	if len(u.connections) == 0 && u.due > u.seen {
		f.w.Do("ZADD", offline, strconv.FormatInt(u.due, 10), string(id))
	} else {
		f.w.Do("ZREM", offline, string(id))
	}
	if !f.p.live {
		f.w.Do("ZREMRANGEBYSCORE", offline, "-inf", strconv.FormatInt(time.Now().Add(-forgottenAfter).UnixMilli(), 10))
	}
}

// Pipelined implements build.
func (p *Projection) Pipelined(ctx context.Context, ask func(redis.Pipeliner) error) error {
	_, err := p.Client().Pipelined(ctx, ask)
	return err
}
