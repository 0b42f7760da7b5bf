// Package fold computes the decision state of aggregates from their events, as it should stand in Redis beside the log.
//
// # Design
//
// The append script writes decision state as the command that decided on it computed it. Both that and this fold use the same
// Evolve of the aggregate's package; what is added here is what the script adds: sequences, ordinals and versions. A version
// counts commits that changed a rule, and which events were one commit is told by their ids: those behind the first differ
// from it in a known way.
package fold

import (
	"fmt"
	"strconv"

	"mpim/domain"
	"mpim/domain/account"
	"mpim/domain/conversation"
	"mpim/domain/pair"
	"mpim/schema"
)

// Partition folds the events of one partition, in order from the first.
type Partition struct {
	// Seq is the last event that was folded.
	Seq int64
	// Aggregates are those that have events.
	Aggregates map[domain.Aggregate]*Aggregate

	// The commit to which the last event belongs: its first event's id, how many it has, and whether it raised the version.
	first  domain.EventID
	owner  domain.Aggregate
	events int
	raised bool
}

// Aggregate is the decision state of one aggregate.
type Aggregate struct {
	// Fields are all that are not empty, the version, sequence and ordinal included.
	Fields domain.Fields
	// Erased says that some of what its events said was erased, so that fields cannot be told from them any more.
	Erased bool

	version int64
	state   state
}

// state is that of an aggregate's package.
type state interface {
	// apply returns the fields that the event may have changed, with their values; absent ones are empty.
	apply(e domain.Event) domain.Fields
}

// rules are the functions of an aggregate's package.
type rules[S any] struct {
	state   S
	evolve  func(S, domain.Event) S
	touched func(domain.Event) []string
	store   func(S, string) (string, bool)
}

func (r *rules[S]) apply(e domain.Event) domain.Fields {
	r.state = r.evolve(r.state, e)
	changed := make(domain.Fields)
	for _, field := range r.touched(e) {
		value, present := r.store(r.state, field)
		if !present {
			value = ""
		}
		changed[field] = value
	}
	return changed
}

func newState(kind domain.AggregateKind) state {
	switch kind {
	case domain.Account:
		return &rules[account.State]{evolve: account.Evolve, touched: account.Touched, store: account.Store}
	case domain.Pair:
		return &rules[pair.State]{evolve: pair.Evolve, touched: pair.Touched, store: pair.Store}
	default:
		return &rules[conversation.State]{evolve: conversation.Evolve, touched: conversation.Touched, store: conversation.Store}
	}
}

// New returns a fold that has seen nothing.
func New() *Partition { return &Partition{Aggregates: make(map[domain.Aggregate]*Aggregate)} }

// Add folds the next event. An event without an aggregate changes no decision state. The error says why an event cannot be
// folded; it is passed over then.
func (p *Partition) Add(r *schema.Record) error {
	if r.Seq != p.Seq+1 {
		return fmt.Errorf("event %s follows event %d", r.Position, p.Seq)
	}
	p.Seq = r.Seq
	if r.Aggregate == (domain.Aggregate{}) {
		return nil
	}
	event, err := r.Event()
	if err != nil {
		return fmt.Errorf("fold: %w", err)
	}
	a := p.Aggregates[r.Aggregate]
	if a == nil {
		a = &Aggregate{Fields: make(domain.Fields), state: newState(r.Aggregate.Kind)}
		p.Aggregates[r.Aggregate] = a
	}
	if p.events > 0 && r.Aggregate == p.owner && p.first.Behind(p.events) == r.ID {
		p.events++
	} else {
		p.first, p.owner, p.events, p.raised = r.ID, r.Aggregate, 1, false
	}
	a.Erased = a.Erased || r.Erased
	if r.ConversationSeq > 0 {
		a.Fields[domain.SeqField] = r.ConversationSeq.String()
		a.Fields[domain.OrdinalField] = strconv.FormatInt(r.Ordinal, 10)
	}
	for field, value := range a.state.apply(event) {
		if value == "" {
			delete(a.Fields, field)
		} else {
			a.Fields[field] = value
		}
		if !domain.Free(field) && !p.raised {
			p.raised = true
			a.version++
			a.Fields[domain.VersionField] = strconv.FormatInt(a.version, 10)
		}
	}
	return nil
}
