package webhooks_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/database"
	"mpim/projections/deadletters"
	"mpim/projections/projectionstest"
	"mpim/projections/webhooks"
	"mpim/schema"
)

var added = webhooks.Webhook{
	ID: "wh01", URL: "https://example.org/Ünïcode?a=b", Types: "message.*,member.added", Secret: []byte{0, 1, '\'', 255},
	CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 678000, time.UTC),
}

func TestWants(t *testing.T) {
	t.Parallel()
	for eventType, want := range map[domain.EventType]bool{
		"message.sent": true, "message.edited": true, "member.added": true, "member.left": false, "account.registered": false,
	} {
		if added.Wants(eventType) != want {
			t.Errorf("%s: wanted %t", eventType, !want)
		}
	}
}

func TestAddListRemove(t *testing.T) {
	t.Parallel()
	projectionstest.Each(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		store := webhooks.Store{DB: db}
		if err := store.Add(t.Context(), added, []int64{0, 7}); err != nil {
			t.Fatal(err)
		}
		all, err := store.List(t.Context())
		if err != nil || len(all) != 1 {
			t.Fatalf("list: %+v, %v", all, err)
		}
		got := all[0]
		if got.ID != added.ID || got.URL != added.URL || got.Types != added.Types || !bytes.Equal(got.Secret, added.Secret) || !got.CreatedAt.Equal(added.CreatedAt) {
			t.Errorf("listed %+v, want %+v", got, added)
		}
		letter := deadletters.Of(got.Handler(), &schema.Record{Position: domain.Position{Partition: 1, Seq: 3}}, errors.New("no"), 1, time.Now(), time.Now())
		if err := (deadletters.Store{DB: db}).Put(t.Context(), []deadletters.Letter{letter}); err != nil {
			t.Fatal(err)
		}
		if err := store.Remove(t.Context(), added.ID); err != nil {
			t.Fatal(err)
		}
		if err := store.Remove(t.Context(), added.ID); !errors.Is(err, webhooks.ErrGone) {
			t.Errorf("removed twice: %v", err)
		}
		if _, err := store.Take(t.Context(), added.ID, 1, 5); !errors.Is(err, webhooks.ErrGone) {
			t.Errorf("taken after it went: %v", err)
		}
		if counts, err := (deadletters.Store{DB: db}).Counts(t.Context()); err != nil || len(counts) != 0 {
			t.Errorf("its dead letters stay: %v, %v", counts, err)
		}
	})
}

func TestCheckpointMovesUnderOneToken(t *testing.T) {
	t.Parallel()
	projectionstest.Each(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		ctx, store := t.Context(), webhooks.Store{DB: db}
		if err := store.Add(ctx, added, []int64{4, 7}); err != nil {
			t.Fatal(err)
		}
		old, err := store.Take(ctx, added.ID, 1, 5)
		if err != nil || old.Seq != 7 || old.Token != 5 {
			t.Fatalf("taken %+v, %v", old, err)
		}
		since := time.Date(2026, 1, 2, 3, 4, 5, 678000, time.UTC)
		if old, err = store.Fail(ctx, old, webhooks.Failing{Since: since, Attempts: 2, NextAt: since.Add(time.Second), Reason: "out of reach"}); err != nil {
			t.Fatal(err)
		}
		newer, err := store.Take(ctx, added.ID, 1, 6)
		if err != nil || newer.Failing != old.Failing {
			t.Fatalf("who took over sees %+v, want %+v, %v", newer.Failing, old.Failing, err)
		}
		if _, err := store.Take(ctx, added.ID, 1, 5); !errors.Is(err, projections.ErrDeposed) {
			t.Errorf("taken under an older token: %v", err)
		}
		if _, err := store.Advance(ctx, old, 8, 1); !errors.Is(err, projections.ErrDeposed) {
			t.Errorf("moved under an older token: %v", err)
		}
		if _, err := store.Fail(ctx, old, webhooks.Failing{Since: since}); !errors.Is(err, projections.ErrDeposed) {
			t.Errorf("failed under an older token: %v", err)
		}
		moved, err := store.Advance(ctx, newer, 12, 3)
		if err != nil || moved.Seq != 12 || !moved.Failing.Since.IsZero() {
			t.Fatalf("moved: %+v, %v", moved, err)
		}
		if _, err := store.Advance(ctx, newer, 12, 3); !errors.Is(err, projections.ErrDeposed) {
			t.Errorf("moved twice: %v", err)
		}
		progress, err := store.Progress(ctx)
		if err != nil || len(progress) != 2 || progress[0].Seq != 4 || progress[0].Delivered != 0 || !progress[0].DeliveredAt.IsZero() ||
			progress[1].Seq != 12 || progress[1].Delivered != 3 || progress[1].DeliveredAt.IsZero() || progress[1].Failing != (webhooks.Failing{}) {
			t.Errorf("progress: %+v, %v", progress, err)
		}
	})
}

