// Package push takes events from the log to the gateways that have somebody's connection for them.
//
// An [Owner] pushes the partitions that its process holds leases for under the consumer [Consumer]. It knows all live
// connections and, for each partition, the members of its active conversations; so an event costs no round trip but
// the one that publishes it, and a batch goes out in one. To each gateway goes one envelope a batch (schema.Envelope):
// every frame is encoded once, with the numbers of the connections that it is for.
//
// # What is promised
//
// Pub/Sub loses messages, so pushing promises nothing alone. Together with numbers, heartbeats and resync:
//
//   - Whatever is appended after a connection was reported as folded is in an envelope for it, or its gateway notices
//     that one is missing: by the next number, by a heartbeat, or by an owner that starts above what it heard.
//   - Events of one conversation come in the order of their sequence. After a failure some come again.
//   - Typing comes at most once. It is outside of the count, and so are orders to close a connection that was folded
//     after its session had been revoked.
//   - Receipts are merged: of a batch, each user's last in a conversation.
//
// # Design
//
// Connections. The registry is read from {p}:connections of all partitions, and then folded from the presence streams,
// which carry each connection that opens and ends within milliseconds. Both say the same thing twice, so the fold begins
// some minutes back, or further where the projection behind the hash lags, and no order between the two is needed: a
// connection may be said to be open any number of times, and what ended it is in the stream too. Other partitions'
// connections matter as much as one's own: members live anywhere.
//
// Why a reported fold can be relied upon: a fold is applied and its position moved under the registry's write lock, and a
// heartbeat reads the position under the read lock, so what it reports was applied before. The audience of an event is
// looked up under the read lock when its batch is handled, after the event was read, so after it was appended. An event
// that is appended after the report therefore finds the connection, whichever goroutine handles it. Audiences are kept
// within a batch and never longer: all of its events were appended before it was read.
// An event that was appended before the report, and whose batch was handled before the fold, the client fetches by sync,
// which it calls after the report.
//
// Taking a partition. Take waits until everything that stands in the presence streams when it is called is folded. A
// connection said to be open after that finds the new owner among the holders, and waits for its report; one said to be
// open before is known before the first batch.
//
// Checkpoints. Each round first tells all gateways how far the partitions are and then saves the same as checkpoints. So
// a new owner begins where every gateway has heard of, and one that had not, because it lost that heartbeat, sees a
// start above what it heard and resynchronises. Saving with each batch would cost a round trip, and would let a gateway
// that lost the last envelopes before a crash believe that it had everything.
//
// What is public of a partition, in heartbeats, moves when a batch is out and not while it is on its way: a heartbeat that
// overtook its envelope would be taken for a loss. A batch that could not be published counts all the same.
//
// Members come from decision state and not from the members projection. The append script writes it with the events
// themselves, so it is never behind what is pushed, and Redis holds it as long as the conversation. It may be ahead:
// windows say from where to where a user sees a conversation, so a state that is ahead answers for earlier events too,
// including to whom the event goes that removed somebody. Events are folded into it by the rules of the domain
// (conversation.Evolve). Rejected: the projection, which may be behind, so that a new member silently gets nothing; and
// folding member events of all conversations from the checkpoint on, which needs a full list to begin with.
//
// Being behind. A client that missed more than a minute is served better by one sync than by thousands of pushes. The
// owner goes on at the end of the log, or passes over batches until it is near, and leaves out a number to every gateway.
// Only the server's clock is asked.
//
// Closing. A session's connection is in the log, then in the presence stream, then in the registry; the event that revokes
// the session can be handled in between. So what was closed is remembered for some minutes, and connections folded
// later are closed as well.
package push
