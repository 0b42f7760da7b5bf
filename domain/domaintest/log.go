// Package domaintest keeps the log of one aggregate in memory, for tests of its rules.
//
// # Design
//
// It drives the rules exactly as commands on a real log do: it loads the fields that a command names and no others,
// writes the fields that its events touch, and puts sequences in place of pending ones only afterwards. So a rule that
// reads a field it did not name, or changes one it did not say, fails here ([Log.Give]).
package domaintest

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"

	"mpim/domain"
)

// Command is what all commands have in common.
type Command interface{ By() domain.Stamp }

// Rules are the functions of one package of rules.
type Rules[S any, C Command] struct {
	Needs   func(C) []string
	Load    func(domain.Fields) (S, error)
	Decide  func(S, C) ([]domain.Fact, error)
	Evolve  func(S, domain.Event) S
	Touched func(domain.Event) []string
	Store   func(S, string) (string, bool)
}

// Log is one aggregate: its events, and the decision state they led to.
type Log[S any, C Command] struct {
	Rules  Rules[S, C]
	Events []domain.Event
	Fields domain.Fields
}

// New returns an empty log.
func New[S any, C Command](rules Rules[S, C]) *Log[S, C] {
	return &Log[S, C]{Rules: rules, Fields: domain.Fields{}}
}

// Give decides a command and appends what it comes to. Refused is the command's refusal, which may come with events; err
// says that the rules contradict themselves.
func (l *Log[S, C]) Give(c C) (events []domain.Event, refused, err error) {
	needs := l.Rules.Needs(c)
	state, err := l.Rules.Load(l.only(needs))
	if err != nil {
		return nil, nil, err
	}
	facts, refused := l.Rules.Decide(state, c)
	if err := l.checkNeeds(c, facts, refused); err != nil {
		return nil, refused, err
	}
	if len(facts) > domain.MaxCommitEvents {
		return nil, refused, fmt.Errorf("%T: %d events in one commit", c, len(facts))
	}
	if len(facts) == 0 {
		return nil, refused, nil
	}
	events, err = l.append(c, state, facts)
	if err != nil {
		return nil, refused, fmt.Errorf("%T: %w", c, err)
	}
	return events, refused, l.Check()
}

// append evolves the state with pending sequences, writes what was touched, and numbers the events.
func (l *Log[S, C]) append(c C, state S, facts []domain.Fact) ([]domain.Event, error) {
	by, head := c.By(), domain.Seq(l.Fields.Int(domain.SeqField))
	numbers := make([]domain.Seq, len(facts))
	events := make([]domain.Event, len(facts))
	written := map[string]bool{}
	for i, fact := range facts {
		pending := domain.Event{At: by.At, Actor: by.Actor, Data: fact}
		events[i] = pending
		if fact.Sequenced() {
			head++
			numbers[i], events[i].Seq, pending.Seq = head, head, domain.Pending(i)
		}
		state = l.Rules.Evolve(state, pending)
		for _, field := range l.Rules.Touched(pending) {
			written[field] = true
		}
	}
	for field := range written {
		value, present := l.Rules.Store(state, field)
		if !present {
			delete(l.Fields, field)
			continue
		}
		value, err := Number(value, numbers)
		if err != nil {
			return nil, err
		}
		l.Fields[field] = value
	}
	for _, field := range slices.AppendSeq(l.Rules.Needs(c), maps.Keys(l.Fields)) {
		if value, present := l.Rules.Store(state, field); present && !written[field] && value != l.Fields[field] {
			return nil, fmt.Errorf("field %q was changed to %q but not touched", field, value)
		}
	}
	if head > 0 {
		l.Fields[domain.SeqField] = head.String()
	}
	l.Events = append(l.Events, events...)
	return events, nil
}

// Check folds all events from the beginning and compares the outcome with the fields, and reads the fields and writes
// them again.
func (l *Log[S, C]) Check() error {
	var folded S
	for _, e := range l.Events {
		folded = l.Rules.Evolve(folded, e)
	}
	loaded, err := l.Rules.Load(maps.Clone(l.Fields))
	if err != nil {
		return err
	}
	for _, field := range l.fields() {
		want, stored := l.Fields[field]
		if got, present := l.Rules.Store(loaded, field); present != stored || got != want {
			return fmt.Errorf("field %q is %q, and stored again %q", field, want, got)
		}
		if got, present := l.Rules.Store(folded, field); present != stored || got != want {
			return fmt.Errorf("field %q is %q, and folded from all events %q", field, want, got)
		}
	}
	return nil
}

// fields returns the names of all fields that the rules ever wrote.
func (l *Log[S, C]) fields() []string {
	var fields []string
	for _, e := range l.Events {
		fields = append(fields, l.Rules.Touched(e)...)
	}
	slices.Sort(fields)
	return slices.Compact(fields)
}

// State returns the whole state.
func (l *Log[S, C]) State() S {
	state, err := l.Rules.Load(maps.Clone(l.Fields))
	if err != nil {
		panic(err)
	}
	return state
}

// only returns the fields that are needed, all where needs is nil.
func (l *Log[S, C]) only(needs []string) domain.Fields {
	fields := maps.Clone(l.Fields)
	if needs != nil {
		maps.DeleteFunc(fields, func(field, _ string) bool { return !slices.Contains(needs, field) })
	}
	return fields
}

// checkNeeds decides on the whole state, which must come to the same as deciding on the fields that were named.
func (l *Log[S, C]) checkNeeds(c C, facts []domain.Fact, refused error) error {
	all, again := l.Rules.Decide(l.State(), c)
	if verdict, whole := fmt.Sprint(refused), fmt.Sprint(again); !reflect.DeepEqual(all, facts) || whole != verdict {
		return fmt.Errorf("%T: on the fields it names it is decided as %v (%s), on all fields as %v (%s)", c, facts, verdict, all, whole)
	}
	return nil
}

var pending = regexp.MustCompile("\x01([0-9]+)\x01")

// Number puts sequences in place of pending ones, as the append script does: numbers holds that of each event of the
// commit, 0 where it has none.
func Number(value string, numbers []domain.Seq) (numbered string, err error) {
	numbered = pending.ReplaceAllStringFunc(value, func(mark string) string {
		n, _ := strconv.Atoi(pending.FindStringSubmatch(mark)[1])
		if n < 1 || n > len(numbers) || numbers[n-1] == 0 {
			err = fmt.Errorf("%q waits for the sequence of event %d, which has none", value, n-1)
			return ""
		}
		return numbers[n-1].String()
	})
	return numbered, err
}
