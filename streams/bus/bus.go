package bus

import (
	"context"
	_ "embed" // for the scripts
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/schema"
)

// Times that gateways, workers and this package agree on.
const (
	// GatewayLease is how long a gateway's connections stand without a renewal.
	GatewayLease = time.Minute
	// PresenceKept is how long entries of presence streams are kept.
	PresenceKept = time.Hour
	// foldFrom is how far back a presence stream is folded by who has read the registry of connections. It only has to
	// be longer than the way from the log to the registry takes.
	foldFrom = 5 * time.Minute
)

// registryOf is the projection that keeps the registry of connections. Which of its builds is read, the hash under its
// schema.BuildsKey says.
const registryOf = "presence"

// Names of keys that live with a partition.
const (
	presenceName    = "presence"
	gatewaysName    = "gateways"
	connectionsName = "connections"
	checkpointName  = "checkpoint:push"
	registryName    = "checkpoint:" + registryOf
	metaName        = "meta"
	logName         = "log"
	aggregatePrefix = "agg:"
)

var (
	//go:embed lua/connected.lua
	connectedLua string
	//go:embed lua/announce.lua
	announceLua string
	//go:embed lua/append.lua
	appendLua string
	//go:embed lua/renew.lua
	renewLua string
	//go:embed lua/expire.lua
	expireLua string
	//go:embed lua/take.lua
	takeLua string
	//go:embed lua/save.lua
	saveLua string

	announceScript  = redis.NewScript(announceLua)
	connectedScript = redis.NewScript(connectedLua)
	appendScript    = redis.NewScript(appendLua)
	renewScript     = redis.NewScript(renewLua)
	expireScript    = redis.NewScript(expireLua)
	takeScript      = redis.NewScript(takeLua)
	saveScript      = redis.NewScript(saveLua)
)

// Config is what a Bus needs.
type Config struct {
	// Client reaches the server. It is used and not closed.
	Client redis.UniversalClient
	// Partitions is how many the log has.
	Partitions int
	// Logger receives what an operator should know. The default discards it.
	Logger *slog.Logger
}

// Bus is the way between gateways and workers beside the log. Its methods may be called from any goroutine.
type Bus struct {
	client     redis.UniversalClient
	partitions int
	logger     *slog.Logger
}

// New returns a bus. It does not reach out yet.
func New(config Config) (*Bus, error) {
	switch {
	case config.Client == nil:
		return nil, errors.New("bus: Client is missing")
	case config.Partitions < 1 || config.Partitions > domain.MaxPartitions:
		return nil, fmt.Errorf("bus: Partitions is %d, want 1 to %d", config.Partitions, domain.MaxPartitions)
	case config.Logger == nil:
		config.Logger = slog.New(slog.DiscardHandler)
	}
	return &Bus{client: config.Client, partitions: config.Partitions, logger: config.Logger}, nil
}

func unreachable(err error) error {
	return domain.Wrap(domain.Unavailable, err, "Redis cannot be reached: try again")
}

// call is one run of a script.
type call struct {
	keys []string
	args []any
}

// evalAll runs a script several times in one round trip. Each of the results has its own error; the error says that
// nothing came back at all.
func (b *Bus) evalAll(ctx context.Context, script *redis.Script, calls []call) ([]*redis.Cmd, error) {
	run := func() ([]*redis.Cmd, error) {
		results := make([]*redis.Cmd, len(calls))
		_, err := b.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, c := range calls {
				results[i] = script.EvalSha(ctx, p, c.keys, c.args...)
			}
			return nil
		})
		return results, err
	}
	results, err := run()
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		// A server that does not know the script has run none of the calls.
		if err = script.Load(ctx, b.client).Err(); err == nil {
			results, err = run()
		}
	}
	if err != nil {
		return nil, unreachable(err)
	}
	return results, nil
}

func strings2args(fields []string, before ...any) []any {
	args := make([]any, 0, len(before)+len(fields))
	args = append(args, before...)
	for _, field := range fields {
		args = append(args, field)
	}
	return args
}

func parseID(text string) (schema.StreamID, error) {
	id, err := schema.ParseStreamID(text)
	if err != nil {
		return id, fmt.Errorf("presence stream: %w", err)
	}
	return id, nil
}
