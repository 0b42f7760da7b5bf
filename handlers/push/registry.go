package push

import (
	"maps"
	"slices"
	"sync"
	"time"

	"mpim/domain"
	"mpim/schema"
)

// registry knows the live connections of all users, of all partitions: who pushes one partition pushes to members who
// live in any. It is folded by one goroutine and read by those of all partitions.
type registry struct {
	mu       sync.RWMutex
	users    map[domain.UserID][]*connection
	gateways map[string]*gateway
	// slots is how many slots there are, and free those that no gateway has now.
	slots int
	free  []int
	// folded is how far the presence stream of each partition is in users.
	folded []schema.StreamID
	// changed is closed and replaced whenever folded moves.
	changed chan struct{}
	barred  barred
	// clients are the names of clients, each held once however many connections have it.
	clients map[string]string
	// tell is what happens beside a fold, in its goroutine and without the lock. It must not block.
	tell func(folded)
}

// folded is what others have to know about what was folded.
type folded struct {
	// gateways have new connections.
	gateways map[string]struct{}
	typing   []schema.Typing
	// late are connections of sessions that were revoked, or of users who were suspended, before they were folded.
	late []late
}

type late struct {
	connection *connection
	code       uint16
}

// gateway is one gateway with its connections.
type gateway struct {
	id string
	// slot is a small number that no other gateway has as long as this one is in the registry.
	slot        int
	connections map[domain.ConnectionID]*connection
}

// connection is one live socket. It never changes.
type connection struct {
	user    domain.UserID
	session domain.SessionID
	gateway *gateway
	number  uint32
	// client is what it calls itself, "name/version", or empty.
	client string
}

func newRegistry(partitions int, tell func(folded)) *registry {
	r := &registry{tell: tell, changed: make(chan struct{}), folded: make([]schema.StreamID, partitions)}
	r.reset()
	return r
}

// reset forgets all connections. The caller holds the lock, or is alone.
func (r *registry) reset() {
	r.users = make(map[domain.UserID][]*connection)
	r.gateways = make(map[string]*gateway)
}

// replace takes over what another registry has.
func (r *registry) replace(other *registry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.users, r.gateways, r.slots, r.free = other.users, other.gateways, other.slots, other.free
	r.folded = other.folded
	r.wake()
}

// lower takes back how far streams are folded that end before.
func (r *registry) lower(heads []schema.StreamID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for partition, head := range heads {
		if head.Compare(r.folded[partition]) < 0 {
			r.folded[partition] = head
		}
	}
}

func (r *registry) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// fold takes in entries of presence streams, in order within a partition.
func (r *registry) fold(entries []schema.PresenceRead) {
	told := folded{gateways: make(map[string]struct{})}
	r.mu.Lock()
	for _, e := range entries {
		switch entry := e.Entry.(type) {
		case schema.Connected:
			if c := r.add(entry); c != nil {
				told.gateways[entry.Gateway] = struct{}{}
				if code := r.barred.code(c, time.Now()); code != 0 {
					told.late = append(told.late, late{connection: c, code: code})
				}
			}
		case schema.Disconnected:
			r.remove(entry.Gateway, entry.Connection)
		case schema.GatewayExpired:
			r.expire(entry.Gateway, e.Partition)
		case schema.Typing:
			told.typing = append(told.typing, entry)
		default:
			// Statuses have channels of their own; the rest is not known to this version.
		}
		r.folded[e.Partition] = e.ID
	}
	r.wake()
	r.mu.Unlock()
	r.tell(told)
}

// add notes a connection, again or for the first time. It is nil for what is no connection id.
func (r *registry) add(e schema.Connected) *connection {
	number, ok := e.Connection.Number()
	if !ok {
		return nil
	}
	r.remove(e.Gateway, e.Connection)
	g := r.gateways[e.Gateway]
	if g == nil {
		g = &gateway{id: e.Gateway, slot: r.slot(), connections: make(map[domain.ConnectionID]*connection)}
		r.gateways[e.Gateway] = g
	}
	c := &connection{user: e.User, session: e.Session, gateway: g, number: number, client: r.name(e.Client)}
	g.connections[e.Connection] = c
	r.users[e.User] = append(r.users[e.User], c)
	return c
}

// maxClients bounds the names that are held once.
const maxClients = 1000