func TestRewind(t *testing.T) {
	t.Parallel()
	projectionstest.Each(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		ctx, store := t.Context(), webhooks.Store{DB: db}
		if err := store.Add(ctx, added, []int64{4, 7}); err != nil {
			t.Fatal(err)
		}
		before, err := store.Take(ctx, added.ID, 1, 5)
		if err != nil {
			t.Fatal(err)
		}
		if before, err = store.Fail(ctx, before, webhooks.Failing{Since: time.Now(), Attempts: 1, NextAt: time.Now().Add(time.Hour), Reason: "no"}); err != nil {
			t.Fatal(err)
		}
		if err := store.Rewind(ctx, added.ID, map[int]int64{1: 2}); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Advance(ctx, before, 8, 1); !errors.Is(err, projections.ErrDeposed) {
			t.Errorf("moved on from where it was: %v", err)
		}
		after, err := store.Take(ctx, added.ID, 1, 5)
		if err != nil || after.Seq != 2 || after.Rewinds != 1 || after.Failing != (webhooks.Failing{}) {
			t.Errorf("after: %+v, %v", after, err)
		}
		if other, err := store.Take(ctx, added.ID, 0, 5); err != nil || other.Seq != 4 || other.Rewinds != 0 {
			t.Errorf("the other partition: %+v, %v", other, err)
		}
		if w, err := store.Get(ctx, added.ID); err != nil || w.Rewinds != 1 {
			t.Errorf("%+v, %v", w, err)
		}
		if err := store.Rewind(ctx, "wh02", nil); !errors.Is(err, webhooks.ErrGone) {
			t.Errorf("another: %v", err)
		}
	})
}

// What is given up and where the checkpoint stands change together.
func TestGiveUp(t *testing.T) {
	t.Parallel()
	projectionstest.Each(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		ctx, store, letters := t.Context(), webhooks.Store{DB: db}, deadletters.Store{DB: db}
		if err := store.Add(ctx, added, []int64{0}); err != nil {
			t.Fatal(err)
		}
		c, err := store.Take(ctx, added.ID, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		first := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		record := &schema.Record{Position: domain.Position{Seq: 1}, ID: "e1", Type: domain.TypeMessageSent, Aggregate: domain.Aggregate{Kind: domain.Group, ID: "g1"}}
		letter := deadletters.Of(added.Handler(), record, errors.New("the receiver answered 422"), 3, first, first.Add(time.Hour))
		if _, err := store.Advance(ctx, webhooks.Checkpoint{Webhook: added.ID, Token: 9}, 1, 0, letter); !errors.Is(err, projections.ErrDeposed) {
			t.Fatal(err)
		}
		if list, err := letters.List(ctx, deadletters.Filter{}, 10); err != nil || len(list) != 0 {
			t.Errorf("a letter of who may not: %+v, %v", list, err)
		}
		for n := range 2 {
			if c, err = store.Advance(ctx, c, int64(n+1), 0, letter); err != nil {
				t.Fatal(err)
			}
		}
		got, found, err := letters.Get(ctx, added.Handler(), domain.Position{Seq: 1})
		want := letter
		want.Failures = 6
		if err != nil || !found || got != want {
			t.Errorf("kept %+v, want %+v, %v", got, want, err)
		}
		if handler, p, err := deadletters.ParseID(got.ID()); err != nil || handler != added.Handler() || p != got.Position() {
			t.Errorf("id %s: %s, %s, %v", got.ID(), handler, p, err)
		}
		if done, err := letters.Discard(ctx, got.Handler, got.Position(), "it was a test"); err != nil || !done {
			t.Errorf("discard: %t, %v", done, err)
		}
		if list, err := letters.List(ctx, deadletters.Filter{Handler: got.Handler}, 10); err != nil || len(list) != 0 {
			t.Errorf("what was discarded stands: %+v, %v", list, err)
		}
		list, err := letters.List(ctx, deadletters.Filter{Discarded: true}, 10)
		if err != nil || len(list) != 1 || list[0].DiscardReason != "it was a test" || list[0].DiscardedAt.IsZero() {
			t.Errorf("discarded: %+v, %v", list, err)
		}
		for seq, erased := range []bool{false, true} {
			if err := letters.Forget(ctx, func(p domain.Position) bool { return p.Seq == int64(seq) }); err != nil {
				t.Fatal(err)
			}
			if got, _, err := letters.Get(ctx, got.Handler, got.Position()); err != nil || erased == (got.Reason == want.Reason) || got.Reason == "" {
				t.Errorf("the reason is %q, erased: %v, %v", got.Reason, erased, err)
			}
		}
		if removed, err := letters.Remove(ctx, got.Handler, got.Position()); err != nil || !removed {
			t.Errorf("remove: %t, %v", removed, err)
		}
	})
}

// After a repair a webhook goes on behind what all have seen alike; whoever delivers what was lost is deposed.
func TestRetreat(t *testing.T) {
	t.Parallel()
	projectionstest.Each(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		ctx, store := t.Context(), webhooks.Store{DB: db}
		if err := store.Add(ctx, added, []int64{4, 7}); err != nil {
			t.Fatal(err)
		}
		held, err := store.Take(ctx, added.ID, 1, 5)
		if err != nil {
			t.Fatal(err)
		}
		letters := deadletters.Store{DB: db}
		for seq := int64(5); seq <= 7; seq++ {
			r := &schema.Record{Position: domain.Position{Partition: 1, Seq: seq}}
			if err := letters.Put(ctx, []deadletters.Letter{deadletters.Of(added.Handler(), r, errors.New("no"), 1, time.Now(), time.Now())}); err != nil {
				t.Fatal(err)
			}
		}
		if behind, err := letters.Behind(ctx, 1, 5); err != nil || len(behind) != 2 || behind[0].Seq != 6 {
			t.Errorf("letters behind event 5: %+v, %v", behind, err)
		}
		for partition := range 2 {
			if err := store.Retreat(ctx, partition, 5); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := store.Advance(ctx, held, 8, 1); !errors.Is(err, projections.ErrDeposed) {
			t.Errorf("what was lost was delivered: %v", err)
		}
		all, err := store.Progress(ctx)
		if err != nil || len(all) != 2 || all[0].Seq != 4 || all[1].Seq != 5 {
			t.Errorf("it stands at %+v, %v", all, err)
		}
	})
}
