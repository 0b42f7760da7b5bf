package builds

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"mpim/projections"
	"mpim/schema"
)

// Source reads the log: the records of one partition behind a checkpoint, up to the newest.
type Source interface {
	Partition(ctx context.Context, partition int, after schema.Checkpoint) iter.Seq2[*schema.Record, error]
}

// FeederConfig is what a Feeder needs.
type FeederConfig struct {
	Family *Family
	Source Source
	// Throttle is shared by all feeders of the process.
	Throttle *Throttle
	// Runner is that of the live build.
	Runner projections.Config
	// Every is how often the registry is looked at. Default: one second.
	Every time.Duration
}

// Feeder feeds all builds of one version of a projection, in the partitions that this process holds. The live one is given
// to the subscriber; the others, and a live one that is far behind, read the log themselves and rest at its head, where
// they get the batches that the live one got.
type Feeder struct {
	config FeederConfig
	live   *projections.Runner
	logger *slog.Logger

	mu      sync.Mutex
	fed     []Build
	lookups time.Time // when fed was read
	runners map[int]*projections.Runner
	leads   map[int]*projections.Runner // by partition, what the subscriber feeds
	holds   map[int]*hold
}

// NewFeeder returns a feeder. It does nothing before Hold.
func NewFeeder(c FeederConfig) (*Feeder, error) {
	if c.Every == 0 {
		c.Every = time.Second
	}
	logger := c.Runner.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	live, err := projections.NewRunner(c.Family.Open(Build{Name: c.Family.Name(), Version: c.Family.Version()}), c.Runner)
	if err != nil {
		return nil, err
	}
	return &Feeder{
		config: c, live: live, logger: logger.With(slog.String("projection", c.Family.Name()), slog.Int("version", c.Family.Version())),
		runners: make(map[int]*projections.Runner), leads: make(map[int]*projections.Runner), holds: make(map[int]*hold),
	}, nil
}

// Name returns the name of the projection.
func (f *Feeder) Name() string { return f.config.Family.Name() }

// Store says where the projection is kept.
func (f *Feeder) Store() string { return f.config.Family.Store() }

// Take returns the checkpoint of the build that the subscriber feeds in the partition.
func (f *Feeder) Take(ctx context.Context, partition int, token int64) (schema.Checkpoint, error) {
	lead := f.lead(partition)
	if lead == nil {
		return schema.Checkpoint{}, projections.Outside(fmt.Errorf("no build of %s is live", f.config.Family.Name()))
	}
	return lead.Projection().Take(ctx, partition, token)
}

// Handle applies the batch of a message to the live build, and passes it on to the others. It is a
// message.NoPublishHandlerFunc.
func (f *Feeder) Handle(msg *message.Message) error {
	batch := schema.BatchFrom(msg.Context())
	if batch == nil {
		return f.live.Handle(msg)
	}
	lead := f.lead(batch.Partition)
	if lead == nil {
		return projections.ErrDeposed
	}
	if err := lead.Handle(msg); err != nil {
		return err
	}
	f.pass(batch)
	return nil
}

var _ message.NoPublishHandlerFunc = (*Feeder)(nil).Handle

func (f *Feeder) lead(partition int) *projections.Runner {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.leads[partition]
}

// setLead says what the subscriber feeds in a partition; nil for nothing.
func (f *Feeder) setLead(partition int, r *projections.Runner) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r == nil {
		delete(f.leads, partition)
	} else {
		f.leads[partition] = r
	}
}

// pass gives a batch to those who rest at the head.
func (f *Feeder) pass(batch *schema.Batch) {
	f.mu.Lock()
	h := f.holds[batch.Partition]
	f.mu.Unlock()
	if h != nil {
		h.pass(batch)
	}
}

// Hold feeds a leased partition until ctx ends. Subscribe reads the log for the live build until its context ends.
func (f *Feeder) Hold(ctx context.Context, partition int, token int64, subscribe func(context.Context)) {
	h := &hold{feeder: f, partition: partition, token: token, subscribe: subscribe, running: make(map[int]*feed)}
	f.mu.Lock()
	f.holds[partition] = h
	f.mu.Unlock()
	defer func() {
		h.stop(nil)
		f.mu.Lock()
		delete(f.holds, partition)
		f.mu.Unlock()
		f.live.Forget(partition)
	}()
	var troubled error
	for {
		fed, err := f.feeds(ctx)
		if err == nil {
			h.adjust(ctx, fed)
			if partition == 0 {
				err = f.config.Family.Tend(ctx)
			}
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil && (troubled == nil || troubled.Error() != err.Error()) {
			f.logger.WarnContext(ctx, "builds could not be looked after", slog.Int("partition", partition), slog.Any("error", err))
		}
		troubled = err
		if pause(ctx, f.config.Every) != nil {
			return
		}
	}
}

// feeds returns the builds to feed, asked for once by all partitions.
func (f *Feeder) feeds(ctx context.Context) ([]Build, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.lookups) < f.config.Every/2 {
		return f.fed, nil
	}
	fed, err := f.config.Family.Feeds(ctx)
	if err != nil {
		return nil, err
	}
	f.fed, f.lookups = fed, time.Now()
	return fed, nil
}

// runner returns the runner of a build.
func (f *Feeder) runner(b Build) *projections.Runner {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.runners[b.Number] == nil {
		p := f.config.Family.Open(b)
		if b.State == projections.Live {
			f.runners[b.Number] = f.live.For(p)
		} else if r, err := projections.NewRunner(p, projections.Config{Logger: f.config.Runner.Logger}); err == nil {
			f.runners[b.Number] = r
		}
	}
	return f.runners[b.Number]
}
