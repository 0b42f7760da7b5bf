package command

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"mpim/domain"
)

// Store is the log as commands need it.
type Store interface {
	// Load returns the named fields of an aggregate's decision state, or all where fields is nil. An aggregate that
	// does not exist has none.
	Load(ctx context.Context, aggregate domain.Aggregate, fields []string) (domain.Fields, error)
	// Append appends a commit, or returns what the same request led to before. It returns domain.ErrStale where a
	// guard does not hold, and an error of kind Conflict where the request is known with other content.
	Append(ctx context.Context, commit domain.Commit) (domain.Appended, error)
	// Lookup returns what a request led to, false where the log does not know it, and an error of kind Conflict where
	// its content was another.
	Lookup(ctx context.Context, aggregate domain.Aggregate, request domain.Request) (domain.Appended, bool, error)
	// Head returns the last sequence of a partition.
	Head(ctx context.Context, partition int) (int64, error)
}

// Command is what all commands have: who gives it, and when.
type Command interface {
	By() domain.Stamp
}

// Rules is how one kind of aggregate decides, as the packages below domain say it: S is its state, C its commands.
type Rules[S any, C Command] struct {
	// Needs names the fields that a command is decided on; nil means all.
	Needs func(C) []string
	Load  func(domain.Fields) (S, error)
	// Decide returns no facts where what is asked is already so. With facts and an error, the facts are appended and the
	// command is refused all the same.
	Decide func(S, C) ([]domain.Fact, error)
	Evolve func(S, domain.Event) S
	// Touched names the fields that Evolve may have changed.
	Touched func(domain.Event) []string
	// Store returns a field's value, false where it is absent.
	Store func(S, string) (string, bool)
	// Timers returns the timers that an event puts on the due list, and the names of those that it takes off. It is nil
	// for an aggregate that has none.
	Timers func(domain.Aggregate, domain.Event) (set []domain.Timer, cancel []string)
}

// Request is one command with its circumstances.
type Request[C Command] struct {
	Aggregate domain.Aggregate
	Command   C
	// Entropy makes the ids of the events, where there is no ID.
	Entropy []byte
	// ID makes the command idempotent; nil where it has no client id.
	ID *domain.Request
	// Fires is the timer that the command comes from: it is decided once, and the timer is gone then. "" for none.
	Fires string
	// Loaded is what the command needs, the version among it, where the caller has read it already: it is decided on that
	// first, and on what the store says where that has changed.
	Loaded domain.Fields
	// Trace is the W3C trace parent; empty where the trace is not sampled.
	Trace string
}

// Result is what became of a command.
type Result[S any] struct {
	domain.Appended
	// Changed says that events were appended by this call. Where it is false and Duplicate too, all was as asked
	// already, and Position is where the partition stood.
	Changed bool
	// State is the aggregate as it was decided on, with the events applied; sequences in it may still be pending. Only
	// the fields that the command needs are in it. It is the zero state where Duplicate is set.
	State S
}

// Attempts bounds how often a command is decided anew because its state changed meanwhile.
const Attempts = 12

// Execute loads, decides and appends. Errors are those of the decider and of the store; where the aggregate changes
// faster than can be decided, the kind is Unavailable.
func Execute[S any, C Command](ctx context.Context, store Store, rules Rules[S, C], request Request[C]) (Result[S], error) {
	for attempt := range Attempts {
		result, err := once(ctx, store, rules, request)
		request.Loaded = nil
		if !errors.Is(err, domain.ErrStale) {
			return result, err
		}
		if err := pause(ctx, attempt); err != nil {
			return Result[S]{}, domain.Wrap(domain.Unavailable, err, "the request was given up while it waited its turn")
		}
	}
	return Result[S]{}, &domain.Error{
		Code: domain.Unavailable, Message: "too many others change this at the same time: try again", RetryAfter: time.Second,
		Cause: fmt.Errorf("%s: %d attempts were stale", request.Aggregate, Attempts),
	}
}

