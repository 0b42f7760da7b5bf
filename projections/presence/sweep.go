package presence

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"mpim/domain"
	"mpim/projections/checkpoint"
	"mpim/schema"
)

// Ledger appends the ends of connections to the log.
type Ledger interface {
	// Expire appends session.disconnected with the reason "expired". It does nothing where the connection has ended already.
	Expire(ctx context.Context, c Connection) error
}

// Gateways knows which gateways are alive in a partition.
type Gateways interface {
	// Silent returns the gateways whose lease has run out.
	Silent(ctx context.Context, partition int) ([]Silent, error)
	// Expire ends such a lease and tells the push owners. It is false, and does nothing, where the gateway was heard since.
	Expire(ctx context.Context, partition int, silent Silent) (bool, error)
	// Withdraw ends a lease whatever its age, so that the gateway finds it gone and says anew which connections it has.
	Withdraw(ctx context.Context, partition int, gateway string) error
}

// Silent is a gateway whose lease in a partition has run out.
type Silent struct {
	Gateway string
	// Renewed is its last renewal, in Unix milliseconds of the server's clock.
	Renewed int64
}

// SweeperConfig is what a Sweeper needs.
type SweeperConfig struct {
	Client   redis.UniversalClient
	Ledger   Ledger
	Gateways Gateways
	// Publisher is told who went offline. Default: nobody is.
	Publisher Publisher
	// Interval is how long a sweep rests. Default: 5 s.
	Interval time.Duration
	// Logger takes what goes wrong. Default: nothing is logged.
	Logger *slog.Logger
}

// Sweeper ends what nobody else ends: the connections of gateways that fell silent, and the grace of users whose last
// connection was lost.
type Sweeper struct {
	config SweeperConfig
	live   *checkpoint.Live
}

const (
	// orphanEvery is how many sweeps pass between two searches for connections whose gateway has no lease at all.
	orphanEvery = 12
	// orphanAge is how old such a connection has to be: its gateway takes the lease right after it was recorded.
	orphanAge = 5 * time.Minute
	// expiring is how many connections are ended at a time.
	expiring = 32
)

// NewSweeper returns a sweeper.
func NewSweeper(c SweeperConfig) *Sweeper {
	if c.Interval == 0 {
		c.Interval = 5 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Sweeper{config: c, live: checkpoint.NewLive(c.Client, Name)}
}

// Run sweeps a partition until ctx ends; then it returns nil. Whoever holds the lease of the presence projection runs it.
// Two at once do no harm.
func (s *Sweeper) Run(ctx context.Context, partition int) error {
	ticker := time.NewTicker(s.config.Interval)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		err := s.Sweep(ctx, partition)
		if n%orphanEvery == 0 {
			err = errors.Join(err, s.SweepOrphans(ctx, partition))
		}
		if err != nil && ctx.Err() == nil {
			s.config.Logger.WarnContext(ctx, "sweep of presence failed",
				slog.Int("partition", partition), slog.Any("error", err))
		}
	}
}

// Sweep ends the connections of silent gateways, and tells who has gone offline.
func (s *Sweeper) Sweep(ctx context.Context, partition int) error {
	return errors.Join(s.sweepGateways(ctx, partition), s.sweepOffline(ctx, partition))
}

func (s *Sweeper) sweepGateways(ctx context.Context, partition int) error {
	silent, err := s.config.Gateways.Silent(ctx, partition)
	if err != nil || len(silent) == 0 {
		return err
	}
	all, err := s.scan(ctx, partition)
	if err != nil {
		return err
	}
	byGateway := make(map[string][]Connection)
	for _, c := range all {
		byGateway[c.Gateway] = append(byGateway[c.Gateway], c)
	}
	var failures []error
	for _, one := range silent {
		failures = append(failures, s.sweepGateway(ctx, partition, one, byGateway[one.Gateway]))
	}
	return errors.Join(failures...)
}

// sweepGateway ends the connections first and the lease last, so that a sweep that breaks off is taken up by the next.
func (s *Sweeper) sweepGateway(ctx context.Context, partition int, silent Silent, connections []Connection) error {
	if err := s.expire(ctx, connections); err != nil {
		return err
	}
	expired, err := s.config.Gateways.Expire(ctx, partition, silent)
	if err != nil {
		return err
	}
	s.config.Logger.WarnContext(ctx, "gateway fell silent", slog.Int("partition", partition),
		slog.String("gateway", silent.Gateway), slog.Int("connections", len(connections)), slog.Bool("expired", expired))
	if expired || len(connections) == 0 {
		return nil
	}
	// It came back while its connections were being ended, and may have said that they are open before they were. Its
	// next renewal shall find the lease gone, so that it says so again.
	return s.config.Gateways.Withdraw(ctx, partition, silent.Gateway)
}

