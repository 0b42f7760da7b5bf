// Package imports brings users, groups, memberships and messages of another system into the log, with their own times.
//
// A file is JSON Lines; docs/import.md describes it. [Check] reads it once and finds what is wrong with it, line by line,
// before anything is written. [Run] then appends what is not there yet, through the same rules as everything else.
//
// # Promises
//
//   - Run may be stopped and begun again at any time, with the same file or a longer one: what was imported is left alone,
//     and what became of it since too.
//   - The messages of a conversation get their sequences in the order of the file, behind what the conversation has.
//   - Events have the times of the file. So history, exports and activity show those. Filters and --as-of go by effective
//     times, the highest that a partition has reached: what is imported into a log that has newer events already counts as of
//     the import there, and keeps its own time in what is shown.
//
// # Design
//
// That nothing is imported twice follows from ids and not from a list of what was done: a user has its name; a group's id
// is made of its owner and its id in the file; who was a member once is not made one again; and a message's client id is
// its id in the file, with [Prefix], by which history finds it. So there is no second place that a crash could leave at odds
// with the log. It costs one query a conversation that was there before, and a worker for history to be complete; into an
// empty log one imports without. Rejected: the idempotency entries of the log, which are kept for a day, and a table
// of imported ids, which can never be written in the same transaction as the log.
//
// Conversations are imported side by side, each by one goroutine, so that the log gathers their events into batches.
package imports
