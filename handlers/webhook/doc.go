// Package webhook tells receivers of events over HTTP: a Reader of the log, a checkpoint for each webhook and partition, and
// a POST.
//
// # What a receiver is promised
//
//   - Every event whose type it asked for, at least once. The checkpoint moves after the receiver has answered 2xx, so an
//     answer that is lost, or a worker that is killed, makes the last events come again.
//   - In the order of each partition, so in the order of each conversation: the next events of a partition are sent when the
//     last are taken. Between partitions there is no order. A worker that loses its lease in the middle of a request, as
//     when its machine was suspended, may repeat older events after newer ones: who must not be fooled by that keeps the
//     highest partition_seq.
//   - Not for ever in the way: an event that is not taken within [Config.GiveUp] goes to the dead letters, and those behind it
//     are sent. See [Config.GiveUpRefused] for events that the receiver refuses.
//
// Requests follow Standard Webhooks (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md):
// headers webhook-id, webhook-timestamp and webhook-signature, and a secret that begins with whsec_. The id is the same
// when the same events are sent again, and another after a rewind.
//
// # Design
//
// One deliverer a webhook and partition, under the lease of the partition. What waits is sent together, up to
// [Config.BatchEvents]: when events are rare each goes at once and by itself, and a receiver that is slow gets larger batches.
// When a receiver refuses a batch the next attempt has half of it, so that one event which it can never take ends up
// alone, and takes no others to the dead letters. A receiver that is out of reach, or says that it is busy, gets the same
// batch again.
//
// The time after which an event is given up counts from its own first attempt. While a receiver is down for days, the events
// at the head of each partition are given up one batch at a time, and all others wait in the log, which keeps them for ever.
//
// Requests go to addresses that are public, by the address that a name led to and not by the name, so that nobody who may
// add webhooks reaches what is inside ([Config.AllowPrivate]). Redirects are not followed, and proxies not asked. What a
// receiver answers is not kept, but for its status.
//
// Rejected: a queue of deliveries in SQL (the log is the queue), an order over all partitions (one slow request would stop
// everything), and giving up at once on 4xx (a receiver that is being set up answers 404 for a while).
package webhook
