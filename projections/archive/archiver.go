package archive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"mpim/projections/database"
	"mpim/schema"
)

// Stream is the log in Redis as the archiver needs it.
type Stream interface {
	// Read returns the next records of a partition behind a checkpoint, at most limit. An entry that cannot be decoded comes as
	// a broken record. It fails where the stream does not go on there.
	Read(ctx context.Context, partition int, after schema.Checkpoint, limit int) ([]*schema.Record, error)
	// Trim drops entries before the one that the checkpoint names, as far as the server took them longer ago than keep, and
	// returns how many. The entry at the checkpoint stays.
	Trim(ctx context.Context, partition int, to schema.Checkpoint, keep time.Duration) (int64, error)
}

// Signer makes what is archived provable. It is called under the lease, for one partition never by two at once, and keeps its
// failures to itself.
type Signer interface {
	// Begin says that another worker may have signed since.
	Begin()
	// Take takes records that were archived and read back, in order.
	Take(partition int, records []*schema.Record)
	// Sign signs all that is archived, where it is time to, or now.
	Sign(ctx context.Context, now bool)
}

// noSigner signs nothing.
type noSigner struct{}

func (noSigner) Begin()                     {}
func (noSigner) Take(int, []*schema.Record) {}
func (noSigner) Sign(context.Context, bool) {}

// Defaults of Config.
const (
	DefaultEvery = 2 * time.Second
	DefaultKeep  = 24 * time.Hour
	DefaultLease = 8 * time.Second
)

// Config is what an Archiver needs. Zero values mean the defaults.
type Config struct {
	DB         *database.DB
	Stream     Stream
	Partitions int
	// Worker names this process life in the lease.
	Worker string
	// Every is how often new events are archived, DefaultEvery if zero.
	Every time.Duration
	// Keep returns for how long an event stays in the stream at least, however well it is archived. The default says
	// DefaultKeep.
	Keep func() time.Duration
	// Lease is how long the lease lasts, DefaultLease if zero: another worker takes over within it.
	Lease time.Duration
	// Ready says why nothing may be archived yet: SQL that belongs to another log. The default says nothing.
	Ready func(ctx context.Context) error
	// Held is called with the lease held and before anything is archived, and whenever a partition cannot go on because the
	// stream lost events. The default does nothing.
	Held func(ctx context.Context, token int64) error
	// Signer makes what is archived provable. The default does nothing.
	Signer Signer
	// Logger receives what an operator should know. The default discards it.
	Logger *slog.Logger
	// Registerer receives the metrics. The default is none.
	Registerer prometheus.Registerer
}

