package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"mpim/streams"
)

const (
	// reopenFor is for how long a role tries to open the log anew after a repair, and reopenPause lies between two tries.
	reopenFor   = 5 * time.Minute
	reopenPause = 500 * time.Millisecond
	// epochDrain is over how long a gateway closes its sockets then: nothing is taken from them any more.
	epochDrain = time.Second
)

// life is what a role does while the log goes on under one epoch. A repair raises the epoch, and nothing that was known of the
// log holds any more: positions, caches, who is connected where. So everything is stopped and opened anew, in the same
// process and at the same addresses.
type life struct {
	// later says that there was one before, in this process.
	later bool
	// serves is set once it was ready.
	serves bool
	said   *bool
}

// ready returns what is called when the role serves. Say tells that to whoever started the process, who is told once.
func (l *life) ready(say func()) func() {
	return func() {
		l.serves = true
		if !*l.said {
			*l.said = true
			say()
		}
	}
}

// lives runs a role until it is told to stop or fails, one life after the other.
func (i *invocation) lives(role func(*life) error) error {
	// Between two lives nobody else takes it, and it would end the process.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	var repaired time.Time
	said := new(bool)
	for later := false; ; later = true {
		l := &life{later: later, said: said}
		err := role(l)
		switch {
		case i.ctx.Err() != nil:
			return err
		case errors.Is(err, streams.ErrNewEpoch):
			repaired = time.Now()
			i.logger.Warn("the log was repaired: everything is opened anew", slog.Any("cause", err))
		case err == nil || !l.later || l.serves || time.Since(repaired) > reopenFor:
			return err
		default:
			i.logger.Warn("the log cannot be opened anew yet", slog.Any("error", err))
			if !waitFor(i.ctx, reopenPause) {
				return nil
			}
		}
	}
}

// waitFor waits, and is false where the context ends first.
func waitFor(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
