package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"mpim/streams"
)

// Who comes between two lives is let in by the second, at the same address.
func TestDoorStaysBetweenLives(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	var d door
	first, err := d.open(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(first.Close(), first.Close()); err != nil {
		t.Error(err)
	}
	if _, err := first.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a life that has ended lets in: %v", err)
	}
	visitor, err := net.DialTimeout("tcp", first.Addr().String(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = visitor.Close() }()
	second, err := d.open(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if second.Addr().String() != first.Addr().String() {
		t.Errorf("the address is %s, it was %s", second.Addr(), first.Addr())
	}
	conn, err := second.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(visitor, "hello"); err != nil {
		t.Fatal(err)
	}
	text := make([]byte, 5)
	if _, err := io.ReadFull(conn, text); err != nil || string(text) != "hello" {
		t.Errorf("read %q, %v", text, err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}

	stop()
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	if _, err := second.Accept(); err == nil {
		t.Error("the process is told to stop, and lets in")
	}
	if _, err := d.inner.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the address is still listened at: %v", err)
	}
}

// A role whose log was repaired begins anew, tells once that it is ready, and tries until the log can be opened.
func TestLives(t *testing.T) {
	t.Parallel()
	i := &invocation{ctx: t.Context(), logger: slog.New(slog.DiscardHandler)}
	said, lived := 0, 0
	broken := errors.New("broken")
	err := i.lives(func(l *life) error {
		lived++
		if l.later != (lived > 1) {
			t.Errorf("life %d: later is %t", lived, l.later)
		}
		switch lived {
		case 1, 3:
			l.ready(func() { said++ })()
			return errors.Join(streams.ErrNewEpoch, broken)
		case 2:
			return broken // SQL does not agree yet
		default:
			l.ready(func() { said++ })()
			return broken
		}
	})
	if !errors.Is(err, broken) || errors.Is(err, streams.ErrNewEpoch) || lived != 4 || said != 1 {
		t.Errorf("after %d lives, told %d times that it is ready: %v", lived, said, err)
	}
}

// Who comes while no life begins is sent away after a time.
func TestDoorSendsAwayWhomNobodyLetsIn(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	d := door{patience: 10 * time.Millisecond}
	life, err := d.open(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := life.Close(); err != nil {
		t.Error(err)
	}
	for range 3 {
		visitor, err := net.DialTimeout("tcp", life.Addr().String(), 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(visitor, make([]byte, 1)); err == nil {
			t.Error("somebody answers")
		}
		_ = visitor.Close()
	}
	stop()
	last, err := d.open(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := last.Close(); err != nil {
		t.Error(err)
	}
}
