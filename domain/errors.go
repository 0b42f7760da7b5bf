package domain

import (
	"errors"
	"fmt"
	"time"
)

// Code says what the caller of an operation can do about an error. The set is that of the client protocol.
type Code string

// The codes of the client protocol.
const (
	// InvalidArgument means that the request must not be retried as it is.
	InvalidArgument Code = "invalid_argument"
	// Unauthenticated means that the request had no token, or an expired or revoked one.
	Unauthenticated Code = "unauthenticated"
	// PermissionDenied means that membership, role, mute or block forbid it.
	PermissionDenied Code = "permission_denied"
	// NotFound means that there is no such thing, or that it was never visible to the caller.
	NotFound Code = "not_found"
	// Conflict means that it exists already, or that a client id was used again with other content.
	Conflict Code = "conflict"
	// FailedPrecondition means that it is not possible in this state.
	FailedPrecondition Code = "failed_precondition"
	// TooLarge means that a limit is exceeded.
	TooLarge Code = "too_large"
	// RateLimited means that the caller may try again after a while.
	RateLimited Code = "rate_limited"
	// Unavailable means that the same request may be sent again, with the same client id.
	Unavailable Code = "unavailable"
	// Internal means a bug; its text is logged and never shown.
	Internal Code = "internal"
)

// Error is a refusal with a kind. Its message is meant for the person or program that asked, and says what to do.
type Error struct {
	Code    Code
	Message string
	// RetryAfter is how long to wait before trying again; zero where that does not help or is not known.
	RetryAfter time.Duration
	// Cause is what happened underneath, or nil. It is logged, never shown.
	Cause error
}

// Error returns the message, and the cause behind it.
func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Message + ": " + e.Cause.Error()
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Errorf returns an error of the given kind.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Wrap returns an error of the given kind with a cause that callers do not see.
func Wrap(code Code, cause error, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Cause: cause}
}

// CodeOf returns the kind of err: that of the first Error in its chain, else Internal.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}

// ErrStale says that what a command was decided on has changed; nothing was written. Load and decide again.
var ErrStale = errors.New("the state this was decided on has changed")
