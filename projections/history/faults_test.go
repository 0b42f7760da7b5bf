package history_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/uptrace/bun"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/database"
	"mpim/projections/history"
	"mpim/projections/projectionstest"
	"mpim/schema"
)

// conversationsLog makes a log of n rounds over a few groups: messages, edits and recalls.
func conversationsLog(tb testing.TB, rounds int) *projectionstest.Log {
	tb.Helper()
	log := projectionstest.NewLog(0)
	for i := range rounds {
		for _, c := range []domain.ConversationID{group, pair} {
			if i == 0 {
				log.Append(tb, c.Aggregate(), alice, created(alice, bob))
			}
			m := log.Append(tb, c.Aggregate(), alice, sent(fmt.Sprint("message ", i)))
			if i%5 == 0 {
				log.Append(tb, c.Aggregate(), alice, edited(m.ConversationSeq, "edited"))
			}
			if i%7 == 0 {
				log.Append(tb, c.Aggregate(), alice, &domain.MessageRecalled{Message: m.ConversationSeq})
			}
		}
	}
	return log
}

func deliver(ctx context.Context, runner *projections.Runner, batch *schema.Batch) error {
	return runner.Handle(message.NewMessageWithContext(schema.WithBatch(ctx, batch), "", nil)) //nolint:contextcheck // the message carries it
}

func newRunner(tb testing.TB, p projections.Projection) *projections.Runner {
	tb.Helper()
	runner, err := projections.NewRunner(p, projections.Config{})
	if err != nil {
		tb.Fatal(err)
	}
	return runner
}

