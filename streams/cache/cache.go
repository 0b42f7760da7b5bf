package cache

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/hex"
	"errors"
	"log/slog"
	"maps"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
)

// Kind is what an entry says something about. It begins the entry's key.
type Kind string

// The kinds.
const (
	UserInfo    Kind = "user:info"
	UserFriends Kind = "user:friends"
	GroupInfo   Kind = "group:info"
)

// Kinds are all kinds.
var Kinds = []Kind{UserInfo, UserFriends, GroupInfo}

// TTL returns how long entries live.
func (k Kind) TTL() time.Duration {
	if k == UserFriends {
		return 1800 * time.Second
	}
	return 3600 * time.Second
}

// Key returns the key of an entry.
func (k Kind) Key(id string) string { return string(k) + ":{" + id + "}" }

// Load reads values from where they are kept, many at once. Ids that name nothing are missing from what it returns.
type Load func(ctx context.Context, ids []string) (map[string][]byte, error)

const (
	claimMark = '?'
	valueMark = 'v'
	// claimLife is how long a claim stands; a load has to end before.
	claimLife = 5 * time.Second
	loadTime  = 4 * time.Second
	// waitOthers is how long a fill of another process is waited for, and lookAgain how often it is looked at.
	waitOthers = 500 * time.Millisecond
	lookAgain  = 5 * time.Millisecond
)

var (
	//go:embed lua/claim.lua
	claimLua string
	//go:embed lua/seize.lua
	seizeLua string
	//go:embed lua/put.lua
	putLua string
	//go:embed lua/note.lua
	noteLua string
)

// Config is what a Cache needs. Zero values mean the defaults.
type Config struct {
	// Client reaches the server; it is not closed.
	Client redis.UniversalClient
	// Bound is how many bytes the cache may take on a server that it shares with the log. It is asked again and again. Nil means
	// that the server is the cache's own, and evicts by itself.
	Bound func() int64
	// Memory returns what the shared server uses and may use, 0 for no limit. The default takes no notice.
	Memory func(ctx context.Context) (used, limit int64, err error)
	// Hot reaches the log's server, where it is kept what is asked for most. Nil keeps nothing.
	Hot redis.UniversalClient
	// Timeout bounds how long the cache is waited for before SQL is asked. The default is 250 milliseconds.
	Timeout time.Duration
	// Logger takes what goes wrong; nothing is logged where it is nil.
	Logger *slog.Logger
	// Registerer takes the metrics; nil for none.
	Registerer prometheus.Registerer
}

// Cache reads and fills entries. Its methods may be called from any goroutine.
type Cache struct {
	config  Config
	metrics *metrics
	lanes   [lanes]lane
	life    string
	claims  atomic.Int64
	// full says that nothing more may be stored.
	full atomic.Bool

	mu      sync.Mutex
	flights map[string]*flight
	// counts is what was asked for since it was told last.
	counts map[string]float64
}

// New returns a cache.
func New(config Config) (*Cache, error) {
	if config.Client == nil {
		return nil, errors.New("cache: Client is missing")
	}
	if config.Timeout == 0 {
		config.Timeout = 250 * time.Millisecond
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	var life [6]byte
	_, _ = rand.Read(life[:]) // never fails, as crypto/rand says
	c := &Cache{config: config, flights: make(map[string]*flight), counts: make(map[string]float64), life: hex.EncodeToString(life[:])}
	for i := range c.lanes {
		c.lanes[i].cache = c
	}
	var err error
	c.metrics, err = newMetrics(config.Registerer)
	return c, err
}

// claim returns one that nobody else has.
func (c *Cache) claim() string {
	return string(claimMark) + c.life + "-" + strconv.FormatInt(c.claims.Add(1), 36)
}

// Get returns the entry with an id, and false where there is no such thing. It loads what is missing. An error is that of load.
func (c *Cache) Get(ctx context.Context, kind Kind, id string, load Load) ([]byte, bool, error) {
	began := time.Now()
	value, err := c.lane(id).get(ctx, kind.Key(id))
	c.metrics.seconds.WithLabelValues(string(kind)).Observe(time.Since(began).Seconds())
	if err == nil && len(value) > 0 && value[0] == valueMark {
		c.metrics.hits(kind).Inc()
		c.asked(kind.Key(id))
		return []byte(value[1:]), true, nil
	}
	values, err := c.missing(ctx, kind, []string{id}, err, load)
	found, ok := values[id]
	return found, ok, err
}

// GetMany returns the entries with these ids, those that there are. It loads what is missing, all at once.
func (c *Cache) GetMany(ctx context.Context, kind Kind, ids []string, load Load) (map[string][]byte, error) {
	if len(ids) == 0 {
		return map[string][]byte{}, nil
	}
	began := time.Now()
	read, err := c.read(ctx, keysOf(kind, ids))
	c.metrics.seconds.WithLabelValues(string(kind)).Observe(time.Since(began).Seconds())
	found := make(map[string][]byte, len(ids))
	var missed []string
	for i, id := range ids {
		if err == nil && len(read[i]) > 0 && read[i][0] == valueMark {
			found[id] = []byte(read[i][1:])
			c.asked(kind.Key(id))
		} else {
			missed = append(missed, id)
		}
	}
	c.metrics.hits(kind).Add(float64(len(ids) - len(missed)))
	if len(missed) == 0 {
		return found, nil
	}
	loaded, err := c.missing(ctx, kind, missed, err, load)
	maps.Copy(found, loaded)
	return found, err
}

// missing gets what the cache does not have, or could not be asked for.
func (c *Cache) missing(ctx context.Context, kind Kind, ids []string, failure error, load Load) (map[string][]byte, error) {
	if failure != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		c.metrics.requests.WithLabelValues(string(kind), "error").Add(float64(len(ids)))
		return load(ctx, ids)
	}
	c.metrics.requests.WithLabelValues(string(kind), "miss").Add(float64(len(ids)))
	return c.fly(ctx, kind, ids, load)
}

func keysOf(kind Kind, ids []string) []string {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = kind.Key(id)
	}
	return keys
}

// read returns what stands at keys, "" for nothing.
func (c *Cache) read(ctx context.Context, keys []string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	values := make([]string, len(keys))
	if _, cluster := c.config.Client.(*redis.ClusterClient); !cluster {
		replies, err := c.config.Client.MGet(ctx, keys...).Result()
		for i, reply := range replies {
			values[i], _ = reply.(string)
		}
		return values, err
	}
	commands := make([]*redis.StringCmd, len(keys))
	_, err := c.config.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, key := range keys {
			commands[i] = p.Get(ctx, key)
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return values, err
	}
	for i, command := range commands {
		values[i] = command.Val()
	}
	return values, nil
}
