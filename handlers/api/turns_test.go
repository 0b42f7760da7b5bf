package api_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"mpim/domain"
	"mpim/handlers/api"
	"mpim/handlers/api/apitest"
)

// heldLog is a log whose heads are not answered before it is let go, or the request is over.
type heldLog struct {
	api.Log

	asked chan struct{}
	goOn  chan struct{}
}

// Heads says that it was asked, and waits.
func (l *heldLog) Heads(ctx context.Context) ([]int64, error) {
	l.asked <- struct{}{}
	select {
	case <-l.goOn:
		return l.Log.Heads(ctx)
	case <-ctx.Done():
		return nil, errors.New("i/o timeout")
	}
}

func holdLog(c *api.Config) *heldLog {
	held := &heldLog{Log: c.Log, asked: make(chan struct{}, 100), goOn: make(chan struct{})}
	c.Log = held
	return held
}

// begin makes a sync, and returns where its error comes.
func begin(t *testing.T, b *apitest.Bench, caller api.Caller) <-chan error {
	t.Helper()
	operation, _ := b.Registry.Lookup("sync")
	done := make(chan error, 1)
	go func() {
		_, err := operation.Call(t.Context(), caller, nil)
		done <- err
	}()
	return done
}

func TestLargeReadsAreFewAtATime(t *testing.T) {
	var log *heldLog
	b := apitest.New(t, func(c *api.Config) {
		log = holdLog(c)
		c.LargeReads, c.LargeReadsPerSession, c.ReadTimeout = 2, 1, time.Minute
	})
	alice, bob, carol := b.User(t, "alice"), b.User(t, "bob"), b.User(t, "carol")
	first := begin(t, b, alice)
	<-log.asked
	// Waits for the session's own, and keeps nobody else out.
	second := begin(t, b, alice)
	other := begin(t, b, bob)
	<-log.asked
	third := begin(t, b, carol)
	for _, refused := range []<-chan error{second, third} {
		err := <-refused
		e, ok := errors.AsType[*domain.Error](err)
		if !ok || e.Code != domain.Unavailable || e.RetryAfter <= 0 {
			t.Errorf("one too many gets %v", err)
		}
	}
	close(log.goOn)
	for _, done := range []<-chan error{first, other, begin(t, b, alice), begin(t, b, carol)} {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestAReadOfALogThatHangsIsUnavailable(t *testing.T) {
	var log *heldLog
	b := apitest.New(t, func(c *api.Config) {
		log = holdLog(c)
		c.ReadTimeout = 10 * time.Millisecond
	})
	alice := b.User(t, "alice")
	wantCode(t, <-begin(t, b, alice), domain.Unavailable)
	if len(log.asked) != 1 {
		t.Errorf("the log was asked %d times", len(log.asked))
	}
}
