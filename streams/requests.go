package streams

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"mpim/schema"
)

const (
	// requestLife is how long a request is remembered.
	requestLife = 24 * time.Hour
	// subhashBound is how many requests one sub-hash may hold: all of them together then take about 1 GiB.
	subhashBound = 102
	// sweepPage is how many sub-hashes are read in one pipeline.
	sweepPage = 64
	// sweepPause lies between two looks at a few of a partition's sub-hashes.
	sweepPause = 5 * time.Second
	// sweepLooks is how many looks make up a whole pass: one an hour.
	sweepLooks = int(time.Hour / sweepPause)
	// droppedName is the key that counts, for a day, what was dropped because of the bound.
	droppedName = "requests-dropped"
)

// Subhashes returns how many idempotency sub-hashes a partition has.
func Subhashes(partitions int) int { return requestSubhashes / partitions }

// SweeperConfig is what a Sweeper needs.
type SweeperConfig struct {
	// Client reaches the server; it is not closed.
	Client redis.UniversalClient
	// Partitions is the log's.
	Partitions int
	// Logger receives what an operator should know. The default discards it.
	Logger *slog.Logger
	// Registerer receives the metrics. The default is none.
	Registerer prometheus.Registerer
}

// Sweeper forgets requests that are older than a day, and the oldest of a sub-hash that has too many. It reads a few
// sub-hashes at a time: expiring everything at once would stall the server.
type Sweeper struct {
	config  SweeperConfig
	dropped *prometheus.CounterVec
}

// NewSweeper returns a sweeper that does nothing until Run or Sweep.
func NewSweeper(config SweeperConfig) *Sweeper {
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Sweeper{config: config, dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mpim_log_requests_dropped_total", Help: "Requests that were forgotten: after a day (age), or sooner because too many were remembered (bound).",
	}, []string{"reason"})}
	for _, reason := range []string{"age", "bound"} {
		s.dropped.WithLabelValues(reason)
	}
	if config.Registerer != nil {
		config.Registerer.MustRegister(s.dropped)
	}
	return s
}

// Run sweeps a partition until the context ends, all of it once an hour, and returns nil. It begins anywhere: leases may
// be so short that none lasts for a whole pass.
func (s *Sweeper) Run(ctx context.Context, partition int) error {
	all := Subhashes(s.config.Partitions)
	step := max(1, all/sweepLooks)
	from := rand.IntN(all) //nolint:gosec // nobody gains from guessing it
	ticker := time.NewTicker(sweepPause)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		to := min(from+step, all)
		if _, err := s.Sweep(ctx, partition, from, to); err != nil {
			s.config.Logger.Warn("requests could not be swept", slog.Int("partition", partition), slog.Any("error", err))
			continue
		}
		from = to % all
	}
}

// Swept is how many requests were forgotten, by reason.
type Swept struct {
	// Age counts those older than a day, and those that nobody can read.
	Age int64
	// Bound counts those that went sooner, because too many were remembered. Sent again, they would be done again.
	Bound int64
}

// Sweep looks at the sub-hashes from one index up to another, not included, and returns how many requests it dropped. It
// goes by the server's clock: one of this process that is ahead would forget what is younger than a day.
func (s *Sweeper) Sweep(ctx context.Context, partition, from, to int) (swept Swept, err error) {
	now, err := s.config.Client.Time(ctx).Result()
	if err != nil {
		return swept, unreachable(err)
	}
	for start := from; start < to; start += sweepPage {
		page, err := s.page(ctx, partition, now, start, min(start+sweepPage, to))
		swept.Age += page.Age
		swept.Bound += page.Bound
		if err != nil {
			return swept, unreachable(err)
		}
	}
	return swept, nil
}

func (s *Sweeper) page(ctx context.Context, partition int, now time.Time, from, to int) (swept Swept, err error) {
	keys := make([]string, 0, to-from)
	for n := from; n < to; n++ {
		keys = append(keys, schema.PartitionKey(partition, "idem:"+strconv.Itoa(n)))
	}
	hashes := make([]*redis.MapStringStringCmd, len(keys))
	if _, err := s.config.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, key := range keys {
			hashes[i] = p.HGetAll(ctx, key)
		}
		return nil
	}); err != nil {
		return swept, err
	}
	var byAge, byBound []*redis.IntCmd
	_, err = s.config.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, key := range keys {
			old, surplus := expired(hashes[i].Val(), now)
			if len(old) > 0 {
				byAge = append(byAge, p.HDel(ctx, key, old...))
			}
			if len(surplus) > 0 {
				byBound = append(byBound, p.HDel(ctx, key, surplus...))
			}
		}
		return nil
	})
	// What failed counts nothing.
	swept = Swept{Age: sum(byAge), Bound: sum(byBound)}
	s.dropped.WithLabelValues("age").Add(float64(swept.Age))
	s.dropped.WithLabelValues("bound").Add(float64(swept.Bound))
	if err != nil || swept.Bound == 0 {
		return swept, err
	}
	_, err = s.config.Client.TxPipelined(ctx, func(p redis.Pipeliner) error {
		mark := schema.PartitionKey(partition, droppedName)
		p.IncrBy(ctx, mark, swept.Bound)
		p.Expire(ctx, mark, requestLife)
		return nil
	})
	return swept, err
}

func sum(deletions []*redis.IntCmd) (n int64) {
	for _, deletion := range deletions {
		n += deletion.Val()
	}
	return n
}

// DroppedEarly returns how many requests were forgotten before their time, for want of room, up to the last time that a
// day passed without any.
func DroppedEarly(ctx context.Context, client redis.UniversalClient, partitions int) (n int64, err error) {
	marks := make([]*redis.StringCmd, partitions)
	_, err = client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for partition := range marks {
			marks[partition] = p.Get(ctx, schema.PartitionKey(partition, droppedName))
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return 0, unreachable(err)
	}
	for _, mark := range marks {
		dropped, err := mark.Int64()
		if err != nil && !errors.Is(err, redis.Nil) {
			return n, unreachable(err)
		}
		n += dropped
	}
	return n, nil
}

// expired returns the fields that are to go: those that are old, and those for which there is no room.
func expired(hash map[string]string, now time.Time) (old, surplus []string) {
	type entry struct {
		field string
		at    time.Time
	}
	live := make([]entry, 0, len(hash))
	for field, value := range hash {
		kept, err := decodeRequest(value)
		if err != nil || now.Sub(kept.at) > requestLife {
			old = append(old, field)
			continue
		}
		live = append(live, entry{field, kept.at})
	}
	if len(live) > subhashBound {
		slices.SortFunc(live, func(a, b entry) int { return a.at.Compare(b.at) })
		for _, e := range live[:len(live)-subhashBound] {
			surplus = append(surplus, e.field)
		}
	}
	return old, surplus
}
