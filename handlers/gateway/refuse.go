package gateway

import (
	"encoding/json"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"

	"mpim/domain"
)

// upgrade opens the socket that a request asks for. Where it does not, it has answered why.
func (g *Gateway) upgrade(w http.ResponseWriter, r *http.Request) (*websocket.Conn, *link, bool) {
	switch {
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		refuseHTTP(w, http.StatusMethodNotAllowed, domain.Errorf(domain.InvalidArgument, "a WebSocket is opened with GET"))
		return nil, nil, false
	case g.draining.Load() || g.Connections() >= g.config.Connections:
		full := domain.Errorf(domain.Unavailable, "no more connections here: try another gateway")
		full.RetryAfter = time.Second
		refuseHTTP(w, http.StatusServiceUnavailable, full)
		return nil, nil, false
	case !strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		w.Header().Set("Upgrade", "websocket")
		refuseHTTP(w, http.StatusUpgradeRequired, domain.Errorf(domain.InvalidArgument, "open a WebSocket here"))
		return nil, nil, false
	}
	h := &muted{hijacker: hijacker{ResponseWriter: w}}
	socket, err := websocket.Accept(h, r, g.accept)
	if err == nil {
		return socket, h.link, true
	}
	g.logger.Debug("socket refused", slog.Any("error", err))
	refuseHTTP(w, h.status, reasonOf(h.status))
	return nil, nil, false
}

// muted keeps the refusals of websocket.Accept, which are plain text, from the client. It remembers their status.
type muted struct {
	hijacker
	status int
}

// WriteHeader implements http.ResponseWriter.
func (m *muted) WriteHeader(status int) {
	if status == http.StatusSwitchingProtocols {
		m.ResponseWriter.WriteHeader(status)
		return
	}
	m.status = status
}

// Write implements http.ResponseWriter.
func (m *muted) Write(b []byte) (int, error) { return len(b), nil }

// reasonOf says for the client what is wrong with a request that websocket.Accept refused with a status.
func reasonOf(status int) *domain.Error {
	switch {
	case status == http.StatusForbidden:
		return domain.Errorf(domain.PermissionDenied, "pages of this origin may not connect")
	case status >= http.StatusInternalServerError:
		return domain.Errorf(domain.Internal, "something went wrong here")
	default:
		return domain.Errorf(domain.InvalidArgument, "this is no handshake of a WebSocket as of RFC 6455, version 13")
	}
}

// problem is a document as of RFC 9457.
type problem struct {
	Type         string      `json:"type"`
	Title        string      `json:"title"`
	Status       int         `json:"status"`
	Detail       string      `json:"detail"`
	Code         domain.Code `json:"code"`
	RetryAfterMS int64       `json:"retry_after_ms,omitzero"`
}

// refuseHTTP answers a request that opens no socket.
func refuseHTTP(w http.ResponseWriter, status int, reason *domain.Error) {
	text, err := json.Marshal(problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: reason.Message, Code: reason.Code,
		RetryAfterMS: retryAfter(reason.RetryAfter),
	})
	if err != nil {
		// Strings and numbers always encode.
		panic(err)
	}
	header := w.Header()
	if reason.RetryAfter > 0 {
		header.Set("Retry-After", strconv.FormatFloat(math.Ceil(reason.RetryAfter.Seconds()), 'f', 0, 64))
	}
	header.Set("Content-Type", "application/problem+json")
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(text)
}