// The server is killed again and again while a worker writes, and each event is in the rows exactly once. The worker does
// what the subscriber does after a failure: it looks at the checkpoint and goes on from there.
func TestMariaDBKilledInMidBatch(t *testing.T) {
	t.Parallel()
	killed := projectionstest.StartMariaDB(t)
	db := projectionstest.Open(t, killed.URL(killed.CreateDatabase(t)))
	log := conversationsLog(t, 1500)
	p := history.New(db)
	if err := p.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	runner := newRunner(t, p)

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	kills := make(chan struct{})
	failures := 0
	go func() {
		defer close(kills)
		for range 3 {
			select {
			case <-ctx.Done():
				return
			case <-time.After(150 * time.Millisecond):
			}
			if err := errors.Join(killed.Kill(), killed.Restart()); err != nil {
				t.Error(err)
			}
		}
	}()
	end := int64(len(log.Records))
	for seq, size := int64(0), int64(1); seq < end; size = size%97 + 1 {
		at, err := p.Take(ctx, 0, 1)
		if err == nil {
			if seq = at.Seq; seq == end {
				break
			}
			err = deliver(ctx, runner, log.Batch(1, seq+1, min(seq+size, end)))
		}
		if err == nil {
			continue
		}
		failures++
		if !projections.IsOutside(err) && !errors.Is(err, projections.ErrDeposed) || ctx.Err() != nil {
			t.Fatal(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
	<-kills
	t.Logf("%d batches were given back", failures)
	if failures == 0 {
		t.Error("no kill was felt: the log is too short")
	}

	reference := projectionstest.Databases["sqlite memory"](t)
	applyAll(t, reference, log)
	want, got := dump(t.Context(), t, reference), dump(t.Context(), t, db)
	if got != want {
		t.Fatal(firstDifference(want, got))
	}
	if parked, err := p.Parked(t.Context(), 0); err != nil || len(parked) != 0 {
		t.Errorf("parked are %q, %v", parked, err)
	}
}

// A worker is stuck in mid-transaction when another takes its partition over. Whatever becomes of the first, nothing is
// applied twice and nothing is left out.
func TestTakeOverInMidTransaction(t *testing.T) {
	t.Parallel()
	for name, survives := range map[string]bool{"the first commits": true, "the first is gone": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own := projectionstest.StartMariaDB(t) // whose locks are those of this test alone
			db := projectionstest.Open(t, own.URL(own.CreateDatabase(t)))
			log := conversationsLog(t, 10)
			half, end := int64(len(log.Records)/2), int64(len(log.Records))
			first := take(t, db, 0, 1)
			if err := first.Apply(t.Context(), projections.Step{Batch: *log.Batch(1, 1, 1)}); err != nil {
				t.Fatal(err)
			}
			// Somebody holds a lock on a table that the first worker writes after it moved its checkpoint.
			release, locked := make(chan struct{}), make(chan struct{})
			holder := make(chan error, 1)
			go func() {
				holder <- db.Write(t.Context(), func(ctx context.Context, tx bun.Tx) error {
					_, err := tx.ExecContext(ctx, "INSERT INTO history_1_messages (conversation, seq, ordinal, event, sender, at, "+
						"kind, client_id, recalled_by) VALUES (?, 2, 0, '', '', NOW(), '', '', '')", string(group))
					close(locked)
					<-release
					return errors.Join(err, errRollback)
				})
			}()
			<-locked
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			applied := make(chan error, 1)
			go func() { applied <- first.Apply(ctx, projections.Step{Batch: *log.Batch(1, 2, half)}) }()
			waitUntilBlocked(t, db)

			taken := make(chan schema.Checkpoint, 1)
			second := history.New(db)
			go func() {
				at, err := second.Take(t.Context(), 0, 2)
				if err != nil {
					t.Error(err)
				}
				taken <- at
			}()
			if !survives {
				cancel() // which the server notices when the statement under way ends
			}
			close(release)
			if err := <-applied; (err == nil) != survives {
				t.Errorf("the first worker: %v", err)
			}
			at := <-taken
			want := int64(1)
			if survives {
				want = half
			}
			if err := <-holder; !errors.Is(err, errRollback) {
				t.Fatal(err)
			}
			if at.Seq != want {
				t.Errorf("the second worker begins at %d, want %d", at.Seq, want)
			}
			late := projections.Step{Batch: *log.Batch(1, at.Seq+1, end)}
			if err := first.Apply(t.Context(), late); !errors.Is(err, projections.ErrDeposed) {
				t.Errorf("the deposed worker went on: %v", err)
			}
			if err := second.Apply(t.Context(), projections.Step{Batch: *log.Batch(2, at.Seq+1, end)}); err != nil {
				t.Fatal(err)
			}
			reference := projectionstest.Databases["sqlite memory"](t)
			applyAll(t, reference, log)
			if want, got := dump(t.Context(), t, reference), dump(t.Context(), t, db); got != want {
				t.Error(firstDifference(want, got))
			}
		})
	}
}

var errRollback = errors.New("roll back")

// waitUntilBlocked returns once a transaction of the server waits for a lock.
func waitUntilBlocked(t *testing.T, db *database.DB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		waits := projectionstest.Rows(ctx, t, db, "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'")
		if !strings.HasSuffix(waits[0], `Value="0"`) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal("nothing waits for the lock")
		case <-ticker.C:
		}
	}
}

