package members

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/projections/checkpoint"
	"mpim/schema"
)

// folding is what one fold has read and changed.
type folding struct {
	p       *Projection
	guard   string
	rosters map[domain.ConversationID]*hash
	users   map[domain.UserID]*hash
	// dissolved are the conversations that this fold dissolves: all their members are read.
	dissolved map[domain.ConversationID]bool
}

// hash is one guarded hash: the roster of a conversation by user, or the conversations of a user by id.
type hash struct {
	// guard is the sequence up to which the hash was folded before.
	guard int64
	// seq is that of the last event that this fold adds; 0 for none.
	seq     int64
	fields  map[string]*state
	changed map[string]bool
	// ended is, for a roster, the sequence in its conversation of the event that dissolved it; 0 while it stands.
	ended domain.Seq
}

// want makes sure that a field is read.
func (h *hash) want(field string) {
	if h.fields[field] == nil {
		h.fields[field] = new(state)
	}
}

func newHash() *hash { return &hash{fields: make(map[string]*state), changed: make(map[string]bool)} }

// change does what an event does to the field, unless it was done before.
func (h *hash) change(e event, field string, user domain.UserID) {
	if e.Seq <= h.guard {
		return
	}
	h.want(field)
	e.change(user, h.fields[field])
	h.seq, h.changed[field] = e.Seq, true
}

// load fills the fields from an answer: the guard, the end, then the fields in the given order.
func (h *hash) load(fields []string, values []any) error {
	for i, value := range values {
		text, _ := value.(string)
		switch i {
		case 0:
			h.guard = parseInt(text)
		case 1:
			h.ended = domain.Seq(parseInt(text))
		default:
			s, err := parseState(text)
			if err != nil {
				return err
			}
			h.fields[fields[i]] = &s
		}
	}
	return nil
}

func parseInt(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func newFolding(p *Projection, guard string) *folding {
	return &folding{
		p: p, guard: guard,
		rosters:   make(map[domain.ConversationID]*hash),
		users:     make(map[domain.UserID]*hash),
		dissolved: make(map[domain.ConversationID]bool),
	}
}

// touch notes what an event will change.
func (f *folding) touch(r *schema.Record, fact domain.Fact) {
	users := domain.Concerned(fact)
	if _, dissolved := fact.(*domain.ConversationDissolved); dissolved {
		f.dissolved[r.Conversation()] = true
	} else if len(users) == 0 {
		return
	}
	roster := f.rosters[r.Conversation()]
	if roster == nil {
		roster = newHash()
		f.rosters[r.Conversation()] = roster
	}
	for _, user := range users {
		roster.want(string(user))
		f.touchUser(user, r.Conversation())
	}
}

func (f *folding) touchUser(user domain.UserID, id domain.ConversationID) {
	h := f.users[user]
	if h == nil {
		h = newHash()
		f.users[user] = h
	}
	h.want(string(id))
}

// load reads what was touched.
func (f *folding) load(ctx context.Context) error {
	for id := range f.dissolved {
		if err := f.loadWhole(ctx, id); err != nil {
			return err
		}
	}
	var loads []load
	for id, roster := range f.rosters {
		if !f.dissolved[id] {
			loads = append(loads, load{f.p.OutsideKey(rosterName, string(id)), roster})
		}
	}
	for user, h := range f.users {
		loads = append(loads, load{f.p.OutsideKey(userName, string(user)), h})
	}
	for chunk := range slices.Chunk(loads, 512) {
		if err := f.loadSome(ctx, chunk); err != nil {
			return err
		}
	}
	return nil
}

// loadWhole reads all of a roster, and touches the conversations of its members.
func (f *folding) loadWhole(ctx context.Context, id domain.ConversationID) error {
	roster := f.rosters[id]
	page := func(ctx context.Context, key string, cursor uint64) (*redis.ScanCmd, error) {
		command := f.p.Client().HScan(ctx, key, cursor, "", rosterPage)
		return command, command.Err()
	}
	err := scanRoster(ctx, page, f.p.OutsideKey(rosterName, string(id)), func(field, value string) error {
		switch field {
		case f.guard:
			roster.guard = parseInt(value)
			return nil
		case dissolvedField:
			roster.ended = domain.Seq(parseInt(value))
			return nil
		}
		user := domain.UserID(field)
		if _, ok := user.Partition(); !ok {
			return nil
		}
		s, err := parseState(value)
		if err != nil {
			return err
		}
		roster.fields[field] = &s
		f.touchUser(user, id)
		return nil
	})
	return checkpoint.Outside(err)
}

type load struct {
	key  string
	into *hash
}

func (f *folding) loadSome(ctx context.Context, loads []load) error {
	commands := make([]*redis.SliceCmd, len(loads))
	fields := make([][]string, len(loads))
	_, err := f.p.Client().Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, l := range loads {
			fields[i] = append([]string{f.guard, dissolvedField}, slices.Sorted(maps.Keys(l.into.fields))...)
			commands[i] = p.HMGet(ctx, l.key, fields[i]...)
		}
		return nil
	})
	if err != nil {
		return checkpoint.Outside(fmt.Errorf("read memberships: %w", err))
	}
	for i, l := range loads {
		if err := l.into.load(fields[i], commands[i].Val()); err != nil {
			return fmt.Errorf("%s: %w", l.key, err)
		}
	}
	return nil
}

// open returns the users whose last window in a roster is open.
func (f *folding) open(roster *hash) []domain.UserID {
	var users []domain.UserID
	for _, field := range slices.Sorted(maps.Keys(roster.fields)) {
		if roster.fields[field].windows.Open() {
			users = append(users, domain.UserID(field))
		}
	}
	return users
}

// write adds what changed to the writes.
func (f *folding) write(w *checkpoint.Writes) {
	for _, id := range slices.Sorted(maps.Keys(f.rosters)) {
		f.writeRoster(w, id, f.rosters[id])
	}
	for _, user := range slices.Sorted(maps.Keys(f.users)) {
		h := f.users[user]
		if h.seq > 0 {
			w.Guarded(f.p.OutsideKey(userName, string(user)), 0).HSet(h.seq, h.pairs()...)
		}
	}
}

func (f *folding) writeRoster(w *checkpoint.Writes, id domain.ConversationID, roster *hash) {
	if roster.seq <= roster.guard {
		return
	}
	g := w.Guarded(f.p.OutsideKey(rosterName, string(id)), 0)
	if pairs := roster.pairs(); len(pairs) > 0 {
		g.HSet(roster.seq, pairs...)
	}
	order := f.p.OutsideKey(orderName, string(id))
	if roster.ended > 0 {
		g.HSet(roster.seq, dissolvedField, strconv.FormatInt(int64(roster.ended), 10))
		g.Do(roster.seq, "DEL", order)
		return
	}
	if !id.IsGroup() {
		return
	}
	var in, out []string
	for _, user := range slices.Sorted(maps.Keys(roster.changed)) {
		if roster.fields[user].windows.Open() {
			in = append(in, "0", user)
		} else {
			out = append(out, user)
		}
	}
	for chunk := range slices.Chunk(in, 2000) {
		g.Do(roster.seq, "ZADD", order, chunk...)
	}
	for chunk := range slices.Chunk(out, 1000) {
		g.Do(roster.seq, "ZREM", order, chunk...)
	}
}

// pairs returns names and values of the changed fields, in the order of their names.
func (h *hash) pairs() []string {
	pairs := make([]string, 0, 2*len(h.changed))
	for _, name := range slices.Sorted(maps.Keys(h.changed)) {
		pairs = append(pairs, name, h.fields[name].String())
	}
	return pairs
}
