package client

import (
	"errors"
	"time"
)

// Error is a refusal of the server.
type Error struct {
	// Code says what can be done, such as "not_found"; see the protocol.
	Code    string
	Message string
	// RetryAfter is when to try again; 0 where the server does not say.
	RetryAfter time.Duration
	// RequestID finds an internal error in the server's log.
	RequestID string
}

// Error returns the message and the code.
func (e *Error) Error() string {
	text := e.Message + " (" + e.Code + ")"
	if e.RequestID != "" {
		text += ", request " + e.RequestID
	}
	return text
}

// Reasons why [Session.Run] gives up.
var (
	// ErrLoggedOut says that the session was revoked, or its password changed, or its tokens have expired: log in again.
	ErrLoggedOut = errors.New("the session has ended: log in again")
	// ErrSuspended says that the account is suspended.
	ErrSuspended = errors.New("the account is suspended")
	// ErrRefused says that the server closed the socket because of what this client sent.
	ErrRefused = errors.New("the server refused what was sent")
)

// errLost is why a call has no answer: it may have arrived.
var errLost = errors.New("the connection was lost")

// repeatable says whether the same request may be sent again, and when.
func repeatable(err error) (after time.Duration, ok bool) {
	if errors.Is(err, errLost) {
		return 0, true
	}
	refusal, is := errors.AsType[*Error](err)
	if !is || refusal.Code != "unavailable" && refusal.Code != "rate_limited" {
		return 0, false
	}
	return refusal.RetryAfter, true
}