// An event that cannot be applied stops its conversation and nothing else.
func TestPoisonIsParkedWithItsConversation(t *testing.T) {
	t.Parallel()
	for name, empty := range projectionstest.Databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := empty(t)
			log := projectionstest.NewLog(0)
			for _, c := range []domain.ConversationID{group, pair} {
				log.Append(t, c.Aggregate(), alice, created(alice, bob))
			}
			log.Append(t, group.Aggregate(), alice, sent("before"))
			poison := log.Append(t, group.Aggregate(), alice, sent("poison"))
			poison.Data = []byte(`{"body":17}`)
			log.Append(t, pair.Aggregate(), bob, sent("elsewhere"))
			log.Append(t, group.Aggregate(), bob, sent("behind"))
			log.Append(t, group.Aggregate(), bob, &domain.ReceiptMoved{ReadSeq: 1})
			broken := log.Append(t, pair.Aggregate(), bob, sent("broken"))
			broken.Broken, broken.Data = errors.New("no JSON"), nil
			log.Append(t, pair.Aggregate(), alice, sent("behind that"))

			runner := newRunner(t, take(t, db, 0, 1))
			if err := deliver(t.Context(), runner, log.Batch(1, 1, 6)); err != nil {
				t.Fatal(err)
			}
			if err := deliver(t.Context(), runner, log.Batch(1, 7, 9)); err != nil {
				t.Fatal(err)
			}
			parked := projectionstest.Rows(t.Context(), t, db,
				"SELECT seq, aggregate, payload, reason <> '' AS failed FROM parked_events ORDER BY aggregate, seq")
			want := []string{
				fmt.Sprintf("seq=4 aggregate=%q payload=%q failed=1", group.Aggregate(), poison.Payload),
				fmt.Sprintf("seq=6 aggregate=%q payload=%q failed=0", group.Aggregate(), log.Records[5].Payload),
				fmt.Sprintf("seq=8 aggregate=%q payload=%q failed=1", pair.Aggregate(), broken.Payload),
				fmt.Sprintf("seq=9 aggregate=%q payload=%q failed=0", pair.Aggregate(), log.Records[8].Payload),
			}
			if got, want := strings.Join(parked, "\n"), strings.Join(want, "\n"); got != want {
				t.Errorf("parked are\n%s\nwant\n%s", got, want)
			}
			view := history.View{User: alice, Windows: domain.Windows{{From: 1}}}
			if got := page(t, db, view, history.Range{Limit: 9}); got != "2:before " {
				t.Errorf("the parked conversation reads %q", got)
			}
			status, err := runner.Projection().Status(t.Context())
			if err != nil || status.Parked != 4 || status.Applied() != 9 || status.State != projections.Live ||
				status.Build != 1 || !status.Partitions[0].At.Equal(at(9)) {
				t.Errorf("status is %+v, %v", status, err)
			}
		})
	}
}

// A value that the database refuses parks its event like one that cannot be decoded.
func TestWhatTheDatabaseRefusesIsParked(t *testing.T) {
	t.Parallel()
	db := projectionstest.Databases["mariadb"](t)
	log := projectionstest.NewLog(0)
	for i := range 20 {
		m := sent(strconv.Itoa(i))
		c := group
		if i == 13 {
			m.Body.Type, c = strings.Repeat("x", 100), pair
		}
		log.Append(t, c.Aggregate(), alice, m)
	}
	runner := newRunner(t, take(t, db, 0, 1))
	if err := deliver(t.Context(), runner, log.Batch(1, 1, 20)); err != nil {
		t.Fatal(err)
	}
	rows := projectionstest.Rows(t.Context(), t, db, "SELECT COUNT(*) AS n FROM history_1_messages")
	parked := projectionstest.Rows(t.Context(), t, db, "SELECT seq FROM parked_events")
	if rows[0] != "n=19" || len(parked) != 1 || parked[0] != "seq=14" {
		t.Errorf("%s, parked %q", rows[0], parked)
	}
}

// A missing table is no event's fault, and nothing is parked for it.
func TestADamagedSchemaParksNothing(t *testing.T) {
	t.Parallel()
	for name, empty := range projectionstest.Databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := empty(t)
			log := conversationsLog(t, 20)
			p := take(t, db, 0, 1)
			if err := db.Define(t.Context(), "DROP TABLE history_1_messages"); err != nil {
				t.Fatal(err)
			}
			err := deliver(t.Context(), newRunner(t, p), log.Batch(1, 1, int64(len(log.Records))))
			if !projections.IsOutside(err) {
				t.Errorf("%v counts as the events' fault", err)
			}
			if at, err := p.Take(t.Context(), 0, 1); err != nil || at.Seq != 0 {
				t.Errorf("the checkpoint is at %d, %v", at.Seq, err)
			}
		})
	}
}
