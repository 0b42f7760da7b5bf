package streams_test

import (
	"testing"
	"time"

	"mpim/streams"
	"mpim/streams/streamstest"
)

func TestAttempts(t *testing.T) {
	server := streamstest.StartRedis(t)
	attempts := streams.Attempts{Client: server.Client()}
	take := func() time.Duration {
		t.Helper()
		wait, err := attempts.Take(t.Context(), "login alice", 2, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return wait
	}
	for range 2 {
		if take() != 0 {
			t.Fatal("the first two attempts have to wait")
		}
	}
	if wait := take(); wait <= 50*time.Second || wait > time.Minute {
		t.Errorf("the third attempt waits %v", wait)
	}
	if err := attempts.Return(t.Context(), "login alice"); err != nil {
		t.Fatal(err)
	}
	if take() != 0 {
		t.Error("an attempt that was given back cannot be taken")
	}
	if err := attempts.Return(t.Context(), "nobody"); err != nil {
		t.Error(err)
	}
	if wait, err := attempts.Take(t.Context(), "login bob", 1, time.Minute); wait != 0 || err != nil {
		t.Errorf("another key waits %v, %v", wait, err)
	}
}
