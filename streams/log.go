package streams

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"mpim/domain"
	"mpim/schema"
)

// DefaultFullAt is the part of maxmemory above which nothing is appended.
const DefaultFullAt = 0.85

// Config is what a Log needs. Zero values mean the defaults.
type Config struct {
	// Client reaches the server; it is not closed.
	Client redis.UniversalClient
	// Server answers what only the server knows. The default asks Client.
	Server Server
	// Identity is the log's, as ReadIdentity returned it.
	Identity Identity
	// Durability is what Append waits for. The default is Appended.
	Durability Durability
	// MaxBatch bounds the commands of one script call. The default is 256.
	MaxBatch int
	// MaxBatchBytes bounds their bytes. The default is 1 MiB.
	MaxBatchBytes int
	// MaxQueue bounds the commands that wait in each partition; beyond it Append answers unavailable. The default is
	// 4,096.
	MaxQueue int
	// Look is how often the log notes how far the partitions are, so that a server that comes back with less is not
	// appended to by a process that has appended little itself. The default is a second.
	Look time.Duration
	// Name is what operators know this process by. A random suffix is added, so that each life of it has a name of its own.
	Name string
	// Sole says that only one process of that name lives at a time, so that whoever was registered under it is not waited for.
	Sole bool
	// Remembered returns how far those have seen the partitions who outlive processes and Redis: what SQL holds. It is asked
	// when the log starts and each time that the server runs anew, for 2 seconds at most. What it returns beside an error
	// counts as well. The default is none.
	Remembered func(ctx context.Context) ([]int64, error)
	// Alive is how long a process counts as one that may still say what it saw after it gave no sign, so how long one that died
	// together with Redis holds appends up. It has to be the same for all. The default is DefaultAlive.
	Alive time.Duration
	// FullAt is the part of maxmemory above which Append answers unavailable. The default is DefaultFullAt.
	FullAt float64
	// Sealer seals what is personal in events. By default it is appended as it is.
	Sealer Sealer
	// Logger receives what an operator should know. The default discards it.
	Logger *slog.Logger
	// Registerer receives the metrics. The default is none.
	Registerer prometheus.Registerer
}

// Sealer seals what is personal in events before they are appended.
type Sealer interface {
	// Seal returns what seals the events of a commit, nil where nothing in them is to be sealed. Its error is that of the
	// append: of kind Unavailable where the key cannot be had.
	Seal(ctx context.Context, c *domain.Commit) (schema.Seal, error)
}

// DefaultAlive is the default of Config.Alive.
const DefaultAlive = 10 * time.Second

