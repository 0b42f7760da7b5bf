package checkpoint_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/projections/checkpoint"
)

// source is a projection whose checkpoints the test moves.
type source struct {
	mu    sync.Mutex
	seqs  map[int]int64
	err   error
	polls int
}

func (s *source) set(partition int, seq int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seqs[partition] = seq
}

func (s *source) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *source) Positions(_ context.Context, _ string, partitions []int) ([]int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.polls++
	all := make([]int64, len(partitions))
	for i, p := range partitions {
		all[i] = s.seqs[p]
	}
	return all, s.err
}

// waiting runs a test in a bubble with a waiter for the projection "toy".
func waiting(t *testing.T, test func(t *testing.T, s *source, w *checkpoint.Waiter)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &source{seqs: map[int]int64{}}
		w := checkpoint.NewWaiter(checkpoint.WaiterConfig{Sources: map[string]checkpoint.Source{"toy": s}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()
		test(t, s, w)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func at(partition int, seq int64) domain.Position {
	return domain.Position{Partition: partition, Seq: seq}
}

func TestWaitEndsWhenAllPositionsArePassed(t *testing.T) {
	t.Parallel()
	waiting(t, func(t *testing.T, s *source, w *checkpoint.Waiter) {
		t.Helper()
		start := time.Now()
		result := make(chan error)
		go func() { result <- w.Wait(t.Context(), "toy", at(1, 5), at(2, 7), at(3, 0)) }()
		time.AfterFunc(100*time.Millisecond, func() { s.set(1, 6) })
		time.AfterFunc(300*time.Millisecond, func() { s.set(2, 7) })
		if err := <-result; err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 300*time.Millisecond || took > 310*time.Millisecond {
			t.Errorf("took %v", took)
		}
		// What was read a moment ago is not asked for again, and neither is the beginning.
		polls := s.polls
		if err := w.Wait(t.Context(), "toy", at(1, 6), at(9, 0)); err != nil || s.polls != polls {
			t.Errorf("got %v after %d polls more", err, s.polls-polls)
		}
		// A projection that was built anew may stand lower.
		time.Sleep(2 * time.Second)
		s.set(1, 1)
		if err := w.Wait(t.Context(), "toy", at(1, 6)); domain.CodeOf(err) != domain.Unavailable {
			t.Errorf("got %v", err)
		}
	})
}

func TestWaitGivesUp(t *testing.T) {
	t.Parallel()
	waiting(t, func(t *testing.T, s *source, w *checkpoint.Waiter) {
		t.Helper()
		start := time.Now()
		if err := w.Wait(t.Context(), "toy", at(1, 1)); domain.CodeOf(err) != domain.Unavailable {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("gave up after %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.Wait(ctx, "toy", at(1, 1)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if err := w.Wait(t.Context(), "nobody", at(1, 1)); domain.CodeOf(err) != domain.Internal {
			t.Errorf("got %v", err)
		}
		// Nobody waits: nothing is polled.
		polls := s.polls
		time.Sleep(time.Minute)
		if s.polls > polls+1 {
			t.Errorf("%d polls while nobody waited", s.polls-polls)
		}
	})
}

func TestWaitSurvivesAStoreThatIsAway(t *testing.T) {
	t.Parallel()
	waiting(t, func(t *testing.T, s *source, w *checkpoint.Waiter) {
		t.Helper()
		away := errors.New("away")
		s.fail(away)
		if err := w.Wait(t.Context(), "toy", at(1, 1)); domain.CodeOf(err) != domain.Unavailable || !errors.Is(err, away) {
			t.Errorf("got %v", err)
		}
		time.AfterFunc(time.Second, func() { s.fail(nil); s.set(1, 1) })
		if err := w.Wait(t.Context(), "toy", at(1, 1)); err != nil {
			t.Error(err)
		}
	})
}

func TestOnePollServesAllWhoWait(t *testing.T) {
	t.Parallel()
	waiting(t, func(t *testing.T, s *source, w *checkpoint.Waiter) {
		t.Helper()
		var group sync.WaitGroup
		for i := range 1000 {
			group.Go(func() {
				if err := w.Wait(t.Context(), "toy", at(i%16, 1)); err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(20 * time.Millisecond)
		for p := range 16 {
			s.set(p, 1)
		}
		group.Wait()
		if s.polls > 15 {
			t.Errorf("%d polls for 20 ms", s.polls)
		}
	})
}

func TestPositionsOfRedis(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, client *redis.Client) {
		t.Helper()
		c, log := newRedis(client), messages(t, 3)
		take(t, c, 1, 0)
		if err := c.Apply(t.Context(), stepOf(log, 1, 1, 3), count(c)); err != nil {
			t.Fatal(err)
		}
		got, err := checkpoint.NewRedisSource(client).Positions(t.Context(), "toy", []int{0, partition})
		if err != nil || got[0] != 0 || got[1] != 3 {
			t.Errorf("got %v, %v", got, err)
		}
	})
}