// name returns a client's name in the form that is held once.
func (r *registry) name(client string) string {
	if known, ok := r.clients[client]; ok {
		return known
	}
	if r.clients == nil || len(r.clients) >= maxClients {
		r.clients = make(map[string]string)
	}
	r.clients[client] = client
	return client
}

// slot returns a slot that is free: those who make audiences have memory for each there ever was.
func (r *registry) slot() int {
	if last := len(r.free) - 1; last >= 0 {
		slot := r.free[last]
		r.free = r.free[:last]
		return slot
	}
	r.slots++
	return r.slots - 1
}

func (r *registry) remove(gatewayID string, id domain.ConnectionID) {
	g := r.gateways[gatewayID]
	if g == nil {
		return
	}
	c := g.connections[id]
	if c == nil {
		return
	}
	delete(g.connections, id)
	if len(g.connections) == 0 {
		delete(r.gateways, gatewayID)
		r.free = append(r.free, g.slot)
	}
	// Readers may hold the slice no longer than the lock, so it is changed in place.
	left := slices.DeleteFunc(r.users[c.user], func(other *connection) bool { return other == c })
	if len(left) == 0 {
		delete(r.users, c.user)
	} else {
		r.users[c.user] = left
	}
}

// expire removes the connections of a gateway whose users live in a partition.
func (r *registry) expire(gatewayID string, partition int) {
	g := r.gateways[gatewayID]
	if g == nil {
		return
	}
	for id := range g.connections {
		if p, _ := id.Partition(); p == partition {
			r.remove(gatewayID, id)
		}
	}
}

// position returns how far each presence stream is folded.
func (r *registry) position() []schema.StreamID {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Clone(r.folded)
}

// reached says whether all streams are folded up to the given entries, and returns what is closed at the next change.
func (r *registry) reached(heads []schema.StreamID) (bool, <-chan struct{}) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for partition, head := range heads {
		if r.folded[partition].Compare(head) < 0 {
			return false, r.changed
		}
	}
	return true, r.changed
}

// gatewayIDs returns the gateways that have connections.
func (r *registry) gatewayIDs() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Collect(maps.Keys(r.gateways))
}

func (r *registry) isEmpty() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.gateways) == 0
}

func (r *registry) count() (gateways, connections int) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, g := range r.gateways {
		connections += len(g.connections)
	}
	return len(r.gateways), connections
}

// bar has the connections of a session, or of a user where the session is empty, closed with the code also when they are
// folded later: a connection is in the log before it is in a presence stream, so the event that ends it may be handled
// in between.
func (r *registry) bar(user domain.UserID, session domain.SessionID, code uint16) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.barred.add(user, session, code, time.Now())
}

// unbar lets a user in again.
func (r *registry) unbar(user domain.UserID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.barred.users, user)
}

// barred remembers for some minutes whose connections were closed.
type barred struct {
	sessions map[domain.SessionID]closing
	users    map[domain.UserID]closing
}

type closing struct {
	code uint16
	at   time.Time
}

const (
	// barredFor is much longer than a connection takes from the log to the presence stream and from there to a registry.
	barredFor = 10 * time.Minute
	// barredBeforeSweep is how many are remembered before those whose time is over are looked for.
	barredBeforeSweep = 1024
)

func (b *barred) add(user domain.UserID, session domain.SessionID, code uint16, now time.Time) {
	if b.sessions == nil {
		b.sessions, b.users = make(map[domain.SessionID]closing), make(map[domain.UserID]closing)
	}
	if len(b.sessions)+len(b.users) >= barredBeforeSweep {
		maps.DeleteFunc(b.sessions, func(_ domain.SessionID, c closing) bool { return now.Sub(c.at) > barredFor })
		maps.DeleteFunc(b.users, func(_ domain.UserID, c closing) bool { return now.Sub(c.at) > barredFor })
	}
	if session != "" {
		b.sessions[session] = closing{code: code, at: now}
	} else {
		b.users[user] = closing{code: code, at: now}
	}
}

// code returns with what a connection is to be closed, or 0.
func (b *barred) code(c *connection, now time.Time) uint16 {
	if closed, ok := b.sessions[c.session]; ok && now.Sub(closed.at) <= barredFor {
		return closed.code
	}
	if closed, ok := b.users[c.user]; ok && now.Sub(closed.at) <= barredFor {
		return closed.code
	}
	return 0
}
