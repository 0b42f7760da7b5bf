package gateway

import (
	"context"
	"slices"
	"sync"
	"time"

	"mpim/domain"
	"mpim/schema"
)

// silence is how long a push owner may say nothing until hello does not wait for it any more.
const silence = 3 * time.Second

// tracker keeps what was heard of the push owner of each partition: it notices when something was missed, and lets hello
// wait until all owners know a connection.
type tracker struct {
	mu      sync.Mutex
	owners  map[int]*owner
	waiters map[*waiter]struct{}
}

// owner is the owner of one partition as the gateway heard of it.
type owner struct {
	// known says that anything was heard at all.
	known bool
	token int64
	// number is that of the last envelope, seq how far the partition was pushed with it.
	number uint64
	seq    int64
	// again says that messages were lost, that all know of it, and that counting begins with what is heard next.
	again bool
	// folded is how far the owner knew the connections of each partition, at the time heard.
	folded []schema.StreamID
	heard  time.Time
	// silent is the newest token that hello does not wait for, until it is heard.
	silent int64
	// debts are connections that did not wait for this owner while it was silent; of ended ones they are cleared when there
	// are as many as prune.
	debts []debt
	prune int
}

// debt is a connection that an owner may not have known while it pushed.
type debt struct {
	conn      *conn
	partition int
	at        schema.StreamID
	token     int64
}

// waiter is a hello that waits for owners.
type waiter struct {
	partition int
	at        schema.StreamID
	need      []Holder
	since     time.Time
	done      chan struct{}
}

func newTracker() *tracker {
	return &tracker{owners: make(map[int]*owner), waiters: make(map[*waiter]struct{})}
}

// envelope notes an envelope. It says whether its items are to be delivered, and whether others were missed before.
func (t *tracker) envelope(e *schema.Envelope) (deliver, missed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o, missed := t.follow(e.Partition, e.Token, e.Start)
	switch {
	case o == nil:
		return false, false
	case e.Number == 0:
		return true, missed
	case o.again:
		o.again = false
	case e.Number <= o.number:
		return false, missed
	default:
		missed = missed || e.Number != o.number+1
	}
	o.number, o.seq = e.Number, max(o.seq, e.Seq)
	return true, missed
}

// heartbeat notes a heartbeat. Where envelopes were missed before it calls missed, before anybody is welcomed whom that
// does not concern. It returns the connections that the worker had not known while it pushed.
func (t *tracker) heartbeat(h *schema.Heartbeat, now time.Time, missed func()) (owed []*conn) {
	lost := false
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, lease := range h.Leases {
		o, behind := t.follow(lease.Partition, lease.Token, lease.Start)
		if o == nil {
			continue
		}
		if behind || !o.again && lease.Number > o.number {
			lost = true
		}
		if o.again || lease.Number > o.number {
			o.number = lease.Number
		}
		o.again, o.seq = false, max(o.seq, lease.Seq)
		o.folded, o.heard = h.Folded, now
		if lease.Token >= o.silent {
			o.silent = 0
		}
		o.debts = slices.DeleteFunc(o.debts, func(d debt) bool {
			paid := lease.Token > d.token || covers(h.Folded, d.partition, d.at)
			if paid {
				owed = append(owed, d.conn)
			}
			return paid
		})
	}
	if lost {
		missed()
	}
	for w := range t.waiters {
		t.settle(w)
	}
	return owed
}

// follow returns the owner of a partition under a token, nil for one that has lost it. It is true where a new one starts
// above what was heard.
func (t *tracker) follow(partition int, token, start int64) (o *owner, missed bool) {
	o = t.owner(partition)
	switch {
	case !o.known:
		// What was pushed before nobody knows, so whoever is connected already has to ask.
		o.known, o.token, o.seq = true, token, start
		return o, true
	case token < o.token:
		return nil, false
	case token > o.token:
		missed = !o.again && start > o.seq
		o.token, o.number, o.again = token, 0, false
		o.seq = max(o.seq, start)
		o.folded = nil
	}
	return o, missed
}

func (t *tracker) owner(partition int) *owner {
	o := t.owners[partition]
	if o == nil {
		o = new(owner)
		t.owners[partition] = o
	}
	return o
}

// broken says that messages were lost. Whoever may have missed something is told by other means.
func (t *tracker) broken() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, o := range t.owners {
		o.again, o.folded = true, nil
	}
}

// wait returns when each holder is known to push to a connection that stands in the presence stream of the partition at
// the given place, or was silent for too long: then the connection is told to resync once it is heard again. The error is
// of kind Unavailable where a holder is alive but does not come that far before the context ends.
func (t *tracker) wait(ctx context.Context, c *conn, partition int, at schema.StreamID, holders []Holder) error {
	w := &waiter{partition: partition, at: at, need: slices.Clone(holders), since: time.Now(), done: make(chan struct{})}
	t.mu.Lock()
	t.waiters[w] = struct{}{}
	t.giveUp(w, c, time.Now())
	t.settle(w)
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.waiters, w)
	}()
	ticker := time.NewTicker(silence / 6)
	defer ticker.Stop()
	for {
		select {
		case <-w.done:
			return nil
		case <-ctx.Done():
			return domain.Wrap(domain.Unavailable, ctx.Err(), "pushes are behind: connect again in a moment")
		case now := <-ticker.C:
			t.mu.Lock()
			t.giveUp(w, c, now)
			t.settle(w)
			t.mu.Unlock()
		}
	}
}

// settle takes off what a waiter need not wait for any longer, and lets it go when nothing is left.
func (t *tracker) settle(w *waiter) {
	w.need = slices.DeleteFunc(w.need, func(h Holder) bool {
		o := t.owner(h.Partition)
		return o.token >= h.Token && covers(o.folded, w.partition, w.at)
	})
	if len(w.need) == 0 {
		if _, waiting := t.waiters[w]; waiting {
			delete(t.waiters, w)
			close(w.done)
		}
	}
}

// giveUp stops waiting for holders that are silent.
func (t *tracker) giveUp(w *waiter, c *conn, now time.Time) {
	w.need = slices.DeleteFunc(w.need, func(h Holder) bool {
		o := t.owner(h.Partition)
		last := o.heard
		if o.token < h.Token || last.Before(w.since) {
			last = w.since
		}
		if h.Token <= o.silent || now.Sub(last) >= silence {
			o.silent = max(o.silent, h.Token)
			o.owe(debt{conn: c, partition: w.partition, at: w.at, token: h.Token})
			return true
		}
		return false
	})
}

// owe notes a debt. Those to connections that have ended go when the list has doubled.
func (o *owner) owe(d debt) {
	if len(o.debts) >= o.prune {
		o.debts = slices.DeleteFunc(o.debts, func(d debt) bool { return d.conn.isGone() })
		o.prune = 2*len(o.debts) + 64
	}
	o.debts = append(o.debts, d)
}

// covers says whether the stream of a partition is folded up to a place.
func covers(folded []schema.StreamID, partition int, at schema.StreamID) bool {
	return partition < len(folded) && folded[partition].Compare(at) >= 0
}
