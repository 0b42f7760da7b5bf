package fold_test

import (
	"context"
	"iter"
	"maps"
	"testing"
	"time"

	"mpim/domain"
	"mpim/schema"
	"mpim/streams/fold"
)

// log is a partition in memory, of which more is there with each look.
type log struct {
	records []*schema.Record
	shown   int
	stored  map[domain.Aggregate]domain.Fields
	due     map[string]time.Time
	// before is called before something is written.
	before func()
}

func (l *log) Partition(_ context.Context, _ int, after schema.Checkpoint) iter.Seq2[*schema.Record, error] {
	return func(yield func(*schema.Record, error) bool) {
		for _, r := range l.records[after.Seq:l.shown] {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (l *log) State(_ context.Context, a domain.Aggregate) (domain.Fields, int64, error) {
	return l.stored[a], int64(l.shown), nil
}

func (l *log) DueList(context.Context, int) (map[string]time.Time, int64, error) {
	return maps.Clone(l.due), int64(l.shown), nil
}

// Restate writes as the script does.
func (l *log) Restate(_ context.Context, _ int, c fold.Change) (bool, error) {
	if l.before != nil {
		l.before()
	}
	for _, r := range l.records[c.Head:l.shown] {
		if r.Aggregate == c.Aggregate {
			return false, nil
		}
	}
	if l.stored[c.Aggregate] == nil {
		l.stored[c.Aggregate] = domain.Fields{}
	}
	for _, f := range c.Set {
		l.stored[c.Aggregate][f.Name] = f.Value
	}
	for _, name := range c.Delete {
		delete(l.stored[c.Aggregate], name)
	}
	for _, t := range c.Timers {
		l.due[t.Name] = t.At
	}
	for _, name := range c.Cancels {
		delete(l.due, name)
	}
	return true, nil
}

// commit appends the facts of one commit.
func (l *log) commit(t *testing.T, a domain.Aggregate, entropy byte, facts ...domain.Fact) {
	t.Helper()
	drafts, err := schema.Drafts(domain.Commit{
		Aggregate: a, At: time.UnixMilli(1_700_000_000_000), Actor: "u", Entropy: []byte{entropy, 1, 2, 3, 4, 5, 6, 7, 8, 9}, Events: facts,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range drafts {
		data, err := schema.EncodeFact(facts[i])
		if err != nil {
			t.Fatal(err)
		}
		r := &schema.Record{ID: d.ID, Type: facts[i].EventType(), Version: 1, At: time.UnixMilli(1_700_000_000_000), Actor: "u", Aggregate: a, Data: data}
		r.Seq = int64(len(l.records) + 1)
		if d.Sequenced {
			for _, before := range l.records {
				if before.Aggregate == a {
					r.ConversationSeq = max(r.ConversationSeq, before.ConversationSeq)
				}
			}
			r.ConversationSeq++
		}
		l.records = append(l.records, r)
	}
	l.shown = len(l.records)
}

// twoGroups returns a log of two groups with one message that expires, and what should stand beside it.
func twoGroups(t *testing.T) (l *log, group, other domain.Aggregate) {
	t.Helper()
	placement := domain.Placement{Partitions: 1}
	group, other = placement.Group("u", "1").Aggregate(), placement.Group("u", "2").Aggregate()
	l = &log{stored: make(map[domain.Aggregate]domain.Fields)}
	title := "New"
	expires := domain.NewInstant(time.UnixMilli(1_800_000_000_000))
	l.commit(t, group, 1,
		&domain.ConversationCreated{Kind: domain.GroupConversation, Title: "Old", Members: []domain.MemberRole{{User: "u", Role: domain.Owner}}},
		&domain.MemberAdded{User: "v"})
	l.commit(t, group, 2, &domain.ConversationUpdated{Title: &title})
	l.commit(t, group, 3, &domain.MessageSent{ClientID: "1", Body: domain.Body{Type: domain.TextBody, Text: "x"}, ExpiresAt: &expires})
	l.commit(t, other, 4, &domain.ConversationCreated{Kind: domain.GroupConversation, Members: []domain.MemberRole{{User: "u", Role: domain.Owner}}})
	p := folded(t, l)
	for a, folded := range p.Aggregates {
		l.stored[a] = maps.Clone(folded.Fields)
	}
	l.due = maps.Clone(p.Due)
	return l, group, other
}

func folded(t *testing.T, l *log) *fold.Partition {
	t.Helper()
	p := fold.New()
	for _, r := range l.records {
		if err := p.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func TestFold(t *testing.T) {
	t.Parallel()
	l, group, _ := twoGroups(t)
	p := folded(t, l)
	// The first commit has two events and raised the version once, the message not at all.
	if v := p.Aggregates[group].Fields[domain.VersionField]; v != "2" {
		t.Errorf("version %s, want 2", v)
	}
	if seq := p.Aggregates[group].Fields[domain.SeqField]; seq != "4" {
		t.Errorf("sequence %s, want 4", seq)
	}
	if at := p.Due[group.ID+" expire 4"]; at.UnixMilli() != 1_800_000_000_000 || len(p.Due) != 1 {
		t.Errorf("the due list is %v", p.Due)
	}
	if err := p.Add(l.records[0]); err == nil {
		t.Error("an event that does not follow was folded")
	}
}

// A fold that goes on behind any commit comes to the same as one from the first event.
func TestResume(t *testing.T) {
	t.Parallel()
	l, group, other := twoGroups(t)
	for _, seq := range []int64{0, 2, 3, 4, 5} {
		before := fold.New()
		for _, r := range l.records[:seq] {
			if err := before.Add(r); err != nil {
				t.Fatal(err)
			}
		}
		p := fold.Resume(seq, func(a domain.Aggregate) (domain.Fields, error) {
			if known := before.Aggregates[a]; known != nil {
				return known.Fields, nil
			}
			return domain.Fields{}, nil
		})
		for _, r := range l.records[seq:] {
			if err := p.Add(r); err != nil {
				t.Fatal(err)
			}
		}
		for _, a := range []domain.Aggregate{group, other} {
			if got := p.Aggregates[a]; got != nil && !maps.Equal(got.Fields, l.stored[a]) {
				t.Errorf("from %d: %v, want %v", seq, got.Fields, l.stored[a])
			}
		}
	}
}

func TestVerifyNamesEachDifference(t *testing.T) {
	t.Parallel()
	l, group, other := twoGroups(t)
	verify := func() (all []string) {
		n, found, err := fold.Verify(t.Context(), l, l, 0, func(int64) {})
		if err != nil || n != 2 {
			t.Fatalf("%d aggregates, %v", n, err)
		}
		for _, difference := range found {
			all = append(all, difference.String())
		}
		return all
	}
	if found := verify(); len(found) > 0 {
		t.Fatalf("differences where there are none: %v", found)
	}
	damage(l, group, other)
	if found := verify(); len(found) < 8 {
		t.Errorf("found only %v", found)
	}
}

func damage(l *log, group, other domain.Aggregate) {
	l.stored[group][domain.VersionField] = "3"
	l.stored[group]["m:w"] = "something"
	delete(l.stored[group], "m:v")
	l.stored[other] = nil
	l.due = map[string]time.Time{"nobody's": time.UnixMilli(1).UTC(), group.ID + " expire 2": time.UnixMilli(2).UTC()}
}

func TestRebuildPutsRight(t *testing.T) {
	t.Parallel()
	l, group, other := twoGroups(t)
	damage(l, group, other)
	// Each write is crossed once by an event of the group that it is about, and one of them is what makes a field what it is.
	crossed := 0
	l.before = func() {
		if crossed++; crossed <= 2 {
			l.commit(t, group, byte(10+crossed), &domain.MemberLeft{User: "v"}, &domain.MemberJoined{User: "v"})
		}
	}
	_, changed, err := fold.Rebuild(t.Context(), l, l, l, 0, func(int64) {})
	if err != nil || len(changed) < 8 {
		t.Fatalf("changed %v, %v", changed, err)
	}
	p := folded(t, l)
	for a, want := range p.Aggregates {
		if !maps.Equal(l.stored[a], want.Fields) {
			t.Errorf("%s is %v, want %v", a, l.stored[a], want.Fields)
		}
	}
	if !maps.Equal(l.due, p.Due) {
		t.Errorf("the due list is %v, want %v", l.due, p.Due)
	}
}
