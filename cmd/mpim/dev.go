package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mpim/domain"
	"mpim/handlers/api"
	"mpim/streams"
)

type devCommand struct {
	Addr      string `help:"Address that clients use." default:"127.0.0.1:8080" env:"MPIM_ADDR"`
	AdminAddr string `help:"Address of health and metrics." default:"127.0.0.1:8081" env:"MPIM_ADMIN_ADDR"`
	Data      string `help:"Keep everything in this directory: runs the redis-server it finds." placeholder:"DIR" env:"MPIM_DATA"`
	NoDemo    bool   `help:"Do not register the demo users." env:"MPIM_NO_DEMO"`

	redis devRedis
}

// demoUsers are registered by `mpim dev`, each with the password that stands beside it.
var demoUsers = []struct{ name, display, password string }{
	{"alice", "Alice", "alice-demo"},
	{"bob", "Bob", "bob-demo-1"},
}

// Run runs gateway, workers and push in this process until it is told to stop.
func (c *devCommand) Run(i *invocation) error {
	if !i.env.given(i.parsed, "log-level") {
		i.settings.level.Set(slog.LevelWarn)
	}
	if !i.env.given(i.parsed, "webhook-allow-private") {
		i.settings.WebhookAllowPrivate = true // whoever tries it has the receiver on the same machine
	}
	kept, closeServers, err := c.prepare(i)
	if err != nil {
		return err
	}
	defer closeServers()
	var clients, admins door
	return i.lives(func(l *life) error { return c.live(i, l, &clients, &admins, kept) })
}

// live runs everything while the log goes on under one epoch.
func (c *devCommand) live(i *invocation, l *life, clients, admins *door, kept string) error {
	s, err := c.open(i)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if _, _, err := s.migrate(i.ctx, i.settings.Partitions); err != nil {
		// The schema is there by now; what is left is a log that was lost.
		if s.openLogRepaired(i.ctx, i.settings, processID("dev")) != nil {
			return err
		}
	}
	listener, err := clients.open(i.ctx, c.Addr)
	if err != nil {
		return err
	}
	admin, err := admins.open(i.ctx, c.AdminAddr)
	if err != nil {
		return err
	}
	if err := s.openSeal(i.settings, true); err != nil {
		return err
	}
	if err := s.openAudit(i.settings, true); err != nil {
		return err
	}
	log, err := s.newLog(i.settings.Durability, "dev")
	if err != nil {
		return err
	}
	worker, err := newConsumers(s, log, processID("dev-worker"), "http://"+admin.Addr().String(), s.consumerNames(), i.settings)
	if err != nil {
		return err
	}
	g, err := newGatewayParts(s, log, i.settings, processID("dev-gateway"), nil)
	if err != nil {
		return err
	}
	drain := min(i.settings.Drain, 3*time.Second)
	h := &health{checks: g.checks()}
	stages := []stage{h.stage(admin, s.registry, i.newLive(g.setRates, l.later)), {name: "log", stopWithin: drain, parts: []func(context.Context) error{s.ring.Run, log.Run}}}
	stages = append(stages, worker.stages(drain)...)
	stages = append(stages, g.stages(drain, "http://"+listener.Addr().String(), serve(listener, g.handler, nil))...)
	context.AfterFunc(i.ctx, func() { h.draining.Store(true) })
	return runStages(i.ctx, i.logger, stages, l.ready(func() {
		url := "http://" + listener.Addr().String()
		c.welcome(i, g, url, kept)
		fmt.Fprintln(i.stdout, "ready dev", url)
	}))
}

// prepare starts the servers that are to be started, points the settings at them, and says in one line what is kept.
func (c *devCommand) prepare(i *invocation) (kept string, stop func(), err error) {
	var stops []func()
	stop = func() {
		for _, stop := range slices.Backward(stops) {
			stop()
		}
	}
	redisKept, sqlKept := "Redis at "+redacted(i.settings.RedisURL), "the database that is configured"
	if c.Data != "" {
		if err := os.MkdirAll(c.Data, 0o700); err != nil {
			return "", nil, fmt.Errorf("--data %s: %w", c.Data, err)
		}
	}
	if !i.env.given(i.parsed, "redis-url") {
		child, where, err := startRedis(i.ctx, c.Data)
		if err != nil {
			return "", nil, err
		}
		stops = append(stops, child.stop)
		c.redis = child
		i.settings.RedisURL = child.url
		redisKept = where
	}
	if !i.env.given(i.parsed, "database-url") {
		i.settings.DatabaseURL, sqlKept = "sqlite::memory:", "SQLite in memory"
		if c.Data != "" {
			path, err := filepath.Abs(filepath.Join(c.Data, "mpim.db"))
			if err != nil {
				stop()
				return "", nil, err
			}
			i.settings.DatabaseURL, sqlKept = "sqlite://"+path, "SQLite in "+path
		}
	}
	if i.settings.AuthKey == "" {
		i.settings.ownAuthKey = true
		if i.settings.AuthKey, err = authKey(c.Data); err != nil {
			stop()
			return "", nil, err
		}
	}
	if c.redis.embedded {
		return "Nothing is kept: the log is in this process's memory and goes with it. `mpim dev --data DIR` keeps everything.", stop, nil
	}
	return "Kept: the log in " + redisKept + "; tables in " + sqlKept + ".", stop, nil
}

// open connects to what prepare has started.
func (c *devCommand) open(i *invocation) (*stores, error) {
	s, err := openStores(i.ctx, i.settings, i.logger)
	if err != nil {
		return nil, err
	}
	s.sole = c.redis.url != "" // its server is in a directory that one process at a time can have
	if c.redis.embedded {
		s.server = streams.EmbeddedServer{Life: i.settings.RedisURL}
	}
	if err := s.checkSafety(i.ctx, i.settings.Durability, false); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// authKey returns the key that signs tokens: one that stays with the data, or one for this life.
func authKey(directory string) (string, error) {
	if directory == "" {
		return hex.EncodeToString(random(32)), nil
	}
	path := filepath.Join(directory, "auth.key")
	key, err := os.ReadFile(filepath.Clean(path))
	if err == nil {
		return strings.TrimSpace(string(key)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	fresh := hex.EncodeToString(random(32))
	return fresh, os.WriteFile(path, []byte(fresh+"\n"), 0o600)
}

// welcome prints where to go and as whom.
func (c *devCommand) welcome(i *invocation, g *gatewayParts, url, kept string) {
	fmt.Fprintf(i.stderr, "Open %s in two browser windows.\n", url)
	if !c.NoDemo {
		for _, user := range demoUsers {
			if err := register(i.ctx, g.operations, user.name, user.display, user.password); err != nil {
				i.logger.Error("demo user could not be registered", slog.String("username", user.name), slog.Any("error", err))
				continue
			}
			fmt.Fprintf(i.stderr, "Log in as %s with password %s\n", user.name, user.password)
		}
	}
	fmt.Fprintln(i.stderr, kept)
}

// register makes an account, or finds that it is there.
func register(ctx context.Context, operations *api.Registry, name, display, password string) error {
	op, ok := operations.Lookup("account.register")
	if !ok {
		return errors.New("account.register is not an operation")
	}
	params, err := json.Marshal(map[string]string{"username": name, "display_name": display, "password": password})
	if err != nil {
		return err
	}
	_, err = op.Call(ctx, api.Caller{RemoteAddr: "demo-" + name}, params)
	if domain.CodeOf(err) == domain.Conflict {
		return nil
	}
	return err
}
