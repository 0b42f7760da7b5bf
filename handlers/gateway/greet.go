package gateway

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"log/slog"
	"maps"
	"time"

	"mpim/domain"
	"mpim/handlers/auth"
	"mpim/schema"
)

// welcome is the result of hello.
type welcome struct {
	Connection domain.ConnectionID `json:"connection"`
	Session    domain.SessionID    `json:"session"`
	User       domain.UserID       `json:"user"`
	Gateway    string              `json:"gateway"`
	ServerTime string              `json:"server_time"`
	HeartbeatS int                 `json:"heartbeat_s"`
	Limits     map[string]int64    `json:"limits"`
	UserSeq    int64               `json:"user_seq"`
	Epoch      string              `json:"epoch"`
}

// handshake is one hello that is being carried out.
type handshake struct {
	conn  *conn
	hello *Hello
}

// run carries the handshake out and tells the session how it went.
func (h handshake) run() {
	c, hello, g := h.conn, h.hello, h.conn.gateway
	began := time.Now()
	ctx, cancel := context.WithTimeout(detached, g.config.HelloTimeout)
	defer cancel()
	who, err := g.admit(ctx, c, hello)
	if err != nil {
		g.refuse(c, err)
		return
	}
	entry, err := g.connect(ctx, c, who, hello)
	if err != nil {
		g.refuse(c, err)
		return
	}
	result, err := g.welcome(ctx, entry)
	if err != nil {
		g.withdraw(c, entry)
		g.refuse(c, err)
		return
	}
	g.metrics.hello.Observe(time.Since(began).Seconds())
	c.do(func(s *Session, now time.Time) Step {
		c.bearer, c.losses = "", g.resync.losses.Load()
		owner := Owner{User: entry.User, Session: entry.Session, Connection: entry.Connection}
		return s.Welcome(now, owner, who.ExpiresAt, result)
	})
	if hello.Resume != "" {
		g.replace(ctx, entry, hello.Resume)
	}
}

func (g *Gateway) admit(ctx context.Context, c *conn, hello *Hello) (auth.Principal, error) {
	token := hello.Token
	if token == "" {
		token = c.bearer
	}
	if token == "" {
		return auth.Principal{}, domain.Errorf(domain.Unauthenticated, "send a token, in hello or in the Authorization header")
	}
	return g.config.Gate.Admit(ctx, token)
}

// connect makes the connection known, and returns when everyone who pushes knows it.
func (g *Gateway) connect(ctx context.Context, c *conn, who auth.Principal, hello *Hello) (schema.Connected, error) {
	entry := schema.Connected{User: who.User, Session: who.Session, Gateway: g.config.ID, Client: hello.Client}
	partition, ok := who.User.Partition()
	if !ok {
		return entry, domain.Errorf(domain.Unauthenticated, "the token names no user")
	}
	entry.Connection = newConnectionID(who.User, c.number)
	if err := g.config.Ledger.Connect(ctx, entry); err != nil {
		return entry, err
	}
	g.leases.note(partition)
	at, absent, err := g.config.Bus.Connected(ctx, partition, entry)
	if err != nil {
		g.withdraw(c, entry)
		return entry, err
	}
	c.mu.Lock()
	c.entry = entry
	gone := c.gone
	c.mu.Unlock()
	if gone {
		g.withdraw(c, entry)
		return entry, errGone
	}
	if absent {
		g.revive(ctx, partition, c)
	}
	holders, err := g.holders.read(ctx)
	if err == nil {
		err = g.tracker.wait(ctx, c, partition, at, holders)
	}
	if err != nil {
		g.withdraw(c, entry)
		return entry, domain.Wrap(domain.Unavailable, err, "pushes cannot be arranged now: try again")
	}
	return entry, nil
}

var errGone = domain.Errorf(domain.Unavailable, "the connection has ended")

// newConnectionID returns an id that ends in the gateway's number for the connection.
func newConnectionID(user domain.UserID, number uint32) domain.ConnectionID {
	var b [12]byte
	_, _ = rand.Read(b[:8])
	binary.BigEndian.PutUint32(b[8:], number)
	return domain.NewConnectionID(user, b[:])
}

