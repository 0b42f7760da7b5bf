// Package batch delivers the log to projections: in order, in batches, with one active worker for each (consumer,
// partition).
//
// A [Subscriber] is a Watermill subscriber whose topics are the names of consumers. One message is one batch of one
// partition, found in the message's context with schema.BatchFrom; payload and metadata of the message are empty. Which
// partitions are read is decided by leases: register [Subscriber.Hold] with a lease.Manager.
//
// # What is promised
//
//   - The batches of a partition follow each other without a gap, from the consumer's checkpoint on. An event that does
//     not belong next is never delivered.
//   - A batch is delivered until it is acknowledged, and the next one only then. Batches of different partitions are
//     delivered at the same time.
//   - A batch may be delivered again after it was applied, under the same token or a newer one, by this process or by
//     another. It is the checkpoint, moved by comparing it in the transaction that applies the batch, that makes this
//     exactly once: a handler that applies anything without one is called at least once.
//   - What was not acknowledged when the lease is handed over, or the subscriber closes, may be finished within
//     [Config.Drain]; its context then ends. When the lease is lost the context ends at once.
//
// A nack means: look at the checkpoint and go on from there, after a while. So a handler need not say what went wrong. If the
// batch was applied and only the answer was lost, the next one follows; if a part of it was applied, the rest is
// delivered; if another worker moved the checkpoint, the partition is read anew from where it stands.
//
// # Design
//
// Reading is done by consumer groups without a pending list (XREADGROUP … NOACK). The group's cursor is only a
// convenience of the server: the truth is the checkpoint, so the cursor is set by it when a partition is taken, and set again
// whenever an answer may have been lost. What catches a cursor moved by anyone else, such as a deposed worker whose
// last read was still waiting, is the partition sequence, which must go up by one. On a jump the log itself is asked (XRANGE)
// whether the missing event is there. If it is, the cursor was moved and is set back. If it is not, the partition stops
// with an error, a metric and a retry every [Config.StopRetry]: to pass over an event is the one thing that a consumer
// must never do. An event below the checkpoint is dropped when its stream id is below too; when it is above, the log
// was forked and the partition stops as well.
//
// Each partition of each consumer blocks a connection of its own beside the client's pool, which the blocked ones would use
// up. It does not repeat a read in silence, as pooled ones do when a connection breaks: what the first try had been
// given would be skipped. And since go-redis does not interrupt a blocked read when its context ends, the subscriber does,
// with CLIENT UNBLOCK, or by closing the connection where the server has no such command. Nothing polls: an idle
// partition costs one blocking read each [Config.Block], and one that is not held costs nothing.
//
// Every read that delivers is a write to the server's append-only file, and wakes a goroutine here and a transaction
// behind it. A consumer that can wait sets [Consumer.Linger], and gets what came within it in one read instead of one an
// event. It rests after a read and not before: so an event that comes alone is not kept waiting, and none is read twice
// for. Rejected: to read what is there, wait, and read again, which doubles the reads where events are further apart
// than the wait, and delays each of them.
//
// What was trimmed from the stream is read from the archive ([Config.Segments]): a consumer that comes back after days goes on
// where it stood. It looks where the stream begins when it takes a partition, and again on a jump; one that keeps up never asks.
//
// Entries are decoded once a process: consumers that read the same partition at about the same place, as they do when
// leases are ranked by partition, share the records.
package batch
