package projections_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"mpim/domain"
	"mpim/projections"
	"mpim/schema"
)

// memory is a projection in memory that keeps what was done to it.
type memory struct {
	token, seq int64
	applied    []string // texts of events, in order
	parked     []string // texts of events with their reasons
	keys       []projections.Key
	steps      int
	// fail makes a step fail, by its records.
	fail func(records []*schema.Record) error
}

func (*memory) Name() string { return "memory" }
func (*memory) Version() int { return 1 }
func (*memory) Handles(t domain.EventType) bool {
	return t == domain.TypeMessageSent || t == domain.TypeMessageEdited
}

func (m *memory) Take(_ context.Context, _ int, token int64) (schema.Checkpoint, error) {
	m.token = token
	return schema.Checkpoint{Seq: m.seq}, nil
}

func (m *memory) Parked(context.Context, int) ([]projections.Key, error) { return m.keys, nil }

func (m *memory) Status(context.Context) (projections.Status, error) {
	return projections.Status{}, nil
}

func (m *memory) Apply(_ context.Context, step projections.Step) error {
	m.steps++
	if step.Token != m.token || m.seq != step.From-1 {
		return projections.ErrDeposed
	}
	if m.fail != nil {
		if err := m.fail(step.Records); err != nil {
			return err
		}
	}
	for _, r := range step.Records {
		if m.Handles(r.Type) {
			m.applied = append(m.applied, string(r.ID))
		}
	}
	for _, p := range step.Parked {
		m.parked = append(m.parked, string(p.Record.ID)+": "+p.Reason)
		m.keys = append(m.keys, p.Key)
	}
	m.seq = step.To
	return nil
}

// records makes events from words: "a" is a message in conversation a, "a!" one that memory's fail can refuse, "a?" one whose
// entry is broken, "a." an event of a type that does not matter, "a+" one of a newer version.
func records(words string) []*schema.Record {
	var all []*schema.Record
	for i, word := range strings.Fields(words) {
		n := int64(i + 1)
		r := &schema.Record{
			Position: domain.Position{Partition: 3, Seq: n}, StreamID: fmt.Sprintf("%d-0", n),
			ID: domain.EventID(fmt.Sprintf("%s%d", word, n)), Type: domain.TypeMessageSent, Version: 1, At: time.Unix(1000+n, 0),
			Aggregate: domain.Aggregate{Kind: domain.Group, ID: word[:1]},
		}
		switch word[len(word)-1] {
		case '?':
			r.Broken = errors.New("no JSON")
		case '.':
			r.Type = "future.type"
		case '+':
			r.Version = 2
		}
		all = append(all, r)
	}
	return all
}

func handle(t *testing.T, runner *projections.Runner, all []*schema.Record) error {
	t.Helper()
	batch := &schema.Batch{
		Partition: 3, Token: 1, From: all[0].Seq, To: all[len(all)-1].Seq, StreamID: all[len(all)-1].StreamID, Records: all,
	}
	return runner.Handle(message.NewMessageWithContext(schema.WithBatch(t.Context(), batch), "", nil))
}

func newRunner(t *testing.T, m *memory, c projections.Config) *projections.Runner {
	t.Helper()
	m.token = 1
	runner, err := projections.NewRunner(m, c)
	if err != nil {
		t.Fatal(err)
	}
	return runner
}

// refuse makes every step fail that holds an event marked with "!".
func refuse(records []*schema.Record) error {
	for _, r := range records {
		if strings.Contains(string(r.ID), "!") {
			return fmt.Errorf("cannot apply %s", r.ID)
		}
	}
	return nil
}

