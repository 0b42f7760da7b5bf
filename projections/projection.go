package projections

import (
	"context"
	"time"

	"mpim/domain"
	"mpim/schema"
)

// Projection computes state from events, in Redis or in SQL. All its methods may be called at the same time for different
// partitions, and Apply at most once at a time for one partition by one worker.
type Projection interface {
	// Name is the name of the projection and of its consumer. It never changes: checkpoints go by it.
	Name() string
	// Version counts the changes of the code that make other rows from the same events, from 1.
	Version() int
	// Handles says whether events of this type matter to the projection. It passes over all others without decoding them.
	Handles(eventType domain.EventType) bool
	// Apply does a step: as one transaction it moves the checkpoint, folds the records and puts the parked ones aside.
	//
	// The checkpoint comes first, by comparing it: it must stand at From-1 under exactly this token. If it stands at To or
	// beyond under this token, the step was done before and its answer lost: Apply changes nothing and returns nil. In any
	// other case it changes nothing and returns ErrDeposed. An error that is not the events' fault is wrapped by Outside.
	Apply(ctx context.Context, step Step) error
	Checkpoints
}

// Checkpoints is the part of a projection that knows how far it has come. The types of package checkpoint implement it
// for embedding.
type Checkpoints interface {
	// Take makes the token the newest of the partition and returns the checkpoint. Nothing is applied under an older token
	// from then on. It returns ErrDeposed where a newer one was there before.
	Take(ctx context.Context, partition int, token int64) (schema.Checkpoint, error)
	// Parked returns the keys of the partition behind which later events must park.
	Parked(ctx context.Context, partition int) ([]Key, error)
	// Status returns how far the projection has come in every partition that it has begun.
	Status(ctx context.Context) (Status, error)
}

// Step is what a projection does at once: a run of a partition, or a part of one.
type Step struct {
	// Batch says which checkpoint is moved where. Its Records are those to fold, in order: all from From to To but the
	// parked ones.
	schema.Batch
	// At is the time of the last record that has one. It is kept beside the checkpoint to tell the lag.
	At time.Time
	// Parked are the records to put aside, in order; mostly none.
	Parked []Parked
}

// Parked is a record that a projection could not apply, or that stands behind one.
type Parked struct {
	Record *schema.Record
	Key    Key
	// Reason says why the record could not be applied; empty where it only stands behind another.
	Reason string
}

// Key is what events park by: the aggregate as it is written, such as "group:g…", so one conversation or one account. It
// is empty for an entry so broken that it does not tell.
type Key string

// KeyOf returns the key of a record.
func KeyOf(r *schema.Record) Key {
	if r.Aggregate == (domain.Aggregate{}) {
		return ""
	}
	return Key(r.Aggregate.String())
}