func (c Config) withDefaults() Config {
	if c.Server == nil {
		c.Server = RedisServer{Client: c.Client}
	}
	if c.Durability == "" {
		c.Durability = Appended
	}
	if c.MaxBatch == 0 {
		c.MaxBatch = 256
	}
	if c.MaxBatchBytes == 0 {
		c.MaxBatchBytes = 1 << 20
	}
	if c.MaxQueue == 0 {
		c.MaxQueue = 4096
	}
	if c.Look == 0 {
		c.Look = time.Second
	}
	if c.Name == "" {
		c.Name = "process"
	}
	if c.Alive == 0 {
		c.Alive = DefaultAlive
	}
	if c.FullAt == 0 {
		c.FullAt = DefaultFullAt
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Log appends commits and reads decision state. Its methods may be called from any goroutine once Run has started.
type Log struct {
	config    Config
	script    runScript
	appenders []*appender
	metrics   *metrics
	full      atomic.Bool
	over      atomic.Bool
	// life names this life of the process among the appenders.
	life      string
	preparing sync.Mutex
	// kicked has a value when the log is to be looked at now.
	kicked chan struct{}
}

// New returns a log that does nothing until Run.
func New(config Config) (*Log, error) {
	config = config.withDefaults()
	if config.Identity.Partitions < 1 || config.Identity.Partitions > domain.MaxPartitions {
		return nil, fmt.Errorf("streams: Identity.Partitions is %d, want 1 to %d", config.Identity.Partitions, domain.MaxPartitions)
	}
	l := &Log{
		config:  config,
		script:  runScript{source: appendLua},
		metrics: newMetrics(config.Registerer),
		life:    config.Name + "." + randomName(),
		kicked:  make(chan struct{}, 1),
	}
	for partition := range config.Identity.Partitions {
		l.appenders = append(l.appenders, newAppender(l, partition))
	}
	return l, nil
}

// Run appends until the context ends, then flushes what was accepted and returns nil. It may be called once; what is
// appended before waits for it. It ends with ErrNewEpoch when the log was repaired.
func (l *Log) Run(ctx context.Context) error {
	if err := l.begin(ctx); err != nil {
		for _, a := range l.appenders {
			a.refuse()
		}
		if ctx.Err() == nil {
			err = fmt.Errorf("load the append script: %w", err)
		} else {
			err = nil
		}
		return err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	for _, a := range l.appenders {
		group.Go(func() error { return a.run(groupCtx) })
	}
	group.Go(func() error { return l.watchMemory(groupCtx) })
	group.Go(func() error { return l.watch(groupCtx) })
	defer l.leave(ctx)
	return group.Wait()
}

// begin takes the place of earlier lives and loads the script. A server that does not answer just now is waited for, as it is later.
func (l *Log) begin(ctx context.Context) error {
	back := backoff{least: 5 * time.Millisecond, most: time.Second}
	for {
		err := l.replace(ctx)
		if err == nil {
			err = l.prepare(ctx, loadedScript{})
		}
		if kind := replyKind(err); err == nil || kind != "" && kind != "LOADING" {
			return err
		}
		if !back.wait(ctx) {
			return err
		}
	}
}

// Identity returns the log's identity.
func (l *Log) Identity() Identity { return l.config.Identity }

// Durability returns what an acknowledgement proves.
func (l *Log) Durability() Durability { return l.config.Durability }

// Append appends the commit and returns where it stands. It returns domain.ErrStale when a guard does not hold, a
// domain.Error of kind Conflict when the request was used with other content, FailedPrecondition when the timer that
// fires is gone, and Unavailable when the partition takes no appends now. When the context ends first the error is
// Unavailable too, and the commit may or may not be appended: a request tells.
func (l *Log) Append(ctx context.Context, c domain.Commit) (domain.Appended, error) {
	if l.full.Load() {
		return domain.Appended{}, domain.Errorf(domain.Unavailable, "the log's memory is full: messages are taken again when the archive has freed some")
	}
	var seal schema.Seal
	if l.config.Sealer != nil {
		// Before it is queued: who waits for a key holds nobody up.
		var err error
		if seal, err = l.config.Sealer.Seal(ctx, &c); err != nil {
			return domain.Appended{}, err
		}
	}
	p := &pending{}
	command := &p.command
	if err := command.encode(l.config.Identity.Partitions, &c, seal); err != nil {
		return domain.Appended{}, err
	}
	outcome, err := l.appenders[command.partition].append(ctx, p)
	if err != nil {
		return domain.Appended{}, err
	}
	return outcome.appended(command, &c)
}

// Saw tells that somebody has seen the partition at seq. An append to a Redis that has less is refused.
func (l *Log) Saw(partition int, seq int64) {
	if partition >= 0 && partition < len(l.appenders) {
		l.appenders[partition].sawSeq(seq)
	}
}

// Seen returns the highest sequence of a partition that this process knows of, 0 where it knows of none. It is at most
// Config.Look behind.
func (l *Log) Seen(partition int) int64 { return l.appenders[partition].seen.Load() }

// Lookup returns what an earlier append of the request led to. It is false where there was none, and the error is of
// kind Conflict where it had other content.
func (l *Log) Lookup(ctx context.Context, a domain.Aggregate, r domain.Request) (domain.Appended, bool, error) {
	partition, ok := a.Partition()
	if !ok || partition >= l.config.Identity.Partitions {
		return domain.Appended{}, false, nil
	}
	key := requestKey(l.config.Identity.Partitions, partition, r.Key)
	kept, err := l.config.Client.HGet(ctx, key, string(r.Key[:])).Result()
	if errors.Is(err, redis.Nil) {
		return domain.Appended{}, false, nil
	}
	if err != nil {
		return domain.Appended{}, false, unreachable(err)
	}
	first, err := decodeRequest(kept)
	if err != nil {
		return domain.Appended{}, false, err
	}
	if first.content != string(r.Content[:]) {
		return domain.Appended{}, false, conflict()
	}
	head, err := l.Head(ctx, partition)
	return domain.Appended{
		Position:  domain.Position{Partition: partition, Seq: head},
		Seq:       domain.Seq(first.seq),
		Event:     schema.RequestEventID(r.Key, first.at),
		At:        first.at,
		Duplicate: true,
	}, true, err
}

// Head returns the partition's last sequence.
func (l *Log) Head(ctx context.Context, partition int) (int64, error) {
	text, err := l.config.Client.HGet(ctx, schema.PartitionKey(partition, metaName), "seq").Result()
	if err != nil {
		return 0, unreachable(err)
	}
	return strconv.ParseInt(text, 10, 64)
}

// Heads returns the last sequence of every partition, by its number.
func (l *Log) Heads(ctx context.Context) ([]int64, error) {
	return Reader{Client: l.config.Client, Partitions: l.config.Identity.Partitions}.Heads(ctx)
}

// watchMemory refuses appends while the server is nearly full, so that reads, leases and the archiver go on.
func (l *Log) watchMemory(ctx context.Context) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		used, limit, err := l.config.Server.Memory(ctx)
		if err == nil {
			full := limit > 0 && float64(used) > l.config.FullAt*float64(limit)
			if l.full.Swap(full) != full {
				l.config.Logger.Warn("log memory",
					slog.Bool("full", full), slog.Int64("used_bytes", used), slog.Int64("maxmemory_bytes", limit))
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// keptRequest is what the log keeps of a request.
type keptRequest struct {
	seq     int64
	at      time.Time
	content string
}

// decodeRequest reads 6 bytes of time, 8 of content hash and the sequence in digits.
func decodeRequest(kept string) (keptRequest, error) {
	if len(kept) <= requestHead {
		return keptRequest{}, fmt.Errorf("a kept request has %d bytes, want more than %d", len(kept), requestHead)
	}
	seq, err := strconv.ParseInt(kept[requestHead:], 10, 64)
	if err != nil {
		return keptRequest{}, fmt.Errorf("a kept request: %w", err)
	}
	var ms [8]byte
	copy(ms[2:], kept[:6])
	at := int64(binary.BigEndian.Uint64(ms[:])) //nolint:gosec // 48 bits
	return keptRequest{seq: seq, at: time.UnixMilli(at).UTC(), content: kept[6:requestHead]}, nil
}

func unreachable(err error) error {
	return domain.Wrap(domain.Unavailable, err, "the log cannot be reached: try again")
}

func conflict() error {
	return domain.Errorf(domain.Conflict, "this client_id was used before with other content: take a new one for each new request")
}
