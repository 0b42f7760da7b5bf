package builds

import (
	"context"
	"errors"
	"time"
)

func isTaken(err error) bool  { return errors.Is(err, ErrTaken) }
func isBehind(err error) bool { return errors.Is(err, ErrBehind) }

// covers says that one has come as far as the other in every partition.
func covers(there, still map[int]int64) bool {
	for partition, seq := range still {
		if there[partition] < seq {
			return false
		}
	}
	return true
}

// pause waits, or returns why the context ended.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
