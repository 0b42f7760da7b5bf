// Package fold computes the decision state of aggregates and the due list of timers from events, as they should stand in
// Redis beside the log. [Verify] compares, [Rebuild] puts right what differs.
//
// # Design
//
// The append script writes decision state as the command that decided on it computed it. Both that and this fold use the same
// Evolve of the aggregate's package; what is added here is what the script adds: sequences, ordinals and versions. A version
// counts commits that changed a rule, and which events were one commit is told by their ids: those behind the first differ
// from it in a known way.
//
// Rebuild may run while commands go on. It reads an aggregate and the partition's counter at one instant, folds up to there,
// and writes only if no event of that aggregate came since, which the script that writes sees in the log itself. Otherwise it
// reads and folds on. Rejected: to compare fields with what was read, since a command may have set a damaged field to the very
// value that the damage had; and to close the partition, which is not needed.
package fold

import (
	"fmt"
	"strconv"
	"time"

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
	// Due is the due list: when each timer fires, by its name.
	Due map[string]time.Time

	// load returns what an aggregate had before the first event that is folded; nil where that is the first of all.
	load func(domain.Aggregate) (domain.Fields, error)
	// fields and timers are what changed since Changes was asked; kept only where the fold was resumed.
	fields map[domain.Aggregate]map[string]bool
	timers map[string]bool

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
	// resume takes over what is stored.
	resume(fields domain.Fields) error
}

// rules are the functions of an aggregate's package.
type rules[S any] struct {
	state   S
	load    func(domain.Fields) (S, error)
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

func (r *rules[S]) resume(fields domain.Fields) (err error) {
	r.state, err = r.load(fields)
	return err
}

func newState(kind domain.AggregateKind) state {
	switch kind {
	case domain.Account:
		return &rules[account.State]{load: account.Load, evolve: account.Evolve, touched: account.Touched, store: account.Store}
	case domain.Pair:
		return &rules[pair.State]{load: pair.Load, evolve: pair.Evolve, touched: pair.Touched, store: pair.Store}
	default:
		return &rules[conversation.State]{load: conversation.Load, evolve: conversation.Evolve, touched: conversation.Touched, store: conversation.Store}
	}
}

// New returns a fold that has seen nothing.
func New() *Partition { return Resume(0, nil) }

// Resume returns a fold that goes on behind a sequence with which a commit ended. Load returns what an aggregate had then.
func Resume(seq int64, load func(domain.Aggregate) (domain.Fields, error)) *Partition {
	return &Partition{
		Seq: seq, Aggregates: make(map[domain.Aggregate]*Aggregate), Due: make(map[string]time.Time), load: load,
		fields: make(map[domain.Aggregate]map[string]bool), timers: make(map[string]bool),
	}
}

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
	a, err := p.aggregate(r.Aggregate)
	if err != nil {
		return err
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
		p.note(r.Aggregate, domain.SeqField, domain.OrdinalField)
	}
	p.set(r.Aggregate, a, event)
	if r.Aggregate.Kind != domain.Account {
		p.time(r.Aggregate, event)
	}
	return nil
}

// aggregate returns what is known of an aggregate.
func (p *Partition) aggregate(of domain.Aggregate) (*Aggregate, error) {
	if a := p.Aggregates[of]; a != nil {
		return a, nil
	}
	a := &Aggregate{Fields: make(domain.Fields), state: newState(of.Kind)}
	if p.load != nil {
		fields, err := p.load(of)
		if err != nil {
			return nil, err
		}
		if err := a.state.resume(fields); err != nil {
			return nil, fmt.Errorf("state of %s: %w", of, err)
		}
		a.Fields, a.version = fields, fields.Int(domain.VersionField)
	}
	p.Aggregates[of] = a
	return a, nil
}

// set changes the fields that an event changes, and the version once a commit.
func (p *Partition) set(of domain.Aggregate, a *Aggregate, event domain.Event) {
	for field, value := range a.state.apply(event) {
		p.note(of, field)
		if value == "" {
			delete(a.Fields, field)
		} else {
			a.Fields[field] = value
		}
		if !domain.Free(field) && !p.raised {
			p.raised = true
			a.version++
			a.Fields[domain.VersionField] = strconv.FormatInt(a.version, 10)
			p.note(of, domain.VersionField)
		}
	}
}

// time puts timers on the due list and takes them off.
func (p *Partition) time(of domain.Aggregate, event domain.Event) {
	set, cancel := conversation.Timers(of, event)
	for _, timer := range set {
		p.Due[timer.Name] = timer.At
		p.noteTimer(timer.Name)
	}
	for _, name := range cancel {
		delete(p.Due, name)
		p.noteTimer(name)
	}
}