// withdraw records the end of a connection whose hello failed.
func (g *Gateway) withdraw(c *conn, entry schema.Connected) {
	c.mu.Lock()
	c.entry = schema.Connected{}
	c.mu.Unlock()
	g.departures.add(departure{entry: entry, reason: reasonClosed})
}

func (g *Gateway) welcome(ctx context.Context, entry schema.Connected) ([]byte, error) {
	seq, err := g.config.Standing.UserSeq(ctx, entry.User)
	if err != nil {
		return nil, err
	}
	return json.Marshal(welcome{
		Connection: entry.Connection, Session: entry.Session, User: entry.User, Gateway: g.config.ID,
		ServerTime: time.Now().UTC().Format(schema.TimeFormat), HeartbeatS: int(g.config.Limits.Heartbeat / time.Second),
		Limits: g.shownLimits(), UserSeq: seq, Epoch: g.config.Standing.Epoch(),
	})
}

// shownLimits are the limits that a client can go by.
func (g *Gateway) shownLimits() map[string]int64 {
	l := g.config.Limits
	limits := map[string]int64{
		"frame_bytes": max(0, l.FrameBytes), "answer_bytes": int64(l.AnswerBytes), "text_bytes": int64(l.TextBytes), "pending": int64(l.Pending),
	}
	maps.Copy(limits, g.config.ShownLimits)
	return limits
}

// refuse answers hello with an error, and closes where another attempt on the same socket cannot do better.
func (g *Gateway) refuse(c *conn, err error) {
	code := closeNotRequested
	switch domain.CodeOf(err) {
	case domain.Unauthenticated, domain.NotFound:
		code = CloseNoHello
	case domain.PermissionDenied:
		code = CloseSuspended
	default:
	}
	outcome := g.outcome(nil, err, methodHello)
	c.do(func(s *Session, now time.Time) Step { return s.Refuse(now, outcome, code) })
}

// replace closes the older socket that a client left behind, here or at another gateway.
func (g *Gateway) replace(ctx context.Context, entry schema.Connected, old domain.ConnectionID) {
	number, ok := old.Number()
	if !ok || old == entry.Connection {
		return
	}
	if c := g.hub.get(number); c != nil && c.endIf(entry.User, old, CloseNormal) {
		return
	}
	conns, err := g.config.Routes.Connections(ctx, entry.User)
	if err != nil {
		// The old socket ends anyway, when it has been silent for long enough.
		g.logger.Warn("resumed connection not closed", slog.String("connection", string(old)), slog.Any("error", err))
		return
	}
	for _, c := range conns {
		if c.ID != old || c.Gateway == g.config.ID {
			continue
		}
		e := schema.Envelope{Items: []schema.Item{{
			Class: schema.ClassClose, Close: uint16(CloseNormal), Connections: []uint32{number},
		}}}
		if _, err := g.config.Bus.Publish(ctx, []schema.Outgoing{{Gateway: c.Gateway, Payload: e.Append(nil)}}); err != nil {
			g.logger.Warn("resumed connection not closed", slog.String("connection", string(old)), slog.Any("error", err))
		}
	}
}

// endIf ends a connection if it is the one that is meant.
func (c *conn) endIf(user domain.UserID, id domain.ConnectionID, code CloseCode) (ended bool) {
	c.do(func(s *Session, now time.Time) (step Step) {
		if s.Owner().Connection != id || s.Owner().User != user {
			return step
		}
		ended = true
		return s.End(now, code)
	})
	return ended
}

// outcome turns what a call returned into what the session takes. The text of an internal error stays in the log.
func (g *Gateway) outcome(result []byte, err error, method string) Outcome {
	o := Outcome{Result: result, Err: err}
	if err != nil && domain.CodeOf(err) == domain.Internal {
		o.RequestID = requestID()
		g.logger.Error("request failed", slog.String("request_id", o.RequestID), slog.String("method", method), slog.Any("error", err))
	}
	return o
}
