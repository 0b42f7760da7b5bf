package gateway

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"mpim/domain"
)

// Subprotocol is what clients ask for when they open a socket.
const Subprotocol = "mpim.v1.json"

// Config is what a gateway is made of.
type Config struct {
	// ID names this process life of the gateway; no other may have it.
	ID string
	// Limits bound each connection.
	Limits Limits
	// ShownLimits are limits that others apply and hello shows beside those of the gateway, by name.
	ShownLimits map[string]int64
	// Connections is how many sockets there may be; more are answered 503. Default 100,000.
	Connections int
	// AllowedOrigins are patterns as of path.Match for the host of pages that may connect, besides this host itself; with
	// "://" in it a pattern is for scheme and host. "*" allows all.
	AllowedOrigins []string
	// Placement says where things live in the log.
	Placement domain.Placement
	// Operations are what clients can call.
	Operations Operations
	// CallTimeout bounds each call, and HelloTimeout the handshake. Default 15 s, and 10 s.
	CallTimeout, HelloTimeout time.Duration
	// Renew is how often the leases of connections are renewed. Default 20 s.
	Renew time.Duration
	// ResyncSpread is over how long all connections are told to resync. Default 5 s.
	ResyncSpread time.Duration
	// Recheck is how often it is made sure that those whose presence is watched may still be seen. An event that ends a
	// membership has that done at once; this is for one that was lost. Default 1 min.
	Recheck time.Duration

	Gate     Gate
	Ledger   Ledger
	Bus      Bus
	Routes   Routes
	Channels Channels
	Holders  Holders
	Standing Standing
	// Seen is told how far pushes show the log to be; nil for nobody.
	Seen Seen
	// Over says that the ledger takes nothing any more, because the log goes on under a new epoch: what is not recorded then
	// is left to expire. Nil for never.
	Over func() bool

	Logger *slog.Logger
	// Registerer takes the metrics; nil for none.
	Registerer prometheus.Registerer
}

func (c Config) withDefaults() (Config, error) {
	c.Limits = c.Limits.withDefaults()
	def(&c.Connections, 100_000)
	def(&c.CallTimeout, 15*time.Second)
	def(&c.HelloTimeout, 10*time.Second)
	def(&c.Renew, 20*time.Second)
	def(&c.ResyncSpread, 5*time.Second)
	def(&c.Recheck, time.Minute)
	if c.Over == nil {
		c.Over = func() bool { return false }
	}
	var missing []string
	for name, absent := range map[string]bool{
		"ID": c.ID == "", "Placement": c.Placement.Partitions == 0, "Operations": c.Operations == nil, "Gate": c.Gate == nil,
		"Ledger": c.Ledger == nil, "Routes": c.Routes == nil, "Bus": c.Bus == nil, "Channels": c.Channels == nil, "Holders": c.Holders == nil,
		"Standing": c.Standing == nil, "Logger": c.Logger == nil,
	} {
		if absent {
			missing = append(missing, name)
		}
	}
	if missing != nil {
		return c, errors.New("gateway config lacks " + strings.Join(missing, ", "))
	}
	return c, nil
}

// Gateway holds sockets. It serves them as an [http.Handler], between the start of Run and Drain.
type Gateway struct {
	config     Config
	protocol   Protocol
	logger     *slog.Logger
	metrics    *metrics
	hub        *hub
	tracker    *tracker
	holders    *sharedHolders
	resync     *resyncer
	departures *departures
	revivals   *revivals
	leases     *leases
	back       chan struct{} // takes one when pushes are heard again
	watchers   *watchers
	doubts     *doubts
	accept     *websocket.AcceptOptions

	ready    atomic.Bool
	draining atomic.Bool
}

// New returns a gateway. It starts nothing.
func New(config Config) (*Gateway, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		config: config, logger: config.Logger, hub: newHub(), tracker: newTracker(),
		holders: newSharedHolders(config.Holders), watchers: newWatchers(), doubts: newDoubts(),
		revivals: newRevivals(), leases: newLeases(), back: make(chan struct{}, 1),
	}
	g.metrics = newMetrics(config.Registerer, g.queued)
	g.resync = newResyncer(g.hub, config.ResyncSpread, func(n int) { g.metrics.resyncs.Add(float64(n)) })
	g.departures = newDepartures(config.Ledger, config.Bus, config.Logger)
	g.departures.over = config.Over
	g.protocol = Protocol{Limits: config.Limits, Route: g.route}
	g.accept = &websocket.AcceptOptions{
		Subprotocols:    []string{Subprotocol},
		OriginPatterns:  config.AllowedOrigins,
		CompressionMode: websocket.CompressionNoContextTakeover,
		// A single pushed event is not worth the time, which would be spent anew for each socket; a page of history is.
		CompressionThreshold: compressFrom,
	}
	for _, origin := range config.AllowedOrigins {
		g.accept.InsecureSkipVerify = g.accept.InsecureSkipVerify || origin == "*"
	}
	return g, nil
}

