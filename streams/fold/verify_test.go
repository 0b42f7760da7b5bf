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

func TestVerifyNamesEachDifference(t *testing.T) {
	t.Parallel()
	placement := domain.Placement{Partitions: 1}
	group, other := placement.Group("u", "1").Aggregate(), placement.Group("u", "2").Aggregate()
	l := &log{stored: make(map[domain.Aggregate]domain.Fields)}
	title := "New"
	l.commit(t, group, 1,
		&domain.ConversationCreated{Kind: domain.GroupConversation, Title: "Old", Members: []domain.MemberRole{{User: "u", Role: domain.Owner}}},
		&domain.MemberAdded{User: "v"})
	l.commit(t, group, 2, &domain.ConversationUpdated{Title: &title})
	l.commit(t, group, 3, &domain.MessageSent{ClientID: "1", Body: domain.Body{Type: domain.TextBody, Text: "x"}})
	l.commit(t, other, 4, &domain.ConversationCreated{Kind: domain.GroupConversation, Members: []domain.MemberRole{{User: "u", Role: domain.Owner}}})

	p := fold.New()
	for _, r := range l.records {
		if err := p.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	// The first commit has two events and raised the version once, the message not at all.
	if v := p.Aggregates[group].Fields[domain.VersionField]; v != "2" {
		t.Errorf("version %s, want 2", v)
	}
	if seq := p.Aggregates[group].Fields[domain.SeqField]; seq != "4" {
		t.Errorf("sequence %s, want 4", seq)
	}
	if err := p.Add(l.records[0]); err == nil {
		t.Error("an event that does not follow was folded")
	}
	for a, folded := range p.Aggregates {
		l.stored[a] = maps.Clone(folded.Fields)
	}
	verify := func() []string {
		n, found, err := fold.Verify(t.Context(), l, l, 0, func(int64) {})
		if err != nil || n != 2 {
			t.Fatalf("%d aggregates, %v", n, err)
		}
		var all []string
		for _, difference := range found {
			all = append(all, difference.Field)
		}
		return all
	}
	if found := verify(); len(found) > 0 {
		t.Fatalf("differences where there are none: %v", found)
	}
	l.stored[group][domain.VersionField] = "3"
	l.stored[group]["m:w"] = "something"
	delete(l.stored[group], "m:v")
	l.stored[other] = nil
	if found := verify(); len(found) < 5 {
		t.Errorf("found only %v", found)
	}
}
