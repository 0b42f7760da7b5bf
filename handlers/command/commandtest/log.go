package commandtest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"mpim/domain"
	"mpim/schema"
)

// Log is a log in memory. Its zero value is not usable; see New.
type Log struct {
	mu         sync.Mutex
	partitions int
	records    [][]*schema.Record
	states     map[domain.Aggregate]domain.Fields
	requests   map[requestKey]kept
	due        []map[string]time.Time
	// BeforeAppend, where set, runs before each append, outside the lock: to change what was decided on, or to fail.
	BeforeAppend func(domain.Commit) error
}

type requestKey struct {
	partition int
	key       [12]byte
}

type kept struct {
	content  [8]byte
	appended domain.Appended
}

// New returns an empty log.
func New(partitions int) *Log {
	return &Log{
		partitions: partitions,
		records:    make([][]*schema.Record, partitions),
		states:     make(map[domain.Aggregate]domain.Fields),
		requests:   make(map[requestKey]kept),
		due:        make([]map[string]time.Time, partitions),
	}
}

// Settled implements auth.Loader: it loses nothing.
func (*Log) Settled(context.Context, domain.Aggregate) error { return nil }

// Load returns the named fields of an aggregate, or all.
func (l *Log) Load(_ context.Context, aggregate domain.Aggregate, fields []string) (domain.Fields, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	state := l.states[aggregate]
	if fields == nil {
		return maps.Clone(state), nil
	}
	loaded := make(domain.Fields, len(fields))
	for _, field := range fields {
		if value, ok := state[field]; ok {
			loaded[field] = value
		}
	}
	return loaded, nil
}

// LoadAll returns the named fields of aggregates.
func (l *Log) LoadAll(ctx context.Context, wanted []domain.Wanted) ([]domain.Fields, error) {
	all := make([]domain.Fields, len(wanted))
	for i, w := range wanted {
		all[i], _ = l.Load(ctx, w.Aggregate, w.Fields) // it never fails
	}
	return all, nil
}

// Lookup returns what a request led to.
func (l *Log) Lookup(_ context.Context, aggregate domain.Aggregate, request domain.Request) (domain.Appended, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lookup(aggregate, request)
}

func (l *Log) lookup(aggregate domain.Aggregate, request domain.Request) (domain.Appended, bool, error) {
	partition, _ := aggregate.Partition()
	known, ok := l.requests[requestKey{partition, request.Key}]
	if !ok {
		return domain.Appended{}, false, nil
	}
	if known.content != request.Content {
		return domain.Appended{}, false, domain.Errorf(domain.Conflict, "this client_id was used for another request")
	}
	appended := known.appended
	appended.Duplicate = true
	appended.Position.Seq = int64(len(l.records[partition]))
	return appended, true, nil
}

// Head returns the last sequence of a partition.
func (l *Log) Head(_ context.Context, partition int) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(len(l.records[partition])), nil
}

// Heads returns the last sequence of every partition.
func (l *Log) Heads(context.Context) ([]int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	heads := make([]int64, l.partitions)
	for i, records := range l.records {
		heads[i] = int64(len(records))
	}
	return heads, nil
}

// Records returns the events of a partition after the given sequence.
func (l *Log) Records(partition int, after int64) []*schema.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.records[partition][after:len(l.records[partition]):len(l.records[partition])]
}