func TestRunnerParksTheEventAndWhatFollowsInItsConversation(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, events, applied, parked string }{
		{"nothing wrong", "a b a", "a1 b2 a3", ""},
		{"one bad event", "a b! b c b", "a1 c4", "b!2: cannot apply b!2, b3: , b5: "},
		{"the only event", "a!", "", "a!1: cannot apply a!1"},
		{"two conversations", "a! b! a b c a! b!", "c5", "a!1: cannot apply a!1, b!2: cannot apply b!2, a3: , b4: , a!6: , b!7: "},
		{"a panic", "a p b p", "a1 b3", "p2: the projection panicked: bad, p4: "},
		{"a broken entry", "a b? b c", "a1 c4", "b?2: the entry cannot be decoded: no JSON, b3: "},
		{"a type that does not matter", "a b. b! b. c", "a1 c5", "b!3: cannot apply b!3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := &memory{fail: func(records []*schema.Record) error {
				if slices.ContainsFunc(records, func(r *schema.Record) bool { return r.ID[0] == 'p' }) {
					panic("bad")
				}
				return refuse(records)
			}}
			if err := handle(t, newRunner(t, m, projections.Config{}), records(c.events)); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(m.applied, " "); got != c.applied {
				t.Errorf("applied %q, want %q", got, c.applied)
			}
			if got := strings.Join(m.parked, ", "); got != c.parked {
				t.Errorf("parked %q, want %q", got, c.parked)
			}
			if want := int64(len(strings.Fields(c.events))); m.seq != want {
				t.Errorf("checkpoint at %d, want %d", m.seq, want)
			}
		})
	}
}

func TestRunnerReturnsWhatIsNotTheEventsFault(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		cause error
		is    error
	}{
		{"deposed", projections.ErrDeposed, projections.ErrDeposed},
		{"marked", projections.Outside(errors.New("disk full")), nil},
		{"broken connection", fmt.Errorf("read: %w", io.ErrUnexpectedEOF), io.ErrUnexpectedEOF},
		{"time-out", context.DeadlineExceeded, context.DeadlineExceeded},
		{"unavailable", domain.Errorf(domain.Unavailable, "later"), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := &memory{fail: func([]*schema.Record) error { return c.cause }}
			runner := newRunner(t, m, projections.Config{})
			err := handle(t, runner, records("a b c"))
			if err == nil || c.is != nil && !errors.Is(err, c.is) || m.steps != 1 || len(m.parked) != 0 {
				t.Fatalf("%v after %d steps, parked %q", err, m.steps, m.parked)
			}
			m.fail = nil
			if err := handle(t, runner, records("a b c")); err != nil || m.seq != 3 {
				t.Fatalf("the second delivery: %v, checkpoint at %d", err, m.seq)
			}
		})
	}
}

// What stands before a failure stays, and the rest of the batch goes on from the checkpoint.
func TestRunnerKeepsWhatItAppliedBeforeAFailure(t *testing.T) {
	t.Parallel()
	down := false
	m := &memory{fail: func(records []*schema.Record) error {
		if down && len(records) > 0 && records[0].Seq >= 3 {
			return projections.Outside(errors.New("gone"))
		}
		return refuse(records)
	}}
	runner := newRunner(t, m, projections.Config{})
	down = true
	all := records("a b! b c d")
	if err := handle(t, runner, all); err == nil || m.seq != 2 {
		t.Fatalf("%v, checkpoint at %d", err, m.seq)
	}
	down = false
	if err := handle(t, runner, all[2:]); err != nil || m.seq != 5 {
		t.Fatalf("%v, checkpoint at %d", err, m.seq)
	}
	if got := strings.Join(m.parked, ", "); got != "b!2: cannot apply b!2, b3: " {
		t.Errorf("parked %q", got)
	}
}

// A projection that can apply nothing at all is not the victim of its events.
func TestRunnerStopsParkingWhenEverythingFails(t *testing.T) {
	t.Parallel()
	m := &memory{fail: func(records []*schema.Record) error {
		if len(records) > 0 {
			return errors.New("a bug")
		}
		return nil
	}}
	err := handle(t, newRunner(t, m, projections.Config{}), records("a b c d e f g h i j k l m n"))
	if !projections.IsOutside(err) || len(m.parked) != 8 || m.seq != 8 {
		t.Fatalf("%v, %d parked, checkpoint at %d", err, len(m.parked), m.seq)
	}
}