func once[S any, C Command](ctx context.Context, store Store, rules Rules[S, C], request Request[C]) (Result[S], error) {
	fields, err := request.Loaded, error(nil)
	if fields == nil {
		fields, err = store.Load(ctx, request.Aggregate, needs(rules.Needs(request.Command)))
	}
	if err != nil {
		return Result[S]{}, fmt.Errorf("load %s: %w", request.Aggregate, err)
	}
	state, err := rules.Load(fields)
	if err != nil {
		return Result[S]{}, fmt.Errorf("read the state of %s: %w", request.Aggregate, err)
	}
	facts, refusal := rules.Decide(state, request.Command)
	switch {
	case len(facts) == 0 && refusal != nil:
		return refused[S](ctx, store, request.Aggregate, request.ID, refusal)
	case len(facts) == 0:
		return unchanged(ctx, store, request.Aggregate, request.ID, state)
	}
	by := request.Command.By()
	commit := domain.Commit{
		Aggregate: request.Aggregate, Request: request.ID, At: by.At, Actor: by.Actor,
		Entropy: request.Entropy, Events: facts, Fires: request.Fires, Trace: request.Trace,
	}
	state = rules.fold(&commit, state, fields)
	appended, err := store.Append(ctx, commit)
	if err != nil {
		return Result[S]{}, fmt.Errorf("append to %s: %w", request.Aggregate, err)
	}
	if appended.Duplicate {
		return Result[S]{Appended: appended}, nil
	}
	return Result[S]{Appended: appended, Changed: true, State: state}, refusal
}

// needs adds the version, which every commit guards on.
func needs(fields []string) []string {
	if fields == nil || slices.Contains(fields, domain.VersionField) {
		return fields
	}
	return append(slices.Clone(fields), domain.VersionField)
}

// fold applies the commit's events to the state and completes the commit with what it was decided on and what it
// leads to.
func (r Rules[S, C]) fold(commit *domain.Commit, state S, fields domain.Fields) S {
	var touched []string
	for i, fact := range commit.Events {
		event := domain.Event{At: commit.At, Actor: commit.Actor, Data: fact}
		if fact.Sequenced() {
			event.Seq = domain.Pending(i)
		}
		state = r.Evolve(state, event)
		touched = append(touched, r.Touched(event)...)
		if r.Timers != nil {
			set, cancel := r.Timers(commit.Aggregate, event)
			commit.Timers, commit.Cancels = append(commit.Timers, set...), append(commit.Cancels, cancel...)
		}
	}
	slices.Sort(touched)
	commit.Guards = append(commit.Guards, domain.Guard{Field: domain.VersionField, Value: fields[domain.VersionField]})
	for _, field := range slices.Compact(touched) {
		if domain.Free(field) {
			commit.Guards = append(commit.Guards, domain.Guard{Field: field, Value: fields[field]})
		} else {
			commit.RaisesVersion = true
		}
		if value, present := r.Store(state, field); present {
			commit.Set = append(commit.Set, domain.Field{Name: field, Value: value})
		} else {
			commit.Delete = append(commit.Delete, field)
		}
	}
	return state
}

// refused returns the refusal, unless the request was granted before: then it is a retry, and its first result stands.
func refused[S any](ctx context.Context, store Store, aggregate domain.Aggregate, id *domain.Request, refusal error) (Result[S], error) {
	if id == nil {
		return Result[S]{}, refusal
	}
	appended, known, err := store.Lookup(ctx, aggregate, *id)
	if err != nil {
		return Result[S]{}, fmt.Errorf("look up the request at %s: %w", aggregate, err)
	}
	if !known {
		return Result[S]{}, refusal
	}
	appended.Duplicate = true
	return Result[S]{Appended: appended}, nil
}

// unchanged answers a command that asks for what is already so.
func unchanged[S any](ctx context.Context, store Store, aggregate domain.Aggregate, id *domain.Request, state S) (Result[S], error) {
	if id != nil {
		appended, known, err := store.Lookup(ctx, aggregate, *id)
		if err != nil {
			return Result[S]{}, fmt.Errorf("look up the request at %s: %w", aggregate, err)
		}
		if known {
			appended.Duplicate = true
			return Result[S]{Appended: appended}, nil
		}
	}
	partition, ok := aggregate.Partition()
	if !ok {
		return Result[S]{}, fmt.Errorf("%s names no partition", aggregate)
	}
	head, err := store.Head(ctx, partition)
	if err != nil {
		return Result[S]{}, fmt.Errorf("read the head of partition %d: %w", partition, err)
	}
	position := domain.Position{Partition: partition, Seq: head}
	return Result[S]{Appended: domain.Appended{Position: position}, State: state}, nil
}

// pause waits before the next attempt: nothing after the first, then up to 2, 4, 8 … 64 ms, at random so that those who
// collided do not meet again.
func pause(ctx context.Context, attempt int) error {
	if attempt == 0 {
		return ctx.Err()
	}
	limit := time.Millisecond << min(attempt, 6)
	timer := time.NewTimer(rand.N(limit)) //nolint:gosec // a pause needs no secret
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
