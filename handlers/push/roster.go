package push

import (
	"container/list"
	"math"

	"mpim/domain"
	"mpim/domain/conversation"
)

// roster is who is, was and will be a member of one conversation: windows say from where to where, so it may be newer
// than the events that it is asked about.
type roster struct {
	id    domain.ConversationID
	state conversation.State
	// head is the last sequence that the state has for certain.
	head domain.Seq
	// spans are audiences of the batch at hand.
	spans []span
	batch uint64
	place *list.Element
	// counted is the size at which it was added.
	counted int
}

// span is an audience, and the sequences from From up to, without, Until of whose events it is that of.
type span struct {
	from, until domain.Seq
	members     int
	audience    audience
}

// now is a sequence that only open windows contain.
const now = domain.Seq(math.MaxInt64 - 1)

// fold takes in an event. Those that the state has already change nothing.
func (r *roster) fold(e domain.Event) {
	if e.Seq <= r.head {
		return
	}
	r.head = e.Seq
	if user, ok := moved(e.Data); ok && lastEdge(r.state.Windows(user)) >= e.Seq {
		return
	}
	r.state = conversation.Evolve(r.state, e)
	r.spans = nil
}

// moved returns the user who comes or goes with an event.
func moved(fact domain.Fact) (domain.UserID, bool) {
	switch fact := fact.(type) {
	case *domain.MemberAdded:
		return fact.User, true
	case *domain.MemberJoined:
		return fact.User, true
	case *domain.MemberLeft:
		return fact.User, true
	case *domain.MemberRemoved:
		return fact.User, true
	default:
		return "", false
	}
}

func lastEdge(windows domain.Windows) domain.Seq {
	if len(windows) == 0 {
		return 0
	}
	last := windows[len(windows)-1]
	return max(last.From, last.To)
}

// size is how many members are kept.
func (r *roster) size() int { return len(r.state.Members) + len(r.state.Users) }

// users calls yield with all who are, were or will be members.
func (r *roster) users(yield func(domain.UserID, domain.Windows) bool) {
	if r.state.Kind == domain.DirectConversation {
		for _, user := range r.state.Users {
			if !yield(user, r.state.Windows(user)) {
				return
			}
		}
		return
	}
	for user, member := range r.state.Members {
		if !yield(user, member.Windows) {
			return
		}
	}
}

// at returns the audience of the event with the given sequence. While a batch is handled it is kept for all events
// between which nobody came or went.
func (r *roster) at(seq domain.Seq, batch uint64, g *gathering) *span {
	if r.batch != batch {
		r.batch, r.spans = batch, nil
	}
	for i := range r.spans {
		if s := &r.spans[i]; s.from <= seq && seq < s.until {
			return s
		}
	}
	s := span{from: 0, until: math.MaxInt64}
	s.audience = g.of(func(yield func(domain.UserID) bool) {
		for user, windows := range r.users {
			for _, w := range windows {
				s.narrow(seq, w.From)
				if !w.Open() {
					s.narrow(seq, w.To+1)
				}
			}
			if windows.Contains(seq) {
				s.members++
				if !yield(user) {
					return
				}
			}
		}
	}, nil)
	r.spans = append(r.spans, s)
	return &r.spans[len(r.spans)-1]
}

// narrow keeps the span on the side of an edge on which seq is.
func (s *span) narrow(seq, edge domain.Seq) {
	if edge <= seq {
		s.from = max(s.from, edge)
	} else {
		s.until = min(s.until, edge)
	}
}

// split returns the audience of a change to a message: who may see the message, and who may see only that something
// happened to it.
func (r *roster) split(seq, message domain.Seq, batch uint64, g *gathering) (seeing, blind audience) {
	s := r.at(seq, batch, g)
	if s.from <= message {
		// Between the message and its change nobody came or went.
		return s.audience, audience{}
	}
	pick := func(sees bool) audience {
		return g.of(func(yield func(domain.UserID) bool) {
			for user, windows := range r.users {
				if windows.Contains(seq) && windows.Contains(message) == sees && !yield(user) {
					return
				}
			}
		}, nil)
	}
	return pick(true), pick(false)
}

// rosters are those of the active conversations of a partition, the least recently used of which are forgotten.
type rosters struct {
	most    int
	members int
	byID    map[domain.ConversationID]*roster
	recent  *list.List // of *roster, the last used in front
	doubted []*roster
}

func newRosters(most int) *rosters {
	return &rosters{most: most, byID: make(map[domain.ConversationID]*roster), recent: list.New()}
}

// get returns a roster that is there, or nil.
func (rs *rosters) get(id domain.ConversationID) *roster {
	r := rs.byID[id]
	if r != nil {
		rs.recent.MoveToFront(r.place)
	}
	return r
}

func (rs *rosters) add(r *roster) {
	rs.byID[r.id] = r
	r.place = rs.recent.PushFront(r)
	r.counted = r.size()
	rs.members += r.counted
}

// distrust has a roster read anew for the next batch.
func (rs *rosters) distrust(r *roster) { rs.doubted = append(rs.doubted, r) }

// trim forgets what is distrusted, and then the least recently used until the rest is within bounds. It is called
// between batches: while one is handled, all its rosters are needed.
func (rs *rosters) trim() {
	for _, r := range rs.doubted {
		rs.forget(r)
	}
	rs.doubted = nil
	for rs.members > rs.most && rs.recent.Len() > 1 {
		r, _ := rs.recent.Back().Value.(*roster)
		rs.forget(r)
	}
}

func (rs *rosters) forget(r *roster) {
	if rs.byID[r.id] != r {
		return
	}
	rs.recent.Remove(r.place)
	delete(rs.byID, r.id)
	rs.members -= r.counted
}
