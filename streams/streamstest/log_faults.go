package streamstest

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/schema"
	"mpim/streams"
)

// cutHook loses the answers of scripts, as a broken connection does.
type cutHook struct {
	lose  atomic.Int64
	calls atomic.Int64
}

func (h *cutHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *cutHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if strings.EqualFold(cmd.Name(), "evalsha") {
			h.calls.Add(1)
			if err == nil && h.lose.Add(-1) >= 0 {
				lost := &net.OpError{Op: "read", Err: errors.New("connection reset")}
				cmd.SetErr(lost)
				return lost
			}
		}
		return err
	}
}

func (h *cutHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func testLostAnswer(t *testing.T, f *fixture) {
	hook := &cutHook{}
	f.Client.AddHook(hook)
	group := f.group(1)
	for i := range 20 {
		hook.lose.Store(int64(i % 4))
		got := f.mustAppend(t, f.send(group, "", "no client id, so only the fence keeps it single"))
		if got.Seq != domain.Seq(i+1) || got.Duplicate {
			t.Fatalf("append %d gives %+v", i, got)
		}
	}
	if n := len(f.records(t, 1)); n != 20 || hook.calls.Load() != 20+5*(1+2+3) {
		t.Errorf("%d events after %d calls", n, hook.calls.Load())
	}
}

func testEmptied(t *testing.T, f *fixture) {
	group := f.group(1)
	f.mustAppend(t, f.send(group, "", "x"))
	if err := f.Client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	_, err := f.log.Append(t.Context(), f.send(group, "", "x"))
	wantCode(t, err, domain.Unavailable)
	if forked := f.log.Forked(); forked == nil || !strings.Contains(forked.Error(), "holds") {
		t.Errorf("forked is %v", forked)
	}
	if n, _ := f.Client.DBSize(t.Context()).Result(); n != 0 {
		t.Errorf("%d keys were written to an emptied server", n)
	}
}

func testLostTail(t *testing.T, f *fixture) {
	group := f.group(1)
	for range 3 {
		f.mustAppend(t, f.send(group, "", "x"))
	}
	// The tail goes, and with it what the appender's own key would tell.
	other, _ := f.start(t, streams.Config{})
	other.Saw(1, 3)
	f.Client.HSet(t.Context(), schema.PartitionKey(1, "meta"), "seq", 2)
	_, err := other.Append(t.Context(), f.send(group, "", "x"))
	wantCode(t, err, domain.Unavailable)
	if forked := other.Forked(); forked == nil || !strings.Contains(forked.Error(), "at 2") || !strings.Contains(forked.Error(), "up to 3") {
		t.Errorf("forked is %v", forked)
	}
	_, err = other.Append(t.Context(), f.send(f.group(2), "", "x"))
	if err != nil {
		t.Errorf("a partition that lost nothing: %v", err)
	}
}

func testSeenFurther(t *testing.T, f *fixture) {
	f.log.Saw(1, 10)
	_, err := f.log.Append(t.Context(), f.send(f.group(1), "", "x"))
	wantCode(t, err, domain.Unavailable)
}

func testOtherLog(t *testing.T, f *fixture) {
	identity := f.identity
	f.identity.Epoch++
	later, _ := f.start(t, streams.Config{})
	_, err := later.Append(t.Context(), f.send(f.group(1), "", "x"))
	wantCode(t, err, domain.Unavailable)
	f.identity = identity
	f.identity.ID = "00"
	foreign, _ := f.start(t, streams.Config{})
	_, err = foreign.Append(t.Context(), f.send(f.group(1), "", "x"))
	wantCode(t, err, domain.Unavailable)
	if n := len(f.records(t, 1)); n != 0 {
		t.Errorf("%d events were appended", n)
	}
}
