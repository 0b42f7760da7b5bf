package history

import (
	"context"
	"fmt"
	"sync"

	"github.com/uptrace/bun"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/builds"
	"mpim/projections/checkpoint"
	"mpim/projections/database"
	"mpim/schema"
)

// Name is the name of the projection and of its consumer.
const Name = "history"

// Version is that of the rows that this code makes. It rises when the same events would make others.
const Version = 1

// Projection writes one build of history.
type Projection struct {
	db *database.DB

	mu    sync.Mutex
	build builds.Build // zero until Ensure has found it
}

var _ projections.Projection = (*Projection)(nil)

// New returns the projection. It does nothing before Ensure, or before its first partition is taken.
func New(db *database.DB) *Projection { return &Projection{db: db} }

// Name implements projections.Projection.
func (*Projection) Name() string { return Name }

// Version implements projections.Projection.
func (*Projection) Version() int { return Version }

// Handles implements projections.Projection.
func (*Projection) Handles(t domain.EventType) bool {
	switch t {
	case domain.TypeConversationCreated, domain.TypeConversationUpdated, domain.TypeConversationDissolved,
		domain.TypeMemberAdded, domain.TypeMemberJoined, domain.TypeMemberLeft, domain.TypeMemberRemoved,
		domain.TypeMemberRoleChanged, domain.TypeMemberMuted,
		domain.TypeMessageSent, domain.TypeMessageEdited, domain.TypeMessageRecalled, domain.TypeMessageReacted,
		domain.TypeMessageExpired:
		return true
	default:
		return false
	}
}

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
		build, err := builds.Ensure(ctx, p.db, Name, Version, p.define)
		if err != nil {
			return checkpoint.SQL{}, err
		}
		p.build = build
	}
	return checkpoint.SQL{DB: p.db, Build: p.build}, nil
}

// define makes the tables of a build.
func (p *Projection) define(ctx context.Context, build int) error {
	statements := make([]string, len(tables))
	for i, t := range tables {
		statements[i] = fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s (%s\n) {table}", builds.Table(Name, build, t.name), t.columns)
	}
	return p.db.Define(ctx, statements...)
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
	// Events are decoded while the server begins the transaction and moves the checkpoint.
	decoded := sync.OnceValues(func() ([]change, error) { return decode(step.Records, p.Handles) })
	go func() {
		defer func() { _ = recover() }() // who asks for the value gets the panic too
		_, _ = decoded()
	}()
	return p.db.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		moved, err := c.Advance(ctx, tx, step)
		if err != nil || !moved {
			return err
		}
		changes, err := decoded()
		if err != nil {
			return err
		}
		f := newFold(&store{db: p.db, tx: tx, build: c.Build})
		if err := f.load(ctx, changes); err != nil {
			return err
		}
		for i := range changes {
			f.apply(&changes[i])
		}
		return f.write(ctx)
	})
}
