package webhook

import (
	"errors"
	"math/rand/v2"
	"time"
)

// Waits between attempts.
const (
	firstWait = time.Second
	mostWait  = 5 * time.Minute
	// mostAsked is the longest that a receiver may ask to be left alone.
	mostAsked = time.Hour
)

// Wait returns how long to wait after the given failed attempt, counted from 1: twice as long each time, up to five
// minutes, between half of it and all of it so that many do not come back at once; and never sooner than the receiver
// asked, up to an hour.
func Wait(attempt int, err error) time.Duration {
	wait := mostWait
	if attempt < 10 {
		wait = min(mostWait, firstWait<<max(0, attempt-1))
	}
	wait = wait/2 + rand.N(wait/2+1) //nolint:gosec // spreading needs no secrets
	if refusal, ok := errors.AsType[*RefusedError](err); ok {
		wait = max(wait, min(refusal.RetryAfter, mostAsked))
	}
	return wait
}