// Append appends a commit.
func (l *Log) Append(ctx context.Context, commit domain.Commit) (domain.Appended, error) {
	if l.BeforeAppend != nil {
		if err := l.BeforeAppend(commit); err != nil {
			return domain.Appended{}, err
		}
	}
	if err := ctx.Err(); err != nil {
		return domain.Appended{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if commit.Request != nil {
		appended, known, err := l.lookup(commit.Aggregate, *commit.Request)
		if known || err != nil {
			return appended, err
		}
	}
	state := l.states[commit.Aggregate]
	for _, guard := range commit.Guards {
		if state[guard.Field] != guard.Value {
			return domain.Appended{}, domain.ErrStale
		}
	}
	if partition, _ := commit.Aggregate.Partition(); commit.Fires != "" && l.due[partition][commit.Fires].IsZero() {
		return domain.Appended{}, domain.Errorf(domain.FailedPrecondition, "the timer was cancelled or has fired")
	}
	return l.write(commit)
}

// Due returns the timers of a partition that are due at a time, the earliest first, at most limit of them.
func (l *Log) Due(_ context.Context, partition int, at time.Time, limit int) ([]domain.Timer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var due []domain.Timer
	for name, when := range l.due[partition] {
		if !when.After(at) {
			due = append(due, domain.Timer{Name: name, At: when})
		}
	}
	slices.SortFunc(due, func(a, b domain.Timer) int { return cmp.Or(a.At.Compare(b.At), strings.Compare(a.Name, b.Name)) })
	return due[:min(limit, len(due))], nil
}

func (l *Log) write(commit domain.Commit) (domain.Appended, error) {
	partition, ok := commit.Aggregate.Partition()
	if !ok || partition >= l.partitions || len(commit.Events) == 0 {
		return domain.Appended{}, fmt.Errorf("commit of %d events to %s cannot be placed", len(commit.Events), commit.Aggregate)
	}
	drafts, err := schema.Drafts(commit, nil)
	if err != nil {
		return domain.Appended{}, err
	}
	state := l.states[commit.Aggregate]
	if state == nil {
		state = make(domain.Fields)
		l.states[commit.Aggregate] = state
	}
	seqs := make([]domain.Seq, len(drafts))
	result := domain.Appended{At: commit.At, Event: drafts[0].ID}
	for i, draft := range drafts {
		draft.Payload = []byte(resolve(string(draft.Payload), seqs[:i]))
		record, err := l.record(partition, state, draft)
		if err != nil {
			return domain.Appended{}, err
		}
		seqs[i] = domain.Seq(state.Int(domain.SeqField))
		if result.Seq == 0 {
			result.Seq = record.ConversationSeq
		}
	}
	for _, field := range commit.Set {
		state[field.Name] = resolve(field.Value, seqs)
	}
	for _, field := range commit.Delete {
		delete(state, field)
	}
	if commit.RaisesVersion {
		state[domain.VersionField] = strconv.FormatInt(state.Int(domain.VersionField)+1, 10)
	}
	l.time(partition, commit, seqs)
	result.Ordinal = state.Int(domain.OrdinalField)
	result.Position = domain.Position{Partition: partition, Seq: int64(len(l.records[partition]))}
	if commit.Request != nil {
		l.requests[requestKey{partition, commit.Request.Key}] = kept{commit.Request.Content, result}
	}
	return result, nil
}

// time brings the due list up to date.
func (l *Log) time(partition int, commit domain.Commit, seqs []domain.Seq) {
	if l.due[partition] == nil {
		l.due[partition] = make(map[string]time.Time)
	}
	for _, timer := range commit.Timers {
		l.due[partition][resolve(timer.Name, seqs)] = timer.At
	}
	for _, name := range append(slices.Clone(commit.Cancels), commit.Fires) {
		delete(l.due[partition], name)
	}
}

// record numbers a draft and keeps it.
func (l *Log) record(partition int, state domain.Fields, draft schema.Draft) (*schema.Record, error) {
	number := len(l.records[partition]) + 1
	metadata := slices.Concat(draft.Metadata, []byte(short(schema.PartitionSeqKey)+short(strconv.Itoa(number))))
	if draft.Sequenced {
		state[domain.SeqField] = strconv.FormatInt(state.Int(domain.SeqField)+1, 10)
		ordinal := state.Int(domain.OrdinalField)
		if draft.Message {
			ordinal++
		}
		state[domain.OrdinalField] = strconv.FormatInt(ordinal, 10)
		metadata = append(metadata, short(schema.SeqKey)+short(state[domain.SeqField])...)
		metadata = append(metadata, short(schema.OrdinalKey)+short(state[domain.OrdinalField])...)
	}
	record, err := schema.DecodeRecord(partition, strconv.Itoa(number)+"-0", string(draft.ID), metadata, draft.Payload)
	if err != nil {
		return nil, err
	}
	l.records[partition] = append(l.records[partition], &record)
	return &record, nil
}

// short is a MessagePack string of fewer than 32 bytes.
func short(s string) string { return string([]byte{0xa0 | byte(len(s))}) + s }

var pending = regexp.MustCompile("\x01([0-9]+)\x01")

// resolve replaces the marks of pending sequences by the sequences.
func resolve(value string, seqs []domain.Seq) string {
	return pending.ReplaceAllStringFunc(value, func(mark string) string {
		n, err := strconv.Atoi(mark[1 : len(mark)-1])
		if err != nil || n < 1 || n > len(seqs) {
			return mark
		}
		return seqs[n-1].String()
	})
}
