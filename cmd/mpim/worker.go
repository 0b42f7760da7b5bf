package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"mpim/projections/archive"
	"mpim/streams"
)

type workerCommand struct {
	Only             []string `placeholder:"NAME" help:"Run these consumers alone: history,inbox,push,…" env:"MPIM_ONLY" sep:","`
	Except           []string `placeholder:"NAME" help:"Run all consumers but these." env:"MPIM_EXCEPT" sep:","`
	AdminAddr        string   `help:"Address of health and metrics." default:"127.0.0.1:8082" env:"MPIM_ADMIN_ADDR"`
	ID               string   `help:"Name of this process life; default: host name. A random suffix is added." placeholder:"NAME" env:"MPIM_ID"`
	AllowUnsafeRedis bool     `help:"Work with a Redis that may lose or evict the log: for a laptop." env:"MPIM_ALLOW_UNSAFE_REDIS"`
}

// errDraining is why a stopping process is not ready.
var errDraining = errors.New("stopping")

// Run runs the worker until it is told to stop.
func (c *workerCommand) Run(i *invocation) error {
	var admins door
	return i.lives(func(l *life) error { return c.live(i, l, &admins) })
}

// live runs while the log goes on under one epoch.
func (c *workerCommand) live(i *invocation, l *life, admins *door) error {
	s, err := openStores(i.ctx, i.settings, i.logger)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if err := s.checkSafety(i.ctx, i.settings.Durability, c.AllowUnsafeRedis); err != nil {
		return err
	}
	id := processID(c.ID)
	if err := s.openLogRepaired(i.ctx, i.settings, id); err != nil {
		return err
	}
	if err := s.openSeal(i.settings, false); err != nil {
		return err
	}
	if err := s.checkKeys(i.ctx); err != nil {
		return err
	}
	if err := s.openAudit(i.settings, false); err != nil {
		return err
	}
	chosen, err := chooseConsumers(s.consumerNames(), c.Only, c.Except)
	if err != nil {
		return err
	}
	admin, err := admins.open(i.ctx, c.AdminAddr)
	if err != nil {
		return err
	}
	log, err := s.newLog(i.settings.Durability, "worker "+id)
	if err != nil {
		return err
	}
	url := "http://" + admin.Addr().String()
	worker, err := newConsumers(s, log, id, url, chosen, i.settings)
	if err != nil {
		return err
	}
	h := &health{checks: worker.checks()}
	stages := []stage{h.stage(admin, s.registry, i.newLive(nil, l.later)), {name: "log", stopWithin: i.settings.Drain, parts: []func(context.Context) error{s.ring.Run, log.Run}}}
	stages = append(stages, worker.stages(i.settings.Drain)...)
	context.AfterFunc(i.ctx, func() { h.draining.Store(true) })
	return runStages(i.ctx, i.logger, stages, l.ready(func() { fmt.Fprintln(i.stdout, "ready worker", url) }))
}

// stages are what a worker runs, in the order of starting: leases are given back first of all.
func (c *consumers) stages(drain time.Duration) []stage {
	stages := []stage{
		{name: "repair", stopWithin: drain, parts: c.mending},
		{name: "push owner", stopWithin: 5 * time.Second, parts: []func(context.Context) error{c.owner.Run, c.webhooks.Run, c.waiter.Run, c.caching.cache.Run, c.caching.keepWarm, c.stores.noteHeads}},
		{name: "consumers", stopWithin: drain, parts: []func(context.Context) error{c.runRouter}},
		{name: "leases", stopWithin: drain, parts: []func(context.Context) error{c.manager.Run}},
	}
	if c.archiver != nil {
		stages = append(stages, stage{name: archive.Name, stopWithin: drain, parts: []func(context.Context) error{c.archiver.Run}})
	}
	return stages
}

// checks are what a worker needs.
func (c *consumers) checks() []check {
	checks := []check{
		{"redis", func(ctx context.Context) error { return c.stores.redis.Ping(ctx).Err() }},
		{"log", func(context.Context) error { return c.log.Closed() }},
	}
	if slices.ContainsFunc(c.names, keptInSQL) {
		checks = append(checks, check{"database", c.stores.db.Ping})
	}
	return checks
}

// newLog returns the log for appending. Operators know the process by its name.
func (s *stores) newLog(d streams.Durability, name string) (*streams.Log, error) {
	config := streams.Config{
		Client: s.redis, Server: s.server, Identity: s.identity, Durability: d, Name: name, Sole: s.sole, Remembered: s.seenInSQL,
		Logger: s.logger, Registerer: s.registry,
	}
	if s.sealing {
		config.Sealer = s.ring
	}
	return streams.New(config)
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s (%w): choose another address", address, err)
	}
	return listener, nil
}

// processID names one life of a process: the host and a random suffix where nothing is given.
func processID(given string) string {
	var suffix [4]byte
	_, _ = rand.Read(suffix[:]) // never fails, as crypto/rand says
	name := given
	if name == "" {
		name, _ = os.Hostname()
	}
	name = strings.Map(func(r rune) rune {
		if r == ' ' || r == ':' || r == '{' || r == '}' {
			return '-'
		}
		return r
	}, name)
	return name + "-" + hex.EncodeToString(suffix[:])
}
