package tables_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/builds"
	"mpim/projections/checkpoint"
	"mpim/projections/database"
	"mpim/projections/projectionstest"
	"mpim/projections/tables"
	"mpim/schema"
)

const (
	group = domain.ConversationID("g0000000000000000000100")
	other = domain.ConversationID("g0000000000000000000200")
	alice = domain.UserID("u0000000000000000000100")
)

func sent(text string) *domain.MessageSent {
	return &domain.MessageSent{ClientID: "c", Body: domain.Body{Type: domain.TextBody, Text: text}}
}

// messages makes a log of n messages in two conversations.
func messages(tb testing.TB, partition, n int) *projectionstest.Log {
	tb.Helper()
	log := projectionstest.NewLog(partition)
	for i := range n {
		c := group
		if i%3 == 0 {
			c = other
		}
		log.Append(tb, c.Aggregate(), alice, sent(fmt.Sprintf("message %d of partition %d", i, partition)))
		log.Append(tb, c.Aggregate(), alice, &domain.ReceiptMoved{ReadSeq: 1})
	}
	return log
}

// apply gives a projection a part of a log through a runner.
func apply(tb testing.TB, p projections.Projection, log *projectionstest.Log, from, to int64) {
	tb.Helper()
	if _, err := p.Take(tb.Context(), log.Partition, 1); err != nil {
		tb.Fatal(err)
	}
	runner, err := projections.NewRunner(p, projections.Config{})
	if err != nil {
		tb.Fatal(err)
	}
	ctx := schema.WithBatch(tb.Context(), log.Batch(1, from, to))
	if err := runner.Handle(message.NewMessageWithContext(ctx, "", nil)); err != nil {
		tb.Fatal(err)
	}
}

// standing returns what the live build of sizes says.
func standing(tb testing.TB, db *database.DB) string {
	tb.Helper()
	var rows []sizeRow
	err := tables.Read(tb.Context(), db, sizes.Name, func(ctx context.Context, tx *tables.Tx) error {
		return tx.Select(&rows, "conversations").Order("conversation").Scan(ctx)
	})
	if err != nil {
		tb.Fatal(err)
	}
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&b, "%s:%d ", r.Conversation[len(r.Conversation)-4:], r.Messages)
	}
	return b.String()
}

func TestADefinitionIsAProjection(t *testing.T) {
	t.Parallel()
	projectionstest.Each(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		p := tables.New(db, sizes)
		for partition := range 3 { // whose messages are of the same conversations, so that rows are added to
			log := messages(t, partition, 30)
			apply(t, p, log, 1, 7)
			apply(t, p, log, 8, 60)
			apply(t, p, log, 60, 60) // again
		}
		if got := standing(t, db); got != "0100:60 0200:30 " {
			t.Errorf("the rows are %q", got)
		}
	})
}

func TestKeepAndPut(t *testing.T) {
	t.Parallel()
	projectionstest.Each(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		d := sizes
		d.Fold = func(ctx context.Context, tx *tables.Tx, _ []*schema.Record) error {
			row := func(bytes int64) []sizeRow { return []sizeRow{{"a", 1, bytes}} }
			for _, write := range []func() error{
				func() error { return tables.Insert(ctx, tx, "conversations", row(1)) },
				func() error { return tables.Put(ctx, tx, "conversations", row(2)) },
				func() error { return tables.Keep(ctx, tx, "conversations", row(3)) },
				func() error { return tables.Add(ctx, tx, "conversations", row(40)) },
				func() error { return tables.Put(ctx, tx, "conversations", []*sizeRow(nil)) },
			} {
				if err := write(); err != nil {
					return err
				}
			}
			return nil
		}
		apply(t, tables.New(db, d), messages(t, 0, 1), 1, 2)
		if got := projectionstest.Rows(t.Context(), t, db, "SELECT * FROM sizes_1_conversations"); len(got) != 1 || got[0] != `conversation="a" messages=2 bytes=42` {
			t.Errorf("the rows are %q", got)
		}
	})
}

// One event that cannot be applied parks its conversation, whichever way the records are decoded.
func TestPoisonParksItsConversation(t *testing.T) {
	t.Parallel()
	projectionstest.Each(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		d := sizes
		d.Fold, d.Decode = nil, func(records []*schema.Record) (tables.Write, error) {
			return func(ctx context.Context, tx *tables.Tx) error { return foldSizes(ctx, tx, records) }, nil
		}
		log := messages(t, 0, 9)
		log.Records[4].Data = []byte(`{"body":17}`)
		p := tables.New(db, d)
		apply(t, p, log, 1, 18)
		if got := standing(t, db); got != "0100:1 0200:3 " {
			t.Errorf("the rows are %q", got)
		}
		if status, err := p.Status(t.Context()); err != nil || status.Parked != 5 {
			t.Errorf("status is %+v, %v", status, err)
		}
	})
}

