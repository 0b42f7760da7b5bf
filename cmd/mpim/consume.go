package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"mpim/handlers/gateway"
	"mpim/handlers/lookup"
	"mpim/handlers/push"
	"mpim/handlers/reactor"
	"mpim/handlers/timers"
	"mpim/handlers/webhook"
	"mpim/projections"
	"mpim/projections/archive"
	"mpim/projections/builds"
	"mpim/projections/checkpoint"
	"mpim/projections/presence"
	"mpim/streams"
	"mpim/streams/batch"
	"mpim/streams/lease"
)

// requestsConsumer is the lease under which old requests are forgotten.
const requestsConsumer = "requests"

// handleTime bounds how long one batch may take, so that a hung server is noticed.
const handleTime = 30 * time.Second

// consumers are the consumers of one worker: a router, the leases under which it works, and what stands beside them.
type consumers struct {
	stores  *stores
	log     *streams.Log
	owner   *push.Owner
	manager *lease.Manager
	router  *message.Router
	// feeders feed the builds of the projections, by consumer.
	feeders  map[string]*builds.Feeder
	throttle *builds.Throttle
	sweeper  *streams.Sweeper
	timers   *timers.Worker
	webhooks *webhook.Worker
	// archiver is nil where this worker does not archive.
	archiver *archive.Archiver
	caching  *caching
	waiter   *checkpoint.Waiter
	// mending repairs the log by itself; nothing where that is off.
	mending []func(context.Context) error
	logger  *slog.Logger
	names   []string
}

// consumerNames returns what a worker can run, push first.
func (s *stores) consumerNames() []string {
	names := []string{push.Consumer, requestsConsumer, timers.Consumer, archive.Name, webhook.Consumer, reactor.OfflineName, lookup.Consumer}
	return append(names, s.projectionNames()...)
}

// chooseConsumers applies --only and --except.
func chooseConsumers(all, only, except []string) ([]string, error) {
	for _, name := range append(slices.Clone(only), except...) {
		if !slices.Contains(all, name) {
			return nil, usagef("there is no consumer %q: there are %s", name, strings.Join(all, ", "))
		}
	}
	var chosen []string
	for _, name := range all {
		if (len(only) == 0 || slices.Contains(only, name)) && !slices.Contains(except, name) {
			chosen = append(chosen, name)
		}
	}
	if len(chosen) == 0 {
		return nil, usagef("--only and --except leave nothing to run")
	}
	return chosen, nil
}

