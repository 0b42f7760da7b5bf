package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"mpim/domain/conversation"
	"mpim/handlers/api"
	"mpim/handlers/auth"
	"mpim/handlers/gateway"
	"mpim/handlers/httpapi"
	"mpim/handlers/push"
	"mpim/handlers/web"
	"mpim/projections"
	"mpim/projections/archive"
	"mpim/projections/builds"
	"mpim/projections/checkpoint"
	"mpim/projections/contacts"
	"mpim/projections/history"
	"mpim/projections/inbox"
	"mpim/projections/members"
	"mpim/projections/notices"
	"mpim/projections/presence"
	"mpim/projections/receipts"
	"mpim/projections/recent"
	"mpim/projections/search"
	"mpim/streams"
	"mpim/streams/bus"
	"mpim/streams/lease"
)

type gatewayCommand struct {
	Addr             string   `help:"Address that clients use." default:"127.0.0.1:8080" env:"MPIM_ADDR"`
	AdminAddr        string   `help:"Address of health and metrics." default:"127.0.0.1:8081" env:"MPIM_ADMIN_ADDR"`
	ID               string   `help:"Name of this process life; default: host name. A random suffix is added." placeholder:"NAME" env:"MPIM_ID"`
	PublicURL        string   `placeholder:"URL" help:"URL by which clients reach this gateway." env:"MPIM_PUBLIC_URL"`
	AllowedOrigins   []string `placeholder:"ORIGIN" help:"Origins of pages that may connect, besides this host." env:"MPIM_ALLOWED_ORIGINS" sep:","`
	TLSCert          string   `placeholder:"FILE" help:"Certificate file; without one it serves plain HTTP." env:"MPIM_TLS_CERT" type:"existingfile"`
	TLSKey           string   `placeholder:"FILE" help:"Key file of the certificate." env:"MPIM_TLS_KEY" type:"existingfile"`
	AllowUnsafeRedis bool     `help:"Work with a Redis that may lose or evict the log: for a laptop." env:"MPIM_ALLOW_UNSAFE_REDIS"`
}

// Run serves until it is told to stop.
func (c *gatewayCommand) Run(i *invocation) error {
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return usagef("--tls-cert and --tls-key go together")
	}
	if i.settings.AuthKey == "" {
		return usagef("no signing key is set: set MPIM_AUTH_KEY to at least 32 random bytes, the same for every gateway, such as `openssl rand -hex 32` prints")
	}
	var clients, admins door
	return i.lives(func(l *life) error { return c.live(i, l, &clients, &admins) })
}

// live serves while the log goes on under one epoch.
func (c *gatewayCommand) live(i *invocation, l *life, clients, admins *door) error {
	s, err := openStores(i.ctx, i.settings, i.logger)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if err := s.checkSafety(i.ctx, i.settings.Durability, c.AllowUnsafeRedis); err != nil {
		return err
	}
	if err := s.openLog(i.ctx); err != nil {
		return err
	}
	if err := s.openSeal(i.settings, false); err != nil {
		return err
	}
	if err := s.checkKeys(i.ctx); err != nil {
		return err
	}
	listener, err := clients.open(i.ctx, c.Addr)
	if err != nil {
		return err
	}
	admin, err := admins.open(i.ctx, c.AdminAddr)
	if err != nil {
		return err
	}
	id := processID(c.ID)
	log, err := s.newLog(i.settings.Durability, "gateway "+id)
	if err != nil {
		return err
	}
	g, err := newGatewayParts(s, log, i.settings, id, c.AllowedOrigins)
	if err != nil {
		return err
	}
	url := c.PublicURL
	var tls *tlsFiles
	if c.TLSCert != "" {
		tls = &tlsFiles{cert: c.TLSCert, key: c.TLSKey}
	}
	if url == "" {
		url = "http://" + listener.Addr().String()
		if tls != nil {
			url = "https://" + listener.Addr().String()
		}
	}
	h := &health{checks: g.checks()}
	stages := []stage{h.stage(admin, s.registry, i.newLive(g.setRates, l.later)), {name: "log", stopWithin: i.settings.Drain, parts: []func(context.Context) error{s.ring.Run, log.Run}}}
	stages = append(stages, g.stages(i.settings.Drain, url, serve(listener, g.handler, tls))...)
	context.AfterFunc(i.ctx, func() { h.draining.Store(true) })
	return runStages(i.ctx, i.logger, stages, l.ready(func() { fmt.Fprintln(i.stdout, "ready gateway", url) }))
}

