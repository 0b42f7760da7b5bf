// Package repair puts a log right that came back with less than others have seen, or that is gone altogether.
//
// What the archive has and Redis lost is written back to the byte: position, address, id, metadata and payload, and beside it
// decision state, due lists, and the requests of the last day, so that what is sent again is answered as before. What nobody has
// any more is lost. The epoch rises, and each damaged partition gets log.repaired, which says which events came back and which
// are gone. Afterwards nothing is doubled or reordered, and nothing is missing but what that names.
//
// # Design
//
// A repair may be cut off at any moment, by whoever kills the repairer or Redis, and another goes on. So nothing that decides what
// is to be done is changed before it is written down: first SQL notes that the log is being repaired, and the epoch that it will
// have; then every partition is closed under that epoch, which fences all appenders; then it is planned what is to be done, and the
// plan is kept in SQL; only then something is written. One repairer works at a time, under a lease in SQL whose token stands in
// every partition, so that a deposed one writes nothing more.
//
// Most forks are tails: Redis has the beginning of what the archive has. Then commits are written behind what is there, each
// batch with the decision state, timers, requests and the counter in one script. After each batch the partition is right, only
// shorter, so that going on is to look where it ends. Decision state goes on from what is stored, so it takes as long as the tail is, not
// as the log is.
//
// Where Redis has something else than the archive, or nothing at all, the partition is written from nothing: all its keys go, the
// window is written from the archive, and all of history is folded. What Redis had behind the point of the fork goes with that:
// the archive wins, because it cannot be changed. That is named in a log.repaired of its own. Where the archive has nothing
// behind that point, what Redis went on with stays.
//
// Sequences of what is lost are used again, for other events; the epoch tells them apart, and so does the id of an event. A
// checkpoint in another store has seen what is lost if the log has no event, or one with another address, where it stands.
//
// The archive may end within a commit, when Redis was lost between two reads of the archiver: what it has of that is written
// back. A request is remembered only where the event that answers it came back.
//
// Rejected: to give restored events new addresses (every checkpoint would have to be moved); to fold all of history for a short
// tail; to remove the branch from the end of a stream entry by entry (there are versions of Redis that cannot load what XDEL leaves).
package repair
