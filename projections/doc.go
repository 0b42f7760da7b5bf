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
// # Erasure
//
// A projection that keeps anything that people wrote handles account.erased. The event is appended to the account, where names
// and whatever else belongs to the account go; and then to every group and pair in which the user wrote something, with the user as
// its actor, where bodies and notes of that user go. So it stands behind all that it erases in the same partition, and is folded
// like a recall, by the one who owns these rows.
//
// What is left must be what a fold from the beginning gives, which reads null for the same members because their key is gone
// (schema.Record.Erased): no body, no name, and the rest as it was. What is erased, by projection:
//
//	history    bodies and kinds of messages, bodies of all their revisions
//	search     the messages with their terms
//	recent     bodies of messages and edits
//	inbox      the body of the last message, and what became of it
//	contacts   names in the directory; the note of a request, and remarks
//	presence   what the user chose to be seen as (it is not in the log: `mpim user erase` takes it away)
//
// Members, receipts, activity and notices keep ids, times and numbers, which say nothing once nobody knows whose they are.
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