// gatewayParts are what a gateway consists of.
type gatewayParts struct {
	stores     *stores
	log        *streams.Log
	waiter     *checkpoint.Waiter
	caching    *caching
	operations *api.Registry
	setRates   func(api.Rates)
	gateway    *gateway.Gateway
	handler    http.Handler
}

// newGatewayParts wires a gateway. It starts nothing.
func newGatewayParts(s *stores, log *streams.Log, settings *Settings, id string, origins []string) (*gatewayParts, error) {
	g := &gatewayParts{stores: s, log: log, waiter: s.newWaiter()}
	tokens, err := auth.NewTokens(auth.TokensConfig{Key: []byte(settings.AuthKey)})
	if err != nil {
		return nil, err
	}
	gate := auth.NewGate(tokens, log)
	choices := presence.NewChoices(s.redis, s.bus)
	if g.caching, err = s.openCache(settings); err != nil {
		return nil, err
	}
	operations, err := g.newOperations(settings, tokens, choices)
	if err != nil {
		return nil, err
	}
	g.operations, g.setRates = operations.Registry(), operations.SetRates
	g.gateway, err = gateway.New(gateway.Config{
		ID:             id,
		Limits:         gateway.Limits{FrameBytes: settings.frameBytes(), TextBytes: settings.LimitsTextBytes},
		ShownLimits:    settings.shownLimits(),
		AllowedOrigins: origins,
		Placement:      s.identity.Placement(),
		Operations:     gateway.Registry{Registry: g.operations},
		Gate:           gate,
		Ledger:         gateway.Accounts{Store: log},
		Bus:            s.bus,
		Routes:         presence.NewRoutes(s.redis),
		Channels:       s.bus,
		Holders:        pushHolders{s},
		Standing:       standing{s, members.NewQueries(s.redis)},
		Seen:           log,
		Over:           log.Superseded,
		Logger:         s.logger,
		Registerer:     s.registry,
	})
	if err != nil {
		return nil, err
	}
	version := readVersion().Version
	document, err := gateway.Document(g.operations, version)
	if err != nil {
		return nil, err
	}
	rest, err := httpapi.New(httpapi.Config{
		MaxBody: restBodyBytes, Registry: g.operations, Gate: gate, AllowedOrigins: origins, SocketDocument: document,
		Logger: s.logger, Version: version,
	})
	if err != nil {
		return nil, err
	}
	g.handler = route(g.gateway, rest, web.Handler())
	return g, nil
}

// route sends all below /v1 to the API, whose refusals are problem documents, and the rest to the page. A ServeMux would
// redirect paths that are not clean, with an answer of its own.
func route(sockets, rest, page http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case path == "/v1/ws":
			sockets.ServeHTTP(w, r)
		case path == "/v1" || strings.HasPrefix(path, "/v1/") || r.Method != http.MethodGet && r.Method != http.MethodHead:
			rest.ServeHTTP(w, r)
		default:
			page.ServeHTTP(w, r)
		}
	})
}

func (g *gatewayParts) newOperations(settings *Settings, tokens *auth.Tokens, choices *presence.Choices) (*api.Operations, error) {
	passwords, err := auth.NewPasswords(auth.PasswordsConfig{})
	if err != nil {
		return nil, err
	}
	limits := conversation.DefaultLimits()
	limits.TextBytes, limits.ClientID, limits.GroupMembers = settings.LimitsTextBytes, settings.LimitsClientIDBytes, settings.LimitsGroupMembers
	s := g.stores
	var directory api.Directory
	if g.caching != nil { // operators' commands read what is never behind
		directory = g.caching.lookup
	}
	return api.New(api.Config{
		Log: g.log, Placement: s.identity.Placement(), Durability: string(settings.Durability), Epoch: s.epoch,
		EpochNumber: func() int64 { return s.identity.Epoch },
		Tokens:      tokens, Passwords: passwords, Attempts: streams.Attempts{Client: s.redis},
		Members: members.NewQueries(s.redis), Inbox: inbox.NewQueries(s.redis), Recent: recent.NewQueries(s.redis),
		History: agreedQueries{history.NewQueries(s.db), s}, Contacts: agreedContacts{contacts.NewQueries(s.db), s},
		Search:  agreedSearch{search.NewQueries(s.db), s},
		Notices: agreedNotices{notices.NewQueries(s.db), s}, Receipts: agreedReceipts{receipts.NewQueries(s.db), s}, Gateways: s.bus,
		Archive: agreedArchive{archive.Archive{DB: s.db}, s}, Presence: presence.NewQueries(s.redis), Choices: choices,
		Directory: directory, Waiter: g.waiter, Typing: s.bus, Limits: limits, Rates: settings.rates(),
	})
}

