package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"mpim/handlers/reactor"
	"mpim/handlers/webhook"
	"mpim/projections/deadletters"
	"mpim/projections/inbox"
	"mpim/projections/presence"
	"mpim/schema"
	"mpim/streams"
	"mpim/streams/stock"
)

// react adds the reactors that are configured to the router: a handler each for every partition.
func (c *consumers) react(id string, settings *Settings) error {
	if settings.OfflineHookURL == "" {
		return nil
	}
	config, err := c.stores.offlineHook(settings, c.log)
	if err != nil {
		return err
	}
	reacting := reactor.Config{
		Handler: reactor.NewOffline(config), Letters: deadletters.Store{DB: c.stores.db}, Logger: c.logger, Registerer: c.stores.registry,
	}
	if c.stores.ring != nil {
		reacting.Opener = c.stores.ring
	}
	r, err := reactor.New(reacting)
	if err != nil {
		return err
	}
	partitions := c.stores.identity.Partitions
	// The subscriber closes the client, so it has one of its own: for each partition one that waits, and one that acknowledges.
	client, err := streams.Connect(settings.RedisURL, 3*partitions)
	if err != nil {
		return usageError{err}
	}
	subscriber, err := stock.New(stock.Config{Client: client, Group: reactor.OfflineName, Consumer: id, Logger: c.logger})
	if err != nil {
		return err
	}
	for partition := range partitions {
		name := reactor.OfflineName + "-" + strconv.Itoa(partition)
		c.router.AddConsumerHandler(name, stock.Topic(partition), subscriber, r.Partition(partition))
	}
	return nil
}

// offlineHook returns what an offline hook needs. Its address comes from the settings, so it may be any.
func (s *stores) offlineHook(settings *Settings, log reactor.States) (reactor.OfflineConfig, error) {
	if err := webhook.CheckURL(settings.OfflineHookURL, true); err != nil {
		return reactor.OfflineConfig{}, usagef("MPIM_OFFLINE_HOOK_URL: %w", err)
	}
	secret, err := webhook.ParseSecret(settings.OfflineHookSecret)
	if err != nil {
		return reactor.OfflineConfig{}, usagef("MPIM_OFFLINE_HOOK_SECRET: %w", err)
	}
	cached, err := s.openCache(settings)
	if err != nil {
		return reactor.OfflineConfig{}, err
	}
	return reactor.OfflineConfig{
		Names: cached.lookup,
		URL:   settings.OfflineHookURL, Secret: secret, MostMembers: settings.OfflineHookMembers,
		States: log, Connections: presence.NewQueries(s.redis), Mutes: inbox.NewQueries(s.redis),
		Poster: webhook.NewSender(webhook.SenderConfig{AllowPrivate: true}),
	}, nil
}

// react causes the side effect of a dead letter once more, however old it is.
func (r *retrier) react(ctx context.Context, handler string, record *schema.Record) error {
	if handler != reactor.OfflineName {
		return fmt.Errorf("this mpim has no handler %s", handler)
	}
	if r.settings.OfflineHookURL == "" {
		return errors.New("MPIM_OFFLINE_HOOK_URL is not set here")
	}
	if r.offline == nil {
		log, err := r.stores.newLog(streams.Appended, "deadletter")
		if err != nil {
			return err
		}
		config, err := r.stores.offlineHook(r.settings, log)
		if err != nil {
			return err
		}
		config.MostAge = time.Duration(math.MaxInt64)
		r.offline = reactor.NewOffline(config)
	}
	_, err := r.offline.React(ctx, record)
	return err
}
