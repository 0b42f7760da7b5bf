package tables

import (
	"context"
	"slices"
	"sync"

	"github.com/uptrace/bun"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/builds"
	"mpim/projections/checkpoint"
	"mpim/projections/database"
	"mpim/schema"
)

// Projection feeds one build: that which [Code.Open] was given, else the newest of its version.
type Projection struct {
	db         *database.DB
	definition Definition
	types      map[domain.EventType]bool

	mu    sync.Mutex
	build builds.Build // zero until Ensure has found it
}

var _ projections.Projection = (*Projection)(nil)

// New returns the projection. It does nothing before Ensure, or before its first partition is taken. It panics where the
// definition is mistaken.
func New(db *database.DB, d Definition) *Projection {
	if err := d.check(); err != nil {
		panic("tables: " + err.Error())
	}
	types := make(map[domain.EventType]bool, len(d.Types))
	for _, t := range d.Types {
		types[t] = true
	}
	return &Projection{db: db, definition: d, types: types}
}

// Name implements projections.Projection.
func (p *Projection) Name() string { return p.definition.Name }

// Version implements projections.Projection.
func (p *Projection) Version() int { return p.definition.Version }

// Handles implements projections.Projection.
func (p *Projection) Handles(t domain.EventType) bool { return p.types[t] }

// Ensure finds the build that this version feeds and makes what is missing of it. Take does so by itself, so a worker may
// start while the database is down; calling it at the start shows problems early.
func (p *Projection) Ensure(ctx context.Context) error {
	_, err := p.checkpoints(ctx)
	return err
}

func (p *Projection) checkpoints(ctx context.Context) (checkpoint.SQL, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.build.Number == 0 {
		build, err := builds.Ensure(ctx, p.db, p.definition.Name, p.definition.Version, Code{p.db, p.definition}.Define)
		if err != nil {
			return checkpoint.SQL{}, err
		}
		p.build = build
	}
	return checkpoint.SQL{DB: p.db, Build: p.build}, nil
}

// Take implements projections.Checkpoints.
func (p *Projection) Take(ctx context.Context, partition int, token int64) (schema.Checkpoint, error) {
	c, err := p.checkpoints(ctx)
	if err != nil {
		return schema.Checkpoint{}, err
	}
	return c.Take(ctx, partition, token)
}

// Parked implements projections.Checkpoints.
func (p *Projection) Parked(ctx context.Context, partition int) ([]projections.Key, error) {
	c, err := p.checkpoints(ctx)
	if err != nil {
		return nil, err
	}
	return c.Parked(ctx, partition)
}

// Status implements projections.Checkpoints.
func (p *Projection) Status(ctx context.Context) (projections.Status, error) {
	c, err := p.checkpoints(ctx)
	if err != nil {
		return projections.Status{}, err
	}
	return c.Status(ctx)
}

// Apply implements projections.Projection.
func (p *Projection) Apply(ctx context.Context, step projections.Step) error {
	c, err := p.checkpoints(ctx)
	if err != nil {
		return err
	}
	write := p.prepare(step.Records)
	return p.db.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		moved, err := c.Advance(ctx, tx, step)
		if err != nil || !moved {
			return err
		}
		return write(ctx, &Tx{Tx: tx, DB: p.db, build: c.Build})
	})
}

// prepare returns what writes the records. Events are decoded while the server begins the transaction and moves the
// checkpoint.
func (p *Projection) prepare(records []*schema.Record) Write {
	records = p.chosen(records)
	switch {
	case len(records) == 0:
		return func(context.Context, *Tx) error { return nil }
	case p.definition.Decode == nil:
		return func(ctx context.Context, tx *Tx) error { return p.definition.Fold(ctx, tx, records) }
	}
	decoded := sync.OnceValues(func() (Write, error) { return p.definition.Decode(records) })
	go func() {
		defer func() { _ = recover() }() // who asks for the value gets the panic too
		_, _ = decoded()
	}()
	return func(ctx context.Context, tx *Tx) error {
		write, err := decoded()
		if err != nil {
			return err
		}
		return write(ctx, tx)
	}
}

// chosen returns the records that matter, without a copy where all do.
func (p *Projection) chosen(records []*schema.Record) []*schema.Record {
	other := func(r *schema.Record) bool { return !p.types[r.Type] }
	if !slices.ContainsFunc(records, other) {
		return records
	}
	return slices.DeleteFunc(slices.Clone(records), other)
}