// newWaiter lets reads wait for the projections that they read.
func (s *stores) newWaiter() *checkpoint.Waiter {
	sources := make(map[string]checkpoint.Source)
	inRedis, inTables := checkpoint.NewRedisSource(s.redis), checkpoint.SQLSource{DB: s.db}
	for _, name := range s.projectionNames() {
		sources[name] = inRedis
		if keptInSQL(name) {
			sources[name] = inTables
		}
	}
	return checkpoint.NewWaiter(checkpoint.WaiterConfig{Sources: sources, Logger: s.logger})
}

// stages are what a gateway runs, in the order of starting. Sockets are drained before the servers stop.
func (g *gatewayParts) stages(drain time.Duration, url string, serveClients func(context.Context) error) []stage {
	return []stage{
		{name: "gateway", stopWithin: drain, parts: []func(context.Context) error{g.waiter.Run, g.gateway.Run, g.caching.cache.Run, g.stores.noteHeads}, up: g.gateway.Ready},
		{name: "directory", stopWithin: 3 * time.Second, parts: []func(context.Context) error{func(ctx context.Context) error {
			return g.gateway.Announce(ctx, g.stores.bus, url, bus.AnnounceEvery)
		}}},
		{name: "clients", stopWithin: 6 * time.Second, parts: []func(context.Context) error{serveClients}},
		{name: "sockets", stopWithin: drain + time.Second, parts: []func(context.Context) error{func(ctx context.Context) error {
			<-ctx.Done()
			limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
			defer cancel()
			if g.log.Superseded() {
				return g.gateway.Drain(limit, min(drain/2, epochDrain))
			}
			return g.gateway.Drain(limit, drain/2)
		}}},
	}
}

// checks are what a gateway needs to serve clients.
func (g *gatewayParts) checks() []check {
	checks := []check{
		{"redis", func(ctx context.Context) error { return g.stores.redis.Ping(ctx).Err() }},
		{"log", func(context.Context) error { return g.log.Closed() }},
		{"identity", g.stores.identical},
		{"pushes", func(context.Context) error {
			if !g.gateway.Ready() {
				return errors.New("the gateway's channel is not heard")
			}
			return nil
		}},
	}
	checks = append(checks, check{"worker " + push.Consumer, func(ctx context.Context) error { return g.stores.held(ctx, push.Consumer) }})
	for _, code := range g.stores.inRedis() { // all but what is in SQL works without it
		checks = append(checks, check{"worker " + code.Name(), func(ctx context.Context) error {
			return g.stores.tended(ctx, code.Name())
		}})
	}
	return checks
}

// stalledAfter is how far behind a projection may be before gateways that read it are not ready.
const stalledAfter = 15 * time.Second

// tended returns an error where nobody feeds the live build of a projection, or where it has stalled.
func (s *stores) tended(ctx context.Context, name string) error {
	f, err := s.family(name)
	if err != nil {
		return err
	}
	standing, err := f.Standing(ctx)
	if err != nil {
		return err
	}
	live, ok := standing.Live()
	switch {
	case ok:
		return errors.Join(s.held(ctx, builds.Consumer(name, live.Version)), s.moving(ctx, f.Open(live)))
	case standing.Any():
		return errors.New("no build is live yet: `mpim projection list --all` says how far they are")
	default:
		return s.held(ctx, f.Consumer())
	}
}

// moving returns an error where the projection has stalled.
func (s *stores) moving(ctx context.Context, p projections.Projection) error {
	heads, err := s.reader().Heads(ctx)
	if err != nil {
		return err
	}
	status, err := p.Status(ctx)
	if err != nil {
		return err
	}
	events, behind, err := s.lag(ctx, status, heads, time.Now())
	if err != nil {
		return err
	}
	if behind > stalledAfter {
		return fmt.Errorf("it is %d events and %s behind: look at the workers' logs", events, behind.Round(time.Second))
	}
	return nil
}

// held returns an error where some partition has no worker for the consumer.
func (s *stores) held(ctx context.Context, consumer string) error {
	holders, err := lease.Holders(ctx, s.redis, s.identity.Partitions, consumer)
	if err != nil {
		return err
	}
	if missing := s.identity.Partitions - len(holders); missing > 0 {
		return fmt.Errorf("%d of %d partitions have no worker: start `mpim worker`", missing, s.identity.Partitions)
	}
	return nil
}