func (c *Config) complete() {
	if c.Every == 0 {
		c.Every = DefaultEvery
	}
	if c.Keep == nil {
		c.Keep = func() time.Duration { return DefaultKeep }
	}
	if c.Lease == 0 {
		c.Lease = DefaultLease
	}
	if c.Ready == nil {
		c.Ready = func(context.Context) error { return nil }
	}
	if c.Held == nil {
		c.Held = func(context.Context, int64) error { return nil }
	}
	if c.Signer == nil {
		c.Signer = noSigner{}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// Archiver archives and trims. Of all that run, the one with the lease works.
type Archiver struct {
	config  Config
	archive Archive
	metrics *metrics
}

// New returns an archiver that does nothing until Run, Now or Trim. An error says that its metrics are registered already.
func New(config Config) (*Archiver, error) {
	config.complete()
	a := &Archiver{config: config, archive: Archive{DB: config.DB}, metrics: newMetrics()}
	if config.Registerer != nil {
		if err := a.metrics.register(config.Registerer); err != nil {
			return nil, fmt.Errorf("register metrics of the archive: %w", err)
		}
	}
	return a, nil
}

// Run archives and trims whenever it has the lease, until the context ends, and returns nil.
func (a *Archiver) Run(ctx context.Context) error {
	ticker := time.NewTicker(a.config.Every)
	defer ticker.Stop()
	for complained := false; ; {
		err := a.hold(ctx, func(ctx context.Context, s *shift) error { return s.work(ctx) })
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errHeld) || isDeposed(err):
			complained = false
		case err != nil && !complained:
			complained = true
			a.config.Logger.WarnContext(ctx, "nothing is archived just now", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

var errHeld = errors.New("another worker archives")

// hold takes the lease and does something while it lasts.
func (a *Archiver) hold(ctx context.Context, do func(context.Context, *shift) error) error {
	if err := a.config.Ready(ctx); err != nil {
		return err
	}
	l, taken, err := takeLease(ctx, a.config.DB, a.config.Worker, a.config.Lease)
	if err != nil {
		return err
	}
	if !taken {
		return errHeld
	}
	defer l.release(ctx)
	working, end := context.WithCancelCause(ctx)
	defer end(nil)
	var keeping sync.WaitGroup
	defer keeping.Wait()
	defer end(nil)
	keeping.Go(func() { l.keep(working, end) })
	s := &shift{Archiver: a, token: l.token}
	if err := s.begin(working); err != nil {
		return err
	}
	if err := do(working, s); err != nil {
		return err
	}
	return context.Cause(working)
}

// Now archives at least up to the given sequences, one a partition, and returns when that was read back. Where another worker
// has the lease, it waits for that one to do it.
func (a *Archiver) Now(ctx context.Context, heads []int64) error {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := a.hold(ctx, func(ctx context.Context, s *shift) error {
			if err := s.each(ctx, func(ctx context.Context, p *partition) error { return p.archive(ctx) }); err != nil {
				return err
			}
			s.config.Signer.Sign(ctx, true)
			return nil
		})
		if !errors.Is(err, errHeld) {
			return err
		}
		if done, err := a.reached(ctx, heads); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w, and is not done: %w", errHeld, ctx.Err())
		case <-ticker.C:
		}
	}
}

// reached says whether the archive is as far as the heads.
func (a *Archiver) reached(ctx context.Context, heads []int64) (bool, error) {
	states, err := a.archive.States(ctx)
	if err != nil {
		return false, err
	}
	verified := make(map[int]int64, len(states))
	for _, s := range states {
		verified[s.Partition] = s.VerifiedTo
	}
	for partition, head := range heads {
		if verified[partition] < head {
			return false, nil
		}
	}
	return true, nil
}

// Trim trims what is verified and old enough, and returns how many entries that were. It needs no lease: what is verified
// stays so.
func (a *Archiver) Trim(ctx context.Context) (trimmed int64, err error) {
	if err := a.config.Ready(ctx); err != nil {
		return 0, err
	}
	rows, err := a.archive.partitions(ctx)
	if err != nil {
		return 0, err
	}
	for _, row := range rows {
		p := partition{shift: &shift{Archiver: a}, partitionRow: row}
		n, err := p.trim(ctx)
		if trimmed += n; err != nil {
			return trimmed, err
		}
	}
	return trimmed, nil
}

// shift is what is done under one lease.
type shift struct {
	*Archiver
	token      int64
	partitions []*partition
}

// atOnce is how many partitions are worked on at the same time.
const atOnce = 2

// begin reads where each partition stands, and verifies what an archiver before left unverified.
func (s *shift) begin(ctx context.Context) error {
	if err := s.config.Held(ctx, s.token); err != nil {
		return err
	}
	rows, err := s.archive.partitions(ctx)
	if err != nil {
		return err
	}
	for n := range s.config.Partitions {
		p := &partition{shift: s, partitionRow: partitionRow{Partition: n, ReachedAt: time.Unix(0, 0).UTC()}}
		for _, row := range rows {
			if row.Partition == n {
				p.partitionRow = row
			}
		}
		s.partitions = append(s.partitions, p)
	}
	s.config.Signer.Begin()
	return s.each(ctx, func(ctx context.Context, p *partition) error { return p.begin(ctx) })
}

func (s *shift) each(ctx context.Context, do func(context.Context, *partition) error) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, p := range s.partitions {
		group.Go(func() error { return do(groupCtx, p) })
	}
	return group.Wait()
}

// work archives and trims until the context ends or the database fails. A partition whose stream fails waits alone.
func (s *shift) work(ctx context.Context) error {
	ticker := time.NewTicker(s.config.Every)
	defer ticker.Stop()
	for round := 0; ; round++ {
		err := s.each(ctx, func(ctx context.Context, p *partition) error { return p.round(ctx, round%trimEvery == 0) })
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, context.Cause(ctx))
		}
		s.config.Signer.Sign(ctx, false)
		select {
		case <-ctx.Done():
			s.signOff(ctx)
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// signOff signs what is archived before the lease is given back, so that whoever stops everything leaves nothing unsigned.
func (s *shift) signOff(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), signOffTime)
	defer cancel()
	s.config.Signer.Sign(ctx, true)
}

// signOffTime is how long that may take: less than the lease lasts.
const signOffTime = 2 * time.Second

// trimEvery is in how many rounds one trims.
const trimEvery = 5
