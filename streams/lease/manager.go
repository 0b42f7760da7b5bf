package lease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
)

// Defaults of Config.
const (
	DefaultTTL   = 5 * time.Second
	DefaultRenew = 1500 * time.Millisecond
)

// Why the context of a lease ended, as context.Cause tells.
var (
	// ErrLost means that the lease expired, or may have: another worker can hold it already. Stop without finishing.
	ErrLost = errors.New("the lease was lost")
	// ErrHandedOver means that the partition goes to another worker as soon as hold returns. Until then the lease is
	// renewed: there is time to finish what was begun.
	ErrHandedOver = errors.New("the lease is handed over")
)

// Lease is the right to process one partition for one consumer.
type Lease struct {
	Consumer  string
	Partition int
	// Token is higher than that of every earlier lease of the same consumer and partition. Who stores something under
	// a lease refuses tokens lower than the highest it has seen.
	Token int64
}

// Hold processes a partition until ctx ends, and returns soon after. See ErrLost and ErrHandedOver for how soon.
type Hold func(ctx context.Context, l Lease)

// Config says how a manager works.
type Config struct {
	// Client is used and not closed. It should have ContextTimeoutEnabled, else a silent server holds up the manager
	// for the client's own time-outs (leases are still given up in time).
	Client redis.UniversalClient
	// Partitions is how many the log has.
	Partitions int
	// Worker names this life of the process; it must not be used again by a later one. No spaces.
	Worker string
	// URL is told to who asks which workers live. Empty where there is none.
	URL string
	// TTL is how long a lease lasts without renewal, DefaultTTL if zero. After a kill the others take over in that time.
	TTL time.Duration
	// Renew is how often leases are renewed and the spread is computed anew, DefaultRenew if zero.
	Renew time.Duration
	// Margin is how long before its end a lease is given up that could not be renewed, a tenth of TTL if zero.
	Margin time.Duration
	// Logger is told of what is taken and lost; nothing is logged where it is nil.
	Logger *slog.Logger
	// Registerer takes the metrics; nil for none.
	Registerer prometheus.Registerer
}

func (c *Config) complete() error {
	if c.TTL == 0 {
		c.TTL = DefaultTTL
	}
	if c.Renew == 0 {
		c.Renew = DefaultRenew
	}
	if c.Margin == 0 {
		c.Margin = c.TTL / 10
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.Client == nil:
		return errors.New("lease: Client is missing")
	case c.Partitions < 1:
		return fmt.Errorf("lease: Partitions is %d, must be at least 1", c.Partitions)
	case c.Worker == "" || strings.ContainsAny(c.Worker, " \t\r\n"):
		return fmt.Errorf("lease: Worker is %q, must be a name without spaces", c.Worker)
	case c.Renew < time.Millisecond || c.Margin < 0 || c.TTL < c.Margin+2*c.Renew:
		// One renewal may fail without a lease being lost.
		return fmt.Errorf("lease: TTL %s must be at least Margin %s and two times Renew %s", c.TTL, c.Margin, c.Renew)
	}
	return nil
}

// Manager holds this worker's share of the leases.
type Manager struct {
	config  Config
	metrics *metrics
	holds   map[string]Hold
	ran     atomic.Bool
}

// New returns a manager. It does nothing before Run.
func New(config Config) (*Manager, error) {
	if err := config.complete(); err != nil {
		return nil, err
	}
	m := &Manager{config: config, holds: make(map[string]Hold)}
	var err error
	if m.metrics, err = newMetrics(config.Registerer); err != nil {
		return nil, fmt.Errorf("lease: %w", err)
	}
	return m, nil
}

// Handle makes this worker one of those that run the consumer. When a lease is taken, hold is called in a goroutine
// of its own; the lease is given back when it returns, and never taken by this worker again before it has. A hold that
// returns on its own is not called again at once.
//
// Consumers are handled before Run. Handle panics afterwards, as it does on a name that is empty, has a space or a colon,
// or is handled already.
func (m *Manager) Handle(consumer string, hold Hold) {
	switch {
	case m.ran.Load():
		panic("lease: Handle after Run")
	case consumer == "" || strings.ContainsAny(consumer, ": \t\r\n"):
		panic(fmt.Sprintf("lease: %q is no name of a consumer", consumer))
	case m.holds[consumer] != nil:
		panic("lease: consumer " + consumer + " is handled twice")
	}
	m.holds[consumer] = hold
}

// Run takes, renews and gives back leases until ctx ends. Then it tells the others that this worker goes, ends every
// lease's context, goes on renewing until its hold has returned, and returns nil. It runs once.
func (m *Manager) Run(ctx context.Context) error {
	if m.ran.Swap(true) {
		return errors.New("lease: the manager has run already")
	}
	k := &keeper{
		Manager:  m,
		self:     Worker{ID: m.config.Worker, URL: m.config.URL, Consumers: slices.Sorted(maps.Keys(m.holds))},
		held:     make(map[slot]*holding),
		resting:  make(map[slot]time.Time),
		returned: make(chan *holding),
		wake:     make(chan struct{}, 1),
	}
	if k.self.Consumers == nil {
		k.self.Consumers = []string{}
	}
	lasting := context.WithoutCancel(ctx)
	stop := k.listen(lasting)
	defer stop()
	k.run(ctx)
	k.leave(lasting)
	return nil
}
