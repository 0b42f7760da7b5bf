package schema

import "context"

// Batch is an ordered run of one partition: every record from From to To, without a gap.
type Batch struct {
	Partition int
	// Token is the fencing token of the lease under which the batch was read. Who writes with an older token than the
	// newest has lost the partition.
	Token int64
	// From and To are partition sequences, both included.
	From, To int64
	// StreamID is the address of the record at To.
	StreamID string
	// Records are shared by all who read the partition in this process: read only.
	Records []*Record
}

// Checkpoint says how far a consumer has come in a partition: all up to Seq is done.
type Checkpoint struct {
	Seq int64
	// StreamID is the address of the record at Seq; empty where the consumer has not begun.
	StreamID string
}

type batchKey struct{}

// WithBatch returns a context that carries the batch, as the batch subscriber's messages do.
func WithBatch(ctx context.Context, b *Batch) context.Context {
	return context.WithValue(ctx, batchKey{}, b)
}

// BatchFrom returns the batch of a message's context, or nil.
func BatchFrom(ctx context.Context) *Batch {
	b, _ := ctx.Value(batchKey{}).(*Batch)
	return b
}
