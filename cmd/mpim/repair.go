package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"mpim/domain"
	"mpim/handlers/command"
	"mpim/projections"
	"mpim/projections/archive"
	"mpim/projections/checkpoint"
	"mpim/projections/database"
	"mpim/projections/deadletters"
	"mpim/projections/webhooks"
	"mpim/schema"
	"mpim/schema/migrations"
	"mpim/streams"
	"mpim/streams/repair"
)

var (
	_ repair.Archive   = repairArchive{}
	_ repair.Ledger    = repairLedger{}
	_ repair.Consumers = repairConsumers{}
	_ repair.Requests  = recalls{}
)

// newRepairer returns what repairs the log that SQL knows, whatever Redis says of it. It works on connections of s, and apart
// from what s has agreed on. Worker names this process life.
func (s *stores) newRepairer(ctx context.Context, settings *Settings, worker string) (*repair.Repairer, error) {
	if err := s.db.Ping(ctx); err != nil {
		return nil, fmt.Errorf("a repair needs the archive, and the SQL database does not answer: %w", err)
	}
	list, err := database.NewMigrations(s.db, migrations.Files)
	if err != nil {
		return nil, err
	}
	if err := list.Check(ctx); err != nil {
		return nil, err
	}
	ledger := repairLedger{db: s.db, worker: worker}
	identity, _, err := ledger.Known(ctx)
	if err != nil {
		return nil, err
	}
	own := &stores{redis: s.redis, server: s.server, db: s.db, keep: s.keep, logger: s.logger}
	own.agreement.known = true // while SQL says that the log is being repaired, nobody else agrees
	if err := own.adopt(identity); err != nil {
		return nil, err
	}
	if err := own.openSeal(settings, true); err != nil {
		return nil, err
	}
	if err := own.checkKeys(ctx); err != nil {
		return nil, err
	}
	return repair.New(repair.Config{
		Client: s.redis, Server: s.server, Archive: repairArchive{archive.Archive{DB: s.db}}, Ledger: ledger,
		Consumers: repairConsumers{own, settings}, Requests: recalls{identity.Placement()}, Opener: own.ring,
		Keep: s.keep, Logger: s.logger,
	}), nil
}

// repairArchive fits the archive to the repair.
type repairArchive struct{ archive.Archive }

// Ends implements repair.Archive.
func (a repairArchive) Ends(ctx context.Context) (map[int]int64, error) {
	states, err := a.States(ctx)
	if err != nil {
		return nil, err
	}
	ends := make(map[int]int64, len(states))
	for _, state := range states {
		ends[state.Partition] = state.ArchivedTo
	}
	return ends, nil
}

// recalls tells requests from events as handlers identify them.
type recalls struct{ placement domain.Placement }

// Recall implements repair.Requests.
func (r recalls) Recall(commit []*schema.Record) (domain.Request, bool) {
	return command.Recall(r.placement, commit)
}

// repairConsumers are the projections, webhooks and caches outside the log.
type repairConsumers struct {
	stores   *stores
	settings *Settings
}

// fed are the states of builds that somebody feeds.
var fed = []projections.State{projections.Live, projections.Backfilling, projections.CatchingUp, projections.Ready, projections.Kept}

// Seen implements repair.Consumers.
func (c repairConsumers) Seen(ctx context.Context) ([]repair.Seen, error) {
	var all []repair.Seen
	for _, f := range c.stores.families() {
		if f.Store() != projections.SQLStore {
			continue // it is as old as the log
		}
		standing, err := f.Standing(ctx)
		if err != nil {
			return nil, err
		}
		for _, b := range standing.Builds {
			if !slices.Contains(fed, b.State) {
				continue
			}
			status, err := checkpoint.SQL{DB: c.stores.db, Build: b}.Status(ctx)
			if err != nil {
				return nil, err
			}
			for _, p := range status.Partitions {
				all = append(all, repair.Seen{Partition: p.Partition, Checkpoint: p.Checkpoint})
			}
		}
	}
	progress, err := webhooks.Store{DB: c.stores.db}.Progress(ctx)
	for _, p := range progress {
		all = append(all, repair.Seen{Partition: p.Partition, Checkpoint: schema.Checkpoint{Seq: p.Seq}})
	}
	return all, err
}

// Depose implements repair.Consumers.
func (c repairConsumers) Depose(ctx context.Context, token int64) error {
	for _, f := range c.stores.families() {
		standing, err := f.Standing(ctx)
		if err != nil {
			return err
		}
		for _, b := range standing.Builds {
			if b.Version != f.Version() || !slices.Contains(fed, b.State) {
				continue
			}
			p := f.Open(b)
			for partition := range c.stores.identity.Partitions {
				if _, err := p.Take(ctx, partition, token); err != nil && !errors.Is(err, projections.ErrDeposed) {
					return fmt.Errorf("%s: %w", b, err)
				}
			}
		}
	}
	return nil
}

// Replace implements repair.Consumers.
func (c repairConsumers) Replace(ctx context.Context, lacks func(partition int, at schema.Checkpoint) (bool, error)) error {
	for _, f := range c.stores.families() {
		var failed error
		_, err := f.Replace(ctx, func(status projections.Status) bool {
			for _, p := range status.Partitions {
				lost, err := lacks(p.Partition, p.Checkpoint)
				failed = errors.Join(failed, err)
				if err != nil {
					return false // what cannot be told now is asked again by the next try
				}
				if lost {
					return true
				}
			}
			return false
		})
		if err := errors.Join(failed, err); err != nil {
			return fmt.Errorf("%s: %w", f.Name(), err)
		}
	}
	return nil
}