func TestMistakenDefinitionsAreRefused(t *testing.T) {
	t.Parallel()
	for name, mistake := range map[string]func(*tables.Definition){
		"name":    func(d *tables.Definition) { d.Name = "Sizes" },
		"version": func(d *tables.Definition) { d.Version = 0 },
		"types":   func(d *tables.Definition) { d.Types = nil },
		"both folds": func(d *tables.Definition) {
			d.Decode = func([]*schema.Record) (tables.Write, error) { return nil, nil }
		},
		"table": func(d *tables.Definition) { d.Tables = append(d.Tables, d.Tables[0]) },
		"view":  func(d *tables.Definition) { d.Views = []tables.View{{Name: "v", Select: "SELECT 1 FROM {none}"}} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if recover() == nil {
					t.Error("it was taken")
				}
			}()
			d := sizes
			d.Tables = append([]tables.Table(nil), sizes.Tables...)
			mistake(&d)
			tables.New(nil, d)
		})
	}
}

// opened has nothing to open.
func opened(context.Context, []*schema.Record) error { return nil }

// What is parked is applied in order once its cause is gone, each conversation in one transaction; what is given up is kept
// with who did so and why, and a try that fails is counted.
func TestParkedEventsAreRetriedAndDiscarded(t *testing.T) {
	t.Parallel()
	projectionstest.Each(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		broken := true
		d := sizes
		d.Fold = func(ctx context.Context, tx *tables.Tx, records []*schema.Record) error {
			for _, r := range records {
				if broken && (r.Seq == 3 || r.Seq == 7) { // one of each conversation
					return fmt.Errorf("event %d is too much", r.Seq)
				}
			}
			return foldSizes(ctx, tx, records)
		}
		log := messages(t, 0, 9)
		for _, r := range log.Records { // as they are when they are read again
			projectionstest.Encode(t, r)
		}
		p := tables.New(db, d)
		apply(t, p, log, 1, 18)
		if got := standing(t, db); got != "0200:1 " {
			t.Fatalf("the rows are %q", got)
		}
		checkpoints := checkpoint.SQL{DB: db, Build: builds.Build{Name: "sizes", Number: 1}}
		parked := func() []checkpoint.ParkedEvent {
			found, err := checkpoints.ParkedEvents(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
		if found := parked(); len(found) != 8 || found[0].Attempts != 1 || !strings.Contains(found[0].Reason, "too much") || found[1].Attempts != 0 {
			t.Fatalf("parked are %+v", found)
		}
		key := projections.Key(group.Aggregate().String())
		if n, err := p.Retry(t.Context(), 0, key, opened); err == nil || n != 0 {
			t.Errorf("a retry with the cause still there: %d, %v", n, err)
		}
		if found := parked(); len(found) != 8 || found[0].Attempts != 2 || found[0].Last.Before(found[0].First) {
			t.Errorf("parked are %+v", found)
		}
		broken = false
		if n, err := p.Retry(t.Context(), 0, key, opened); err != nil || n != 6 {
			t.Errorf("a retry: %d, %v", n, err)
		}
		if got := standing(t, db); got != "0100:6 0200:1 " {
			t.Errorf("the rows are %q", got)
		}
		other := projections.Key(other.Aggregate().String())
		if n, err := checkpoints.Discard(t.Context(), 0, other, 7, "carol", "sent twice"); err != nil || n != 1 {
			t.Errorf("discard: %d, %v", n, err)
		}
		gone, err := checkpoints.Discards(t.Context())
		if err != nil || len(gone) != 1 || gone[0].By != "carol" || gone[0].Why != "sent twice" || gone[0].At.IsZero() || gone[0].Type != domain.TypeMessageSent {
			t.Errorf("discarded are %+v, %v", gone, err)
		}
		if n, err := p.Retry(t.Context(), 0, other, opened); err != nil || n != 1 {
			t.Errorf("what stood behind: %d, %v", n, err)
		}
		if found := parked(); len(found) != 0 {
			t.Errorf("parked are %+v", found)
		}
	})
}
