package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/redis/go-redis/v9"

	"mpim/projections/database"
	"mpim/schema/seal"
	"mpim/streams"
	"mpim/streams/bus"
	"mpim/streams/keys"
)

// stores are the servers that a process works with, and the log on them.
type stores struct {
	redis  redis.UniversalClient
	server streams.Server
	db     *database.DB
	// identity and bus are set by adopt, once it is known which log this is.
	identity streams.Identity
	bus      *bus.Bus
	// agreement says whether SQL belongs to it.
	agreement agreement
	registry  *prometheus.Registry
	// sole says that no other process appends under the same name.
	sole bool
	// keep is how long an event stays in Redis at least.
	keep   time.Duration
	logger *slog.Logger
	// ring seals where sealing is on, and opens; nil where this process reaches no keys. keys tells others of those destroyed.
	ring    *seal.Ring
	keys    keys.Cache
	wrapped *seal.Wrapping
	sealing bool
	// auditing is set by openAudit.
	auditing auditing
	// caching is nil before openCache.
	caching *caching
}

// redisPool is how many connections a process opens to Redis, beside those that wait for events.
const redisPool = 64

// openStores connects. It fails where the settings are wrong or Redis is out of reach; SQL may be down.
func openStores(ctx context.Context, s *Settings, logger *slog.Logger) (*stores, error) {
	client, err := streams.Connect(s.RedisURL, redisPool)
	if err != nil {
		return nil, usageError{err}
	}
	if err := client.Ping(ctx).Err(); err != nil {
		_ = client.Close()
		return nil, fmt.Errorf("redis at %s does not answer (%w): start it, or set MPIM_REDIS_URL", redacted(s.RedisURL), err)
	}
	stores := &stores{redis: client, server: streams.RedisServer{Client: client}, registry: newRegistry(), keep: s.LogKeep, logger: logger}
	if err := stores.openDatabase(ctx, s); err != nil {
		_ = client.Close()
		return nil, err
	}
	return stores, nil
}

func (s *stores) openDatabase(ctx context.Context, settings *Settings) error {
	if settings.DatabaseURL == "" {
		return usagef("no SQL database is set: set MPIM_DATABASE_URL, as in mysql://user:pass@host:3306/mpim or sqlite:///var/lib/mpim.db")
	}
	db, err := database.Open(ctx, settings.DatabaseURL)
	if err != nil {
		return usageError{err}
	}
	s.db = db
	return nil
}

func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// Close closes all connections.
func (s *stores) Close() error {
	err := s.redis.Close()
	if s.caching != nil {
		err = errors.Join(s.caching.client.Close(), err)
	}
	if s.db != nil {
		err = errors.Join(s.db.Close(), err)
	}
	return err
}

// checkSafety refuses a Redis that cannot keep what the durability promises, and a clock too far from that of Redis.
func (s *stores) checkSafety(ctx context.Context, d streams.Durability, allowUnsafe bool) error {
	settings, err := s.server.Settings(ctx)
	if err == nil {
		err = settings.Check(d)
	}
	if err != nil && allowUnsafe {
		s.logger.Warn("redis is not safe for the log", slog.Any("error", err))
		err = nil
	}
	if err != nil {
		return err
	}
	return streams.CheckClock(ctx, s.redis, s.logger)
}

// openLog finds the log that Redis and SQL agree on. A process that cannot reach SQL goes by Redis alone.
func (s *stores) openLog(ctx context.Context) error {
	identity, err := streams.ReadIdentity(ctx, s.redis)
	if errors.Is(err, streams.ErrNoLog) {
		return s.noLog(ctx)
	}
	if err != nil {
		return err
	}
	if err := s.adopt(identity); err != nil {
		return err
	}
	s.agreement.forget() // what it said before the log was repaired
	if err := s.db.Ping(ctx); err != nil {
		s.logger.Warn("the SQL database does not answer: going by what Redis says about the log", slog.Any("error", err))
		return nil
	}
	return s.agree(ctx)
}

// adopt takes the log with this identity for the one to work on.
func (s *stores) adopt(identity streams.Identity) (err error) {
	s.identity = identity
	s.bus, err = bus.New(bus.Config{Client: s.redis, Partitions: identity.Partitions, Logger: s.logger})
	return err
}

func (s *stores) compareIdentity(ctx context.Context) error {
	known, ok, err := database.ReadIdentity(ctx, s.db)
	switch {
	case err != nil:
		return err
	case !ok:
		return fmt.Errorf("redis holds log %s, which the SQL database does not know: point MPIM_DATABASE_URL at the database that belongs to it", s.identity.ID)
	case known.Repairing:
		return fmt.Errorf("log %s is being repaired: wait, or run `mpim log repair`, which goes on where that was cut off", known.ID)
	case !known.Complete:
		return errors.New("the log was not created to its end: run `mpim migrate up`, which goes on with it")
	case known.ID != s.identity.ID || known.Partitions != s.identity.Partitions || known.Epoch != s.identity.Epoch:
		return fmt.Errorf("redis holds log %s at epoch %d, the SQL database knows log %s at epoch %d: they do not belong together; check MPIM_REDIS_URL and MPIM_DATABASE_URL; if they did, Redis was restored from an older state: run `mpim log repair`",
			s.identity.ID, s.identity.Epoch, known.ID, known.Epoch)
	}
	return nil
}

func (s *stores) noLog(ctx context.Context) error {
	if err := s.db.Ping(ctx); err != nil {
		return fmt.Errorf("redis holds no log, and the SQL database does not answer: %w", err)
	}
	if known, ok, err := database.ReadIdentity(ctx, s.db); err == nil && ok && (known.Complete || known.Repairing) {
		return fmt.Errorf("redis is empty, but the SQL database knows log %s: its events were lost or this is another Redis; check MPIM_REDIS_URL, restore Redis from its append-only file, or run `mpim log repair`, which writes back what the archive has", known.ID)
	}
	return errors.New("there is no log yet: run `mpim migrate up`")
}

// createLog makes the log where Redis and SQL both lack one, and takes up again what was begun. It returns whether it
// made one.
func (s *stores) createLog(ctx context.Context, partitions int) (created bool, err error) {
	known, ok, err := database.ReadIdentity(ctx, s.db)
	if err != nil {
		return false, err
	}
	if ok && (known.Complete || known.Repairing) {
		return false, s.openLog(ctx)
	}
	if !ok {
		if held, err := streams.ReadIdentity(ctx, s.redis); !errors.Is(err, streams.ErrNoLog) {
			if err != nil {
				return false, err
			}
			return false, fmt.Errorf("redis holds log %s, which this SQL database does not know: use an empty Redis database, or the SQL database that belongs to it", held.ID)
		}
		fresh, err := streams.NewIdentity(partitions)
		if err != nil {
			return false, err
		}
		if known, err = database.BeginIdentity(ctx, s.db, database.Identity{
			ID: fresh.ID, Key: fresh.Key, Partitions: fresh.Partitions, Epoch: fresh.Epoch,
		}); err != nil {
			return false, err
		}
	}
	if err := s.adopt(streams.Identity{ID: known.ID, Key: known.Key, Partitions: known.Partitions, Epoch: known.Epoch}); err != nil {
		return false, err
	}
	if err := streams.Create(ctx, s.redis, s.identity); err != nil {
		return false, err
	}
	return true, database.CompleteIdentity(ctx, s.db, known.ID)
}

// epoch is what clients compare: it changes with a repair, and between logs.
func (s *stores) epoch() string {
	return s.identity.ID[:8] + "-" + strconv.FormatInt(s.identity.Epoch, 10)
}