// Events of a newer version are sound: they wait for a newer worker.
func TestRunnerWaitsForANewerWorker(t *testing.T) {
	t.Parallel()
	m := &memory{}
	err := handle(t, newRunner(t, m, projections.Config{}), records("a b+ c"))
	if !projections.IsOutside(err) || len(m.parked) != 0 || m.seq != 0 {
		t.Fatalf("%v, parked %q, checkpoint at %d", err, m.parked, m.seq)
	}
}

func TestRunnerRefusesAGap(t *testing.T) {
	t.Parallel()
	m := &memory{}
	runner := newRunner(t, m, projections.Config{})
	all := records("a b c")
	if err := handle(t, runner, []*schema.Record{all[0], all[2]}); err == nil || m.steps != 0 {
		t.Fatalf("a batch with a gap: %v, %d steps", err, m.steps)
	}
	if err := runner.Handle(message.NewMessage("", nil)); err == nil {
		t.Fatal("a message without a batch was taken")
	}
}

// Somebody discards what is parked while the runner goes on.
func TestRunnerSeesThatAConversationIsNoLongerParked(t *testing.T) {
	t.Parallel()
	m := &memory{fail: refuse}
	runner := newRunner(t, m, projections.Config{})
	all := records("a! a a")
	if err := handle(t, runner, all[:2]); err != nil {
		t.Fatal(err)
	}
	m.keys = nil
	if err := handle(t, runner, all[2:]); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(m.applied, " "); got != "a3" {
		t.Errorf("applied %q", got)
	}
}

func TestRunnerMetrics(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	m := &memory{fail: refuse}
	head := int64(10)
	runner := newRunner(t, m, projections.Config{
		Registerer: registry, Head: func(int) (int64, bool) { return head, true },
	})
	if err := handle(t, runner, records("a b! b c")); err != nil {
		t.Fatal(err)
	}
	want := `
		# HELP mpim_projection_events_total Events that the projection has passed: applied, passed over or parked.
		# TYPE mpim_projection_events_total counter
		mpim_projection_events_total{projection="memory"} 4
		# HELP mpim_projection_lag_events Events that were appended and not yet applied.
		# TYPE mpim_projection_lag_events gauge
		mpim_projection_lag_events{partition="3",projection="memory"} 6
		# HELP mpim_projection_parked_total Events that were parked.
		# TYPE mpim_projection_parked_total counter
		mpim_projection_parked_total{projection="memory"} 2
		# HELP mpim_projection_position Partition sequence of the last applied event.
		# TYPE mpim_projection_position gauge
		mpim_projection_position{partition="3",projection="memory"} 4
	`
	err := testutil.GatherAndCompare(registry, strings.NewReader(want), "mpim_projection_events_total", "mpim_projection_parked_total",
		"mpim_projection_position", "mpim_projection_lag_events")
	if err != nil {
		t.Error(err)
	}
	head = 4
	want = `
		# HELP mpim_projection_lag_seconds For how long the last applied event stands behind now; 0 at the head.
		# TYPE mpim_projection_lag_seconds gauge
		mpim_projection_lag_seconds{partition="3",projection="memory"} 0
	`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "mpim_projection_lag_seconds"); err != nil {
		t.Error(err)
	}
	runner.Forget(3)
	if n, err := testutil.GatherAndCount(registry, "mpim_projection_position"); err != nil || n != 0 {
		t.Errorf("%d positions of a partition that is gone, %v", n, err)
	}
}

func TestStatusLag(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	s := projections.Status{Partitions: []projections.PartitionStatus{
		{Partition: 0, Checkpoint: schema.Checkpoint{Seq: 10}, At: now.Add(-time.Hour)},
		{Partition: 2, Checkpoint: schema.Checkpoint{Seq: 7}, At: now.Add(-3 * time.Second)},
	}}
	if events, behind := s.Lag([]int64{10, 4, 9}); events != 6 || len(behind) != 2 || behind[1].Seq != 0 || behind[2].Seq != 7 {
		t.Errorf("lag is %d events, behind %v", events, behind)
	}
	if s.Applied() != 17 {
		t.Errorf("%d applied", s.Applied())
	}
}