// newConsumers wires the chosen consumers. It starts nothing.
func newConsumers(s *stores, log *streams.Log, id, url string, chosen []string, settings *Settings) (*consumers, error) {
	c := &consumers{
		stores: s, log: log, logger: s.logger, names: chosen,
		feeders: make(map[string]*builds.Feeder), throttle: builds.NewThrottle(),
	}
	c.sweeper = streams.NewSweeper(streams.SweeperConfig{
		Client: s.redis, Partitions: s.identity.Partitions, Logger: s.logger, Registerer: s.registry,
	})
	var err error
	if c.owner, err = push.New(push.Config{
		Bus: s.bus, Partitions: s.identity.Partitions, Worker: id, Logger: s.logger, Registerer: s.registry,
	}); err != nil {
		return nil, err
	}
	if c.timers, err = timers.New(timers.Config{Log: log, Logger: s.logger, Registerer: s.registry}); err != nil {
		return nil, err
	}
	if c.webhooks, err = s.newWebhooks(settings); err != nil {
		return nil, err
	}
	if c.caching, err = s.openCache(settings); err != nil {
		return nil, err
	}
	c.waiter = s.newWaiter()
	if settings.LogAutoRepair {
		m := &mender{stores: s, settings: settings, worker: id, seen: log.Seen}
		c.mending = append(c.mending, m.Run)
	}
	if c.manager, err = lease.New(lease.Config{
		Client: s.redis, Partitions: s.identity.Partitions, Worker: id, URL: url, Logger: s.logger, Registerer: s.registry,
	}); err != nil {
		return nil, err
	}
	if slices.Contains(chosen, archive.Name) {
		if c.archiver, err = s.newArchiver(id); err != nil {
			return nil, err
		}
		if !s.auditing.signs() {
			s.logger.Warn("events are archived and not signed: neither MPIM_AUDIT_KEY nor MPIM_AUTH_KEY is set")
		}
	}
	if err = c.subscribe(id); err != nil {
		return nil, err
	}
	if slices.Contains(chosen, reactor.OfflineName) {
		if err = c.react(id, settings); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// subscribe makes the one router of the process: a batch subscriber, and a handler for each consumer that reads the log.
func (c *consumers) subscribe(id string) error {
	config := batch.Config{
		Client: c.stores.redis, Partitions: c.stores.identity.Partitions, Worker: id,
		Segments: c.stores.segments(), Saw: c.log.Saw, Lost: c.stores.lost, Logger: c.logger, Registerer: c.stores.registry,
	}
	if c.stores.ring != nil {
		config.Opener = c.stores.ring
	}
	handlers := make(map[string]message.NoPublishHandlerFunc)
	if err := c.newFeeders(); err != nil {
		return err
	}
	for consumer, f := range c.feeders {
		linger := redisLinger
		if f.Store() == projections.SQLStore {
			linger = sqlLinger
		}
		handlers[consumer] = c.throttle.Watch(f.Handle)
		config.Consumers = append(config.Consumers, batch.Consumer{Name: consumer, Checkpoints: f, Linger: linger})
	}
	if slices.Contains(c.names, push.Consumer) {
		handlers[push.Consumer] = c.owner.Handle
		config.Consumers = append(config.Consumers, batch.Consumer{Name: push.Consumer, Checkpoints: c.owner})
	}
	if slices.Contains(c.names, lookup.Consumer) {
		follower, checkpoints := c.stores.newFollower(c.caching, c.waiter)
		handlers[lookup.Consumer] = follower.Handle
		config.Consumers = append(config.Consumers, batch.Consumer{Name: lookup.Consumer, Checkpoints: checkpoints, Linger: 50 * time.Millisecond})
	}
	subscriber, err := batch.New(config)
	if err != nil {
		return err
	}
	c.router, err = message.NewRouter(message.RouterConfig{CloseTimeout: 2 * batch.DefaultDrain}, watermill.NewSlogLogger(c.logger.With(slog.String("component", "router"))))
	if err != nil {
		return err
	}
	c.router.AddMiddleware(middleware.Recoverer)
	for name, handle := range handlers {
		// Reactors bound each attempt by themselves.
		c.router.AddConsumerHandler(name, name, subscriber, handle).AddMiddleware(middleware.Timeout(handleTime))
	}
	for _, name := range c.names {
		projects := slices.Contains(c.stores.projectionNames(), name)
		if name != reactor.OfflineName && !projects && !archives(name) { // any worker takes any event of a reactor
			c.manager.Handle(name, c.hold(name, subscriber))
		}
	}
	for consumer, f := range c.feeders {
		c.manager.Handle(consumer, c.feed(f, subscriber))
	}
	return nil
}

// newFeeders makes what feeds the builds of the chosen projections, by consumer. Metrics are those of the newest version.
func (c *consumers) newFeeders() error {
	for _, family := range c.stores.families() {
		if !slices.Contains(c.names, family.Name()) {
			continue
		}
		config := projections.Config{Logger: c.logger, Head: c.head}
		if newest, err := c.stores.family(family.Name()); err == nil && newest.Version() == family.Version() {
			config.Registerer = c.stores.registry
		}
		f, err := builds.NewFeeder(builds.FeederConfig{
			Family: family, Source: c.stores.reader(), Throttle: c.throttle, Runner: config,
		})
		if err != nil {
			return err
		}
		c.feeders[family.Consumer()] = f
	}
	return nil
}

// head returns how far a partition is, for the lag that metrics show.
func (c *consumers) head(partition int) (int64, bool) {
	head := c.log.Seen(partition)
	return head, head > 0
}

// How long a consumer gathers what comes close behind other events: each delivering read is a write to the append-only
// file, and each batch a transaction. Push never waits; readers wait for the others, but for what is alone they need not.
const (
	redisLinger = 20 * time.Millisecond
	sqlLinger   = 50 * time.Millisecond
)

// hold returns what a worker does with a leased partition.
func (c *consumers) hold(name string, subscriber *batch.Subscriber) lease.Hold {
	switch name {
	case requestsConsumer:
		return c.sweepRequests
	case timers.Consumer:
		return func(ctx context.Context, l lease.Lease) {
			_ = c.timers.Run(ctx, l.Partition) // it returns nil
		}
	case webhook.Consumer:
		return func(ctx context.Context, l lease.Lease) { c.webhooks.Hold(ctx, l.Partition, l.Token) }
	case push.Consumer:
		return func(ctx context.Context, l lease.Lease) {
			subscriber.Hold(ctx, l)
			release, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			c.owner.Release(release, l.Partition, l.Token)
		}
	default:
		return subscriber.Hold
	}
}

// feed returns what a worker does with a leased partition of a projection. Whoever feeds presence sweeps it too.
func (c *consumers) feed(f *builds.Feeder, subscriber *batch.Subscriber) lease.Hold {
	feed := func(ctx context.Context, l lease.Lease) {
		f.Hold(ctx, l.Partition, l.Token, func(ctx context.Context) { subscriber.Hold(ctx, l) })
	}
	if f.Name() != presence.Name {
		return feed
	}
	sweep := c.newSweep()
	return func(ctx context.Context, l lease.Lease) {
		var both sync.WaitGroup
		both.Go(func() { _ = sweep.Run(ctx, l.Partition) }) // it returns nil
		feed(ctx, l)
		both.Wait()
	}
}

// sweepRequests forgets requests older than a day, a few sub-hashes at a time.
func (c *consumers) sweepRequests(ctx context.Context, l lease.Lease) {
	_ = c.sweeper.Run(ctx, l.Partition) // it returns nil
}

// runRouter runs the router until the context ends; the leases are given back before.
func (c *consumers) runRouter(ctx context.Context) error {
	if err := c.router.Run(ctx); err != nil {
		return fmt.Errorf("router: %w", err)
	}
	return nil
}

// newSweep ends the connections of gateways that fell silent.
func (c *consumers) newSweep() *presence.Sweeper {
	return presence.NewSweeper(presence.SweeperConfig{
		Client:    c.stores.redis,
		Ledger:    expirer{gateway.Accounts{Store: c.log}},
		Gateways:  gateways{c.stores.bus},
		Publisher: c.stores.bus,
		Logger:    c.logger,
	})
}
