// Package projections turns the log into what is read. A [Projection] computes state from the events, a [Runner] drives
// one projection from the ordered batches of a Watermill subscription.
//
// # Promises
//
// Exactly once: a projection writes its rows and its checkpoint together or not at all, and the checkpoint is moved by
// comparing it first, so neither a redelivered batch, nor a worker killed at any instant, nor two workers that both
// believe they own a partition can apply an event twice or skip one.
//
// In order: the events of a partition are applied in partition sequence.
//
// Going on: an event that cannot be applied is parked, and with it every later event of the same conversation, so that
// one bad event stops one conversation and nothing else.
//
// # Design
//
// The Runner tells causes outside of the events (a server that is gone, a deadlock, a full disk) from the events' own
// faults by what the stores say ([Outside]). The first kind is returned, so that the subscriber delivers the batch again
// after a while. For the second the batch is halved until the one event is found. A failure of unknown kind counts as the
// event's own, because a projection that stops for ever is worse than a conversation that is parked and can be retried;
// but where no event at all can be applied, the cause is outside after all, and nothing more is parked.
//
// Parking is by aggregate, which for messages is the conversation. The parked event and the checkpoint are written in one
// transaction, like rows.
//
// A type that a projection does not handle is passed over whether this binary knows it or not. A newer version of a type
// that it does handle stops the partition until a newer worker takes it: the events are sound, this worker is too old.
package projections