func (s *Sweeper) expire(ctx context.Context, connections []Connection) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(expiring)
	for _, c := range connections {
		group.Go(func() error {
			if err := s.config.Ledger.Expire(ctx, c); err != nil {
				return fmt.Errorf("end connection %s: %w", c.ID, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// SweepOrphans ends connections whose gateway has no lease: it died between recording the connection and taking one, or
// the connection came to be known only after the lease was ended.
func (s *Sweeper) SweepOrphans(ctx context.Context, partition int) error {
	oldest := time.Now().Add(-orphanAge)
	all, err := s.scan(ctx, partition)
	old := slices.DeleteFunc(all, func(c Connection) bool { return !c.At.Before(oldest) })
	if err != nil || len(old) == 0 {
		return err
	}
	// After the scan, so that a lease that was taken meanwhile is seen.
	leases, err := s.config.Client.HGetAll(ctx, schema.PartitionKey(partition, "gateways")).Result()
	if err != nil {
		return fmt.Errorf("read the leases of gateways: %w", err)
	}
	var orphans []Connection
	for _, c := range old {
		if leases[c.Gateway] == "" {
			orphans = append(orphans, c)
		}
	}
	if len(orphans) > 0 {
		s.config.Logger.WarnContext(ctx, "connections of gateways without a lease",
			slog.Int("partition", partition), slog.Int("connections", len(orphans)))
	}
	return s.expire(ctx, orphans)
}

// scan returns the connections of a partition, some maybe twice.
func (s *Sweeper) scan(ctx context.Context, partition int) (all []Connection, err error) {
	err = s.live.Read(ctx, func(ctx context.Context, r *checkpoint.Reading) (err error) {
		all, err = scanConnections(ctx, r, partition)
		return err
	})
	return all, err
}

func scanConnections(ctx context.Context, r *checkpoint.Reading, partition int) (all []Connection, err error) {
	for cursor := uint64(0); ; {
		var page *redis.ScanCmd
		err := r.Pipelined(ctx, func(p redis.Pipeliner) error {
			page = p.HScan(ctx, r.Key(partition, connectionsName), cursor, "", 1000)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read the registry of connections: %w", err)
		}
		pairs, next := page.Val()
		for i := 0; i+1 < len(pairs); i += 2 {
			c, err := parseConnection(pairs[i], pairs[i+1])
			if err != nil {
				return nil, err
			}
			all = append(all, c)
		}
		if cursor = next; cursor == 0 {
			return all, nil
		}
	}
}

// offlineAtOnce is how many users one sweep tells of in one message.
const offlineAtOnce = 500

// sweepOffline tells of users whose grace has passed.
func (s *Sweeper) sweepOffline(ctx context.Context, partition int) error {
	return s.live.Read(ctx, func(ctx context.Context, r *checkpoint.Reading) error {
		for {
			now := time.Now()
			var page *redis.ZSliceCmd
			err := r.Pipelined(ctx, func(p redis.Pipeliner) error {
				page = p.ZRangeByScoreWithScores(ctx, r.Key(partition, offlineName), &redis.ZRangeBy{
					Min: "-inf", Max: strconv.FormatInt(now.UnixMilli(), 10), Count: offlineAtOnce,
				})
				return nil
			})
			if err != nil {
				return fmt.Errorf("read who goes offline: %w", err)
			}
			due := page.Val()
			if len(due) == 0 {
				return nil
			}
			if err := s.tellOffline(ctx, r, partition, due, now); err != nil {
				return err
			}
			// Told first, taken off afterwards: told twice does no harm. Who is to go later by now, having come and gone again,
			// has a higher score and stays.
			last := strconv.FormatFloat(due[len(due)-1].Score, 'f', 0, 64)
			err = r.Pipelined(ctx, func(p redis.Pipeliner) error {
				p.ZRemRangeByScore(ctx, r.Key(partition, offlineName), "-inf", last)
				return nil
			})
			if err != nil {
				return fmt.Errorf("take off who went offline: %w", err)
			}
		}
	})
}

func (s *Sweeper) tellOffline(
	ctx context.Context, r *checkpoint.Reading, partition int, due []redis.Z, now time.Time,
) error {
	ids := make([]domain.UserID, 0, len(due))
	for _, one := range due {
		name, _ := one.Member.(string)
		ids = append(ids, domain.UserID(name))
	}
	known, err := load(ctx, r, map[int][]domain.UserID{partition: ids})
	if err != nil {
		return fmt.Errorf("read who goes offline: %w", err)
	}
	var gone []Presence
	for _, id := range ids {
		p := presenceOf(id, known.users[id], known.choices[id], now)
		if p.Status == Offline && known.choices[id].status != Invisible {
			gone = append(gone, p)
		}
	}
	if s.config.Publisher == nil || len(gone) == 0 {
		return nil
	}
	return s.config.Publisher.PublishStatuses(ctx, partition, statuses(gone))
}