// Retreat implements repair.Consumers: webhooks go back, and dead letters of events that are gone go with them.
func (c repairConsumers) Retreat(
	ctx context.Context, partition int, common int64, has func(seq int64, id domain.EventID) (bool, error),
) error {
	if err := (webhooks.Store{DB: c.stores.db}).Retreat(ctx, partition, common); err != nil {
		return err
	}
	store := deadletters.Store{DB: c.stores.db}
	letters, err := store.Behind(ctx, partition, common)
	if err != nil {
		return err
	}
	for _, l := range letters {
		kept, err := has(l.Seq, l.Event)
		if err == nil && !kept {
			_, err = store.Remove(ctx, l.Handler, l.Position())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Refresh implements repair.Consumers. A cache that does not answer is passed over: it is filled from SQL, and forgets by itself.
func (c repairConsumers) Refresh(ctx context.Context) error {
	opened, err := c.stores.openCache(c.settings)
	if err != nil {
		return err
	}
	defer func() { _ = opened.client.Close(); c.stores.caching = nil }()
	if err := opened.cache.Clear(ctx); err != nil {
		c.stores.logger.WarnContext(ctx, "the cache could not be cleared: what it holds goes within the hour", slog.Any("error", err))
	}
	return nil
}

// repairLedger is what SQL keeps of repairs.
type repairLedger struct {
	db     *database.DB
	worker string
}

// repairLease is for how long a repairer that died holds up the next.
const repairLease = 8 * time.Second

// errLeaseLost is why a repair ends whose lease another process has.
var errLeaseLost = errors.New("the right to repair was lost")

// Lease implements repair.Ledger.
func (l repairLedger) Lease(ctx context.Context) (context.Context, int64, func(), error) {
	token, holder, taken, err := database.TakeRepairLease(ctx, l.db, l.worker, repairLease)
	if err != nil {
		return nil, 0, nil, err
	}
	if !taken {
		return nil, 0, nil, fmt.Errorf("%w: %s", repair.ErrHeld, holder)
	}
	working, end := context.WithCancelCause(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		l.renew(working, token, end)
	}()
	return working, token, func() {
		end(nil)
		<-stopped
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_, _ = database.RenewRepairLease(last, l.db, token, 0) // else it runs out
	}, nil
}

// renew keeps the lease until ctx ends, and ends it where that cannot be done in time.
func (l repairLedger) renew(ctx context.Context, token int64, end context.CancelCauseFunc) {
	ticker := time.NewTicker(repairLease / 4)
	defer ticker.Stop()
	for renewed := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		limit, cancel := context.WithTimeout(ctx, repairLease/4)
		held, err := database.RenewRepairLease(limit, l.db, token, repairLease)
		cancel()
		switch {
		case err == nil && held:
			renewed = time.Now()
		case err == nil || time.Since(renewed) > repairLease/2:
			end(errors.Join(errLeaseLost, err))
			return
		}
	}
}

// Known implements repair.Ledger.
func (l repairLedger) Known(ctx context.Context) (streams.Identity, bool, error) {
	known, ok, err := database.ReadIdentity(ctx, l.db)
	switch {
	case err != nil:
		return streams.Identity{}, false, err
	case !ok || !known.Complete && !known.Repairing:
		return streams.Identity{}, false, errors.New("there is no log yet: run `mpim migrate up`")
	}
	return streams.Identity{ID: known.ID, Key: known.Key, Partitions: known.Partitions, Epoch: known.Epoch}, known.Repairing, nil
}

// Begin implements repair.Ledger.
func (l repairLedger) Begin(ctx context.Context, from streams.Identity) (streams.Identity, error) {
	if err := database.BeginRepair(ctx, l.db, from.ID, from.Epoch); err != nil {
		return from, err
	}
	from.Epoch++
	return from, nil
}

// Complete implements repair.Ledger.
func (l repairLedger) Complete(ctx context.Context, epoch int64) error {
	known, _, err := l.Known(ctx)
	if err != nil {
		return err
	}
	return database.CompleteRepair(ctx, l.db, known.ID, epoch)
}

// Keep implements repair.Ledger.
func (l repairLedger) Keep(ctx context.Context, epoch int64, plans []repair.Plan) error {
	var rows []database.Repair
	for _, p := range plans {
		for part, loss := range p.Losses {
			rows = append(rows, database.Repair{
				Epoch: epoch, Partition: p.Partition, Part: part, From: loss.From, To: loss.To, Lost: loss.Lost,
				Head: p.Head, Archived: p.Archived, Common: p.Common, End: p.End, Anew: p.Anew,
			})
		}
	}
	return database.PlanRepair(ctx, l.db, rows)
}

// Plans implements repair.Ledger.
func (l repairLedger) Plans(ctx context.Context, epoch int64) ([]repair.Plan, bool, error) {
	rows, err := database.Repairs(ctx, l.db, epoch)
	if err != nil {
		return nil, false, err
	}
	var plans []repair.Plan
	for _, row := range rows {
		if n := len(plans); n == 0 || plans[n-1].Partition != row.Partition {
			plans = append(plans, repair.Plan{
				Partition: row.Partition, Head: row.Head, Archived: row.Archived, Seen: row.To,
				Common: row.Common, End: row.End, Anew: row.Anew,
			})
		}
		p := &plans[len(plans)-1]
		p.Losses = append(p.Losses, repair.Loss{From: row.From, To: row.To, Lost: row.Lost})
	}
	return plans, len(plans) > 0, nil
}
