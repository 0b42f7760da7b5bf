package streams

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Durability says what an acknowledgement proves.
type Durability string

// The durabilities. See the package documentation for what each survives.
const (
	// Appended survives everything but the loss of the Redis process or machine, which may cost up to two seconds.
	Appended Durability = "appended"
	// Fsynced survives all but the disk.
	Fsynced Durability = "fsynced"
)

// ParseDurability reads a setting.
func ParseDurability(s string) (Durability, error) {
	switch d := Durability(s); d {
	case Appended, Fsynced:
		return d, nil
	default:
		return "", fmt.Errorf("durability %q is not known: write appended or fsynced", s)
	}
}

// Server answers what only the server itself knows. The embedded store of `mpim dev` has its own.
type Server interface {
	// RunID returns what changes with every restart, asked over the given connection.
	RunID(ctx context.Context, at redis.Cmdable) (string, error)
	// Memory returns the bytes in use, and the limit, 0 where there is none.
	Memory(ctx context.Context) (used, limit int64, err error)
	// Always returns the text of a script so that it may write although memory is full.
	Always(script string) string
	// Settings returns what the start-up check looks at.
	Settings(ctx context.Context) (Settings, error)
}

// Settings are what the safety of the log depends on.
type Settings struct {
	// Version is the server's, as in "7.0.15".
	Version string
	// AppendOnly is "yes" where there is an append-only file, AppendFsync "always", "everysec" or "no".
	AppendOnly, AppendFsync string
	// MaxMemoryPolicy must be "noeviction".
	MaxMemoryPolicy string
}

// Check returns an error that says what to set, where the settings cannot keep what the durability promises.
func (s Settings) Check(d Durability) error {
	var problems []string
	if majorOf(s.Version) < 7 {
		problems = append(problems, fmt.Sprintf("version %s is too old: install 7.0 or later", s.Version))
	}
	if s.AppendOnly != "yes" {
		problems = append(problems, "it keeps no append-only file: CONFIG SET appendonly yes")
	}
	if s.AppendFsync == "no" {
		problems = append(problems, "it never syncs its append-only file: CONFIG SET appendfsync everysec")
	}
	if s.MaxMemoryPolicy != "noeviction" {
		problems = append(problems, fmt.Sprintf("it may evict the log (%s): CONFIG SET maxmemory-policy noeviction", s.MaxMemoryPolicy))
	}
	if d == Fsynced && s.AppendFsync != "always" {
		problems = append(problems, fmt.Sprintf("durability fsynced needs appendfsync always, not %s: CONFIG SET appendfsync always", s.AppendFsync))
	}
	if len(problems) == 0 {
		return nil
	}
	return errors.New("redis is not safe for the log: " + strings.Join(problems, "; ") +
		". Put the same into redis.conf, or start with --allow-unsafe-redis on a laptop")
}

func majorOf(version string) int {
	text, _, _ := strings.Cut(version, ".")
	major, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return major
}

// RedisServer asks a real server.
type RedisServer struct{ Client redis.UniversalClient }

// RunID returns run_id of INFO.
func (RedisServer) RunID(ctx context.Context, at redis.Cmdable) (string, error) {
	info, err := readInfo(ctx, at, "server")
	if err != nil {
		return "", err
	}
	if info["run_id"] == "" {
		return "", errors.New("redis does not say its run_id in INFO server: is a proxy in between?")
	}
	return info["run_id"], nil
}

// Always sets a flag (https://redis.io/docs/latest/develop/programmability/lua-api/#script-flags).
func (RedisServer) Always(script string) string { return "#!lua flags=allow-oom\n" + script }

// Memory returns used_memory and maxmemory of INFO.
func (s RedisServer) Memory(ctx context.Context) (used, limit int64, err error) {
	info, err := s.info(ctx, "memory")
	if err != nil {
		return 0, 0, err
	}
	if used, err = strconv.ParseInt(info["used_memory"], 10, 64); err != nil {
		return 0, 0, fmt.Errorf("redis: used_memory: %w", err)
	}
	if limit, err = strconv.ParseInt(info["maxmemory"], 10, 64); err != nil {
		return 0, 0, fmt.Errorf("redis: maxmemory: %w", err)
	}
	return used, limit, nil
}

// Settings reads INFO and CONFIG.
func (s RedisServer) Settings(ctx context.Context) (Settings, error) {
	info, err := s.info(ctx, "server")
	if err != nil {
		return Settings{}, err
	}
	settings := Settings{Version: info["redis_version"]}
	for name, target := range map[string]*string{
		"appendonly":       &settings.AppendOnly,
		"appendfsync":      &settings.AppendFsync,
		"maxmemory-policy": &settings.MaxMemoryPolicy,
	} {
		values, err := s.Client.ConfigGet(ctx, name).Result()
		if err != nil {
			return settings, fmt.Errorf("redis: CONFIG GET %s (the start-up check needs it; allow it to this user): %w", name, err)
		}
		*target = values[name]
	}
	return settings, nil
}

func (s RedisServer) info(ctx context.Context, section string) (map[string]string, error) {
	return readInfo(ctx, s.Client, section)
}

func readInfo(ctx context.Context, at redis.Cmdable, section string) (map[string]string, error) {
	text, err := at.Info(ctx, section).Result()
	if err != nil {
		return nil, fmt.Errorf("redis: INFO %s: %w", section, err)
	}
	info := make(map[string]string)
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		if name, value, ok := strings.Cut(strings.TrimSpace(lines.Text()), ":"); ok {
			info[name] = value
		}
	}
	return info, lines.Err()
}

// EmbeddedServer stands for an in-process store, which has neither CONFIG nor INFO: it keeps nothing beyond the process,
// and says so.
type EmbeddedServer struct {
	// Life names the process life that the store belongs to.
	Life string
}

// RunID returns the name of the store's life.
func (s EmbeddedServer) RunID(context.Context, redis.Cmdable) (string, error) { return s.Life, nil }

// Always returns the script: there is no limit.
func (EmbeddedServer) Always(script string) string { return script }

// Memory returns no use and no limit: the process's own memory is the bound.
func (EmbeddedServer) Memory(context.Context) (used, limit int64, err error) { return 0, 0, nil }

// Settings returns what is true as long as the process lives.
func (EmbeddedServer) Settings(context.Context) (Settings, error) {
	return Settings{Version: "7.0.0", AppendOnly: "yes", AppendFsync: "everysec", MaxMemoryPolicy: "noeviction"}, nil
}
