package streamstest

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/streams"
)

func testManyCallers(t *testing.T, f *fixture) {
	const callers, each = 20, 50
	other, _ := f.start(t, streams.Config{MaxBatch: 7})
	var wait sync.WaitGroup
	for caller := range callers {
		log := f.log
		if caller%2 == 0 {
			log = other
		}
		group := f.group(caller % partitions)
		wait.Go(func() {
			var last domain.Seq
			for range each {
				appended, err := log.Append(t.Context(), f.send(group, "", "x"))
				if err != nil || appended.Seq <= last {
					t.Errorf("after %d: %+v, %v", last, appended, err)
					return
				}
				last = appended.Seq
			}
		})
	}
	wait.Wait()
	for partition := range partitions {
		for i, record := range f.records(t, partition) {
			if record.Seq != int64(i+1) || record.ConversationSeq != domain.Seq(i+1) {
				t.Fatalf("record %d stands at %s, seq %d", i, record.Position, record.ConversationSeq)
			}
		}
		if n := len(f.records(t, partition)); n != callers*each/partitions {
			t.Errorf("partition %d holds %d events, want %d", partition, n, callers*each/partitions)
		}
	}
}

// holdHook keeps scripts from being answered until it is released.
type holdHook struct{ release chan struct{} }

func (h *holdHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *holdHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if strings.EqualFold(cmd.Name(), "evalsha") {
			<-h.release
		}
		return next(ctx, cmd)
	}
}

func (h *holdHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func testFullQueue(t *testing.T, f *fixture) {
	f.stop()
	hook := &holdHook{release: make(chan struct{})}
	f.Client.AddHook(hook)
	log, _ := f.start(t, streams.Config{MaxQueue: 2, MaxBatch: 3})
	group := f.group(1)
	errs := make(chan error, 10)
	for range 10 {
		go func() {
			_, err := log.Append(t.Context(), f.send(group, "", "x"))
			errs <- err
		}()
	}
	// One batch of at least one command is in flight and two commands wait; the rest is refused while nothing moves.
	refused := 0
	for range 7 {
		err := <-errs
		wantCode(t, err, domain.Unavailable)
		refused++
		if refused == 5 {
			break
		}
	}
	close(hook.release)
	for range 10 - refused {
		if err := <-errs; err != nil {
			wantCode(t, err, domain.Unavailable)
			refused++
		}
	}
	if n := len(f.records(t, 1)); n != 10-refused {
		t.Errorf("%d events, %d refused of 10", n, refused)
	}
}

func testStopFlushes(t *testing.T, f *fixture) {
	group := f.group(1)
	var wait sync.WaitGroup
	var kept atomic.Int64
	for range 200 {
		wait.Go(func() {
			if _, err := f.log.Append(t.Context(), f.send(group, "", "x")); err == nil {
				kept.Add(1)
			}
		})
	}
	f.stop()
	wait.Wait()
	if n := int64(len(f.records(t, 1))); n != kept.Load() {
		t.Errorf("%d events, %d acknowledged", n, kept.Load())
	}
	_, err := f.log.Append(t.Context(), f.send(group, "", "x"))
	wantCode(t, err, domain.Unavailable)
}
