package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path"
	"runtime/debug"
	"strings"
	"time"

	"mpim/domain"
	"mpim/handlers/api"
	"mpim/handlers/auth"
)

// Gate tells whose token it is. *auth.Gate is one.
type Gate interface {
	// Admit returns who an access token speaks for. An error is of kind Unauthenticated, PermissionDenied or Unavailable.
	Admit(ctx context.Context, token string) (auth.Principal, error)
}

// MaxBody is how many bytes the body of a request has at most, where Config does not say otherwise.
const MaxBody = 1 << 20

// Config is what the handler needs.
type Config struct {
	// Registry has the operations. Required.
	Registry *api.Registry
	// Gate checks tokens. Required.
	Gate Gate
	// MaxBody bounds the body of a request, in bytes. Default: the constant MaxBody, 1 MiB.
	MaxBody int64
	// Timeout is how long an operation may take. Default: 15 s.
	Timeout time.Duration
	// BodyTimeout is how long the body of a request may take to arrive, from the end of its head on. Default: 15 s.
	BodyTimeout time.Duration
	// WriteTimeout is how long a client may take to read an answer. Default: 1 min.
	WriteTimeout time.Duration
	// AllowedOrigins are patterns of the origins whose pages may call the API, besides this host's own; see
	// gateway.Config.AllowedOrigins. Default: none.
	AllowedOrigins []string
	// SocketDocument is the AsyncAPI document of the WebSocket, which is served beside the OpenAPI document. Required.
	SocketDocument []byte
	// Version is that of the server, as the OpenAPI document states it.
	Version string
	// Logger takes what goes wrong. Default: nothing is logged.
	Logger *slog.Logger
}

type handler struct {
	config Config
	mux    *http.ServeMux
}

// New returns a handler of everything under /v1 but the WebSocket.
func New(config Config) (http.Handler, error) {
	if config.Registry == nil || config.Gate == nil || config.SocketDocument == nil {
		return nil, errors.New("httpapi: Config.Registry, Config.Gate and Config.SocketDocument are required")
	}
	if config.MaxBody <= 0 {
		config.MaxBody = MaxBody
	}
	if config.Timeout <= 0 {
		config.Timeout = 15 * time.Second
	}
	if config.BodyTimeout <= 0 {
		config.BodyTimeout = 15 * time.Second
	}
	if config.WriteTimeout <= 0 {
		config.WriteTimeout = time.Minute
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	h := &handler{config: config, mux: http.NewServeMux()}
	document, err := Document(config.Registry, config.Version)
	if err != nil {
		return nil, err
	}
	for path, text := range map[string][]byte{"/v1/openapi.json": document, "/v1/asyncapi.json": config.SocketDocument} {
		h.mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(text)
		})
	}
	for _, operation := range config.Registry.Operations() {
		if operation.Verb != "" {
			h.mux.Handle(operation.Verb+" "+operation.Path, h.route(operation))
		}
	}
	return allowOrigins(config.AllowedOrigins, h), nil
}

// ServeHTTP answers a request.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	defer func() {
		cause := recover()
		if cause == nil {
			return
		}
		if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(cause)
		}
		h.fail(ctx, w, r.URL.Path, fmt.Errorf("panic: %v\n%s", cause, debug.Stack()))
	}()
	h.setDeadlines(w, time.Now())
	found, pattern := h.mux.Handler(r)
	// The router would send who writes two slashes to where there is one; there is nothing at such a path.
	if pattern == "" || path.Clean(r.URL.Path) != r.URL.Path {
		noRoute(w, r, found)
		return
	}
	h.mux.ServeHTTP(w, r)
}

// setDeadlines bounds how long the connection is kept for one request, whoever reads the rest of its body: the server
// does where it is refused early. The server lifts both before the next request.
func (h *handler) setDeadlines(w http.ResponseWriter, now time.Time) {
	connection := http.NewResponseController(w)
	arrived := now.Add(h.config.BodyTimeout)
	// A writer without a connection, as tests have it, has no deadlines either.
	_ = connection.SetReadDeadline(arrived)
	_ = connection.SetWriteDeadline(arrived.Add(h.config.Timeout + h.config.WriteTimeout))
}

// noRoute answers where there is no route as the router would, but as a problem.
func noRoute(w http.ResponseWriter, r *http.Request, router http.Handler) {
	asked := &statusOnly{header: make(http.Header)}
	router.ServeHTTP(asked, r)
	if asked.status == http.StatusMethodNotAllowed {
		allow := asked.header.Get("Allow")
		w.Header().Set("Allow", allow)
		write(w, Problem{
			Code: domain.InvalidArgument, Status: http.StatusMethodNotAllowed, Detail: "this path takes " + allow,
		})
		return
	}
	write(w, Problem{Code: domain.NotFound, Status: http.StatusNotFound, Detail: "there is nothing at this path"})
}

// statusOnly is an answer of which only the head is of interest.
type statusOnly struct {
	header http.Header
	status int
}

// Header returns the head.
func (s *statusOnly) Header() http.Header { return s.header }

// WriteHeader keeps the status.
func (s *statusOnly) WriteHeader(status int) { s.status = status }

// Write drops the body.
func (s *statusOnly) Write(b []byte) (int, error) { return len(b), nil }

// route answers the requests of one operation.
func (h *handler) route(operation *api.Operation) http.Handler {
	members := membersOf(operation)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), h.config.Timeout)
		defer cancel()
		result, err := h.call(ctx, w, r, operation, members)
		if err != nil {
			h.fail(ctx, w, operation.Method, err)
			return
		}
		header := w.Header()
		header.Set("Content-Type", "application/json")
		header.Set("Cache-Control", "no-store")
		header.Set("X-Content-Type-Options", "nosniff")
		w.WriteHeader(operation.Status)
		_, _ = w.Write(result) //nolint:gosec // JSON, declared as such and never sniffed
	})
}

func (h *handler) call(
	ctx context.Context, w http.ResponseWriter, r *http.Request, operation *api.Operation, members members,
) ([]byte, error) {
	caller := api.Caller{RemoteAddr: address(r.RemoteAddr)}
	if !operation.Public {
		token := bearer(r)
		if token == "" {
			return nil, domain.Errorf(domain.Unauthenticated, "send a token: Authorization: Bearer <token>")
		}
		principal, err := h.config.Gate.Admit(ctx, token)
		if err != nil {
			return nil, err
		}
		caller.User, caller.Session = principal.User, principal.Session
	}
	params, err := h.params(w, r, members)
	if err != nil {
		return nil, err
	}
	result, err := operation.Call(ctx, caller, params)
	if err != nil {
		return nil, err
	}
	return api.Encode(result)
}

// bearer returns the token of a request, or "".
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// address returns an address without its port.
func address(remote string) string {
	if host, _, err := net.SplitHostPort(remote); err == nil {
		return host
	}
	return remote
}
