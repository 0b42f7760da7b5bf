package httpapi

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"mpim/domain"
	"mpim/handlers/api"
)

// Problem is the body of every answer that is no success: problem details of RFC 9457.
type Problem struct {
	Type   string `json:"type" doc:"Always about:blank; code tells problems apart."`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty" doc:"What is wrong and what to do, for a person."`
	// Code is that of the client protocol.
	Code         domain.Code `json:"code" enum:"invalid_argument,unauthenticated,permission_denied,not_found,conflict,failed_precondition,too_large,rate_limited,unavailable,internal"`
	RetryAfterMS int64       `json:"retry_after_ms,omitzero" doc:"How long to wait before the next try."`
	RequestID    string      `json:"request_id,omitempty" doc:"Of an internal error: what to look for in the server's log."`
}

// statuses are the HTTP statuses of the codes.
var statuses = map[domain.Code]int{
	domain.InvalidArgument:    http.StatusUnprocessableEntity,
	domain.Unauthenticated:    http.StatusUnauthorized,
	domain.PermissionDenied:   http.StatusForbidden,
	domain.NotFound:           http.StatusNotFound,
	domain.Conflict:           http.StatusConflict,
	domain.FailedPrecondition: http.StatusConflict,
	domain.TooLarge:           http.StatusRequestEntityTooLarge,
	domain.RateLimited:        http.StatusTooManyRequests,
	domain.Unavailable:        http.StatusServiceUnavailable,
	domain.Internal:           http.StatusInternalServerError,
}

func statusOf(err error, code domain.Code) int {
	switch {
	case errors.Is(err, api.ErrSyntax):
		return http.StatusBadRequest
	case errors.Is(err, errMedia):
		return http.StatusUnsupportedMediaType
	}
	if status, ok := statuses[code]; ok {
		return status
	}
	return http.StatusInternalServerError
}

// fail answers with an error. What is not meant for clients is logged under an id, which is all they get.
func (h *handler) fail(ctx context.Context, w http.ResponseWriter, operation string, err error) {
	code := domain.CodeOf(err)
	p := Problem{Code: code, Status: statusOf(err, code)}
	if e, ok := errors.AsType[*domain.Error](err); ok && code != domain.Internal {
		p.Detail, p.RetryAfterMS = e.Message, retryAfter(e.RetryAfter)
		if p.Status >= http.StatusInternalServerError {
			h.config.Logger.WarnContext(ctx, "request failed", slog.String("operation", operation), slog.Any("error", err))
		}
	} else {
		p.Code, p.Status, p.RequestID = domain.Internal, http.StatusInternalServerError, rand.Text()
		p.Detail = "something went wrong here; the server's log tells more under this request id"
		h.config.Logger.ErrorContext(ctx, "request failed with a bug",
			slog.String("request_id", p.RequestID), slog.String("operation", operation), slog.Any("error", err))
	}
	write(w, p)
}

// retryAfter returns whole milliseconds, rounded up so that nobody comes too early.
func retryAfter(d time.Duration) int64 { return (d + time.Millisecond - 1).Milliseconds() }

// write answers with a problem.
func write(w http.ResponseWriter, p Problem) {
	p.Type, p.Title = "about:blank", http.StatusText(p.Status)
	header := w.Header()
	if p.Status == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", "Bearer")
	}
	if p.RetryAfterMS > 0 {
		header.Set("Retry-After", strconv.FormatFloat(math.Ceil(float64(p.RetryAfterMS)/1000), 'f', 0, 64))
	}
	text, err := json.Marshal(p)
	if err != nil {
		// Strings and numbers always encode.
		panic(err)
	}
	header.Set("Content-Type", "application/problem+json")
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_, _ = w.Write(text)
}
