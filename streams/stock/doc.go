// Package stock reads the log with the stock Watermill subscriber for Redis Streams
// (github.com/ThreeDotsLabs/watermill-redisstream), for reactors: any worker takes any event, acknowledges it, and takes over
// what another worker left.
//
// # Design
//
// The stock subscriber reads one entry at a time and acknowledges it before the next: right for side effects, too slow for
// projections, which have a subscriber of their own (package batch). What of it cuts whoever uses it as it comes, and what is
// done here:
//
//   - It closes the client it was given: it gets one of its own.
//   - Its first read blocks for ever: that is turned off.
//   - It stops for good on an entry that it cannot decode: the unmarshaller here never fails. It hands such an entry on with
//     [BrokenKey] set, and the reactor puts it to the dead letters.
//   - It never makes a group again that was lost, as when a stream was written anew. Here that ends the reading; the group is
//     made where it was, and read again. Where it was is kept in Redis beside the stream, every few seconds: the oldest
//     entry that was not acknowledged, else the last one delivered. So a lost group costs some doubles and no event.
//   - It shows no stream id: nobody needs one, since events carry their partition sequence.
//
// A reactor that runs for the first time begins at the end of the log: what happened before it was thought of is no reason
// to act.
package stock
