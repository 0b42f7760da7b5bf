// Package reactor causes side effects of events: a [Reactor] reads the log with the stock Watermill subscriber, any worker
// any event, and what it does is done at least once.
//
// An event whose side effect fails is tried again, with back-off, for [Config.Patience]. Then it goes to the dead letters: with
// the handler's name, the reason, how often it was tried, when first and last, and its position. Only when that is
// written is the event acknowledged. A worker that is killed leaves its events to the others.
//
// # Design
//
// Nothing is kept of what was done. Whatever a side effect reaches has to know a double by the key that goes with it, which
// is the event's id. (Watermill's deduplicator marks an event before it is handled, so a kill in between would lose it, and
// tells events apart by 32 bits of a hash.)
//
// Events of a partition are handled one after the other by each worker, and while one is tried again those behind it wait
// for that worker. So patience is short, and what is too old when its turn comes is not done any more ([Offline]).
package reactor