// compressFrom is the length from which frames to clients that offer compression are compressed.
const compressFrom = 2 << 10

// Run does what the sockets have in common: it hears pushes, renews leases, and records who left. It returns when the
// context ends, what was to be recorded is, and the leases are given back, which takes at most a few seconds. The sockets
// stay as they are: Drain closes them and belongs before the end.
func (g *Gateway) Run(ctx context.Context) error {
	tasks, ctx := errgroup.WithContext(ctx)
	for _, run := range []func(context.Context) error{
		g.listen, g.listenStatus, g.resync.run, g.renew, g.departures.run, g.doubts.run, g.recheck,
	} {
		tasks.Go(func() error { return run(ctx) })
	}
	err := tasks.Wait()
	g.returnLeases(context.WithoutCancel(ctx))
	return err
}

// Ready says whether pushes are being heard.
func (g *Gateway) Ready() bool { return g.ready.Load() && !g.draining.Load() }

// Connections returns how many sockets are open.
func (g *Gateway) Connections() int { return int(g.metrics.open.Load()) }

// queued returns how many bytes wait for all clients together.
func (g *Gateway) queued() (bytes int) {
	for _, c := range g.hub.all() {
		bytes += c.queued()
	}
	return bytes
}

// ServeHTTP opens a socket. It returns at once; the socket lives on.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	socket, link, ok := g.upgrade(w, r)
	if !ok {
		return
	}
	socket.SetReadLimit(g.config.Limits.FrameBytes)
	c := &conn{gateway: g, socket: socket, link: link, remote: remoteHost(r), bearer: bearer(r)}
	c.session.init(&g.protocol, time.Now())
	g.metrics.open.Add(1)
	c.number = g.hub.add(c)
	c.do(func(s *Session, now time.Time) (step Step) {
		if g.draining.Load() {
			// Drain may have asked all others before this one was there.
			return s.End(now, CloseDraining)
		}
		return step
	})
	// The handler returns, so that net/http lets go of the request and of a stack that parsing it has grown.
	c.spawn(c.read)
}

func remoteHost(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return strings.Clone(host)
}

// bearer returns the token of the request's header, or "".
func bearer(r *http.Request) string {
	scheme, token, found := strings.Cut(r.Header.Get("Authorization"), " ")
	if !found || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.Clone(strings.TrimSpace(token))
}

// left takes a socket off that has ended.
func (g *Gateway) left(c *conn, code CloseCode) {
	c.mu.Lock()
	entry := c.entry
	c.setWatch(nil)
	c.mu.Unlock()
	g.metrics.open.Add(-1)
	g.metrics.closed(code)
	g.hub.remove(c.number)
	if entry.Connection != "" {
		g.departures.add(departure{entry: entry, reason: endReason(code)})
	}
}

// endReason says how a connection ended, for the log. Who was asked to reconnect is about to come back, and does not go
// offline meanwhile.
func endReason(code CloseCode) string {
	if code == CloseNormal || code == CloseTooBig || code >= CloseNoHello {
		return reasonClosed
	}
	return reasonLost
}

// Reasons of domain.SessionDisconnected.
const (
	reasonClosed = "closed"
	reasonLost   = "lost"
)

// Drain takes no new sockets, and asks those that are open to reconnect elsewhere, spread over the given time. It returns
// when all are closed or the context ends.
func (g *Gateway) Drain(ctx context.Context, over time.Duration) error {
	g.draining.Store(true)
	asked := spread(ctx, g.hub.all(), over, func(c *conn) {
		c.do(func(s *Session, now time.Time) Step { return s.End(now, CloseDraining) })
	})
	for asked && g.Connections() > 0 {
		asked = wait(ctx, spreadStep)
	}
	if !asked {
		return fmt.Errorf("drain: %d sockets are still open: %w", g.Connections(), ctx.Err())
	}
	return nil
}

// requestID makes an id under which an internal error is found in the log.
func requestID() string {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
