// Package cache keeps in Redis what is expensive to read from SQL: users, their contacts, groups. It is filled when
// something is missing, kept up to date by who follows the log, and may be lost at any time.
//
// # Keys
//
//	user:info:{<user>}      a user as the directory has it, 3,600 s
//	user:friends:{<user>}   a user's contacts and requests, 1,800 s
//	group:info:{<group>}    a group as history has it, 3,600 s
//
// A value begins with "v". A key that is being filled holds "?" and the claim of who fills it, for five seconds.
//
// # What it promises
//
//   - What is read is never older than what SQL had when it was last filled or refreshed, at most its time to live ago. With the
//     follower of the log at work it is behind SQL by the time that a refresh takes.
//   - A fill that was slow never overwrites what is newer. Each fill puts its value only where its claim still stands; a
//     refresh claims the key anew, so the older fill finds another claim, a value, or nothing.
//   - However many ask for something that is missing, in however many processes, one reads it from SQL: those of one
//     process wait for each other, and others for the claim, for a while; then they read for themselves.
//   - A cache that is out of reach or full is passed by: the same answer comes from SQL.
//
// # Design
//
// The claim stands in the place of the value, and not in a key of its own: so an eviction, an expiry or a flush takes both
// together, and no moment is left in which a slow fill could still believe in its claim.
//
// Versions compared as numbers were rejected: what one key holds comes from several partitions, whose sequences
// cannot be compared. That nobody touched the key since the fill began is the same promise, and needs no number.
//
// Single reads that come at the same time go to the server together (one MGET), as the appender's batches do: no delay when
// there is one, and many times the throughput of a round trip each.
//
// On a server of its own (LRU) the cache leaves eviction to the server. On the log's server, which never evicts, it keeps
// a list of its entries and a bound in bytes: above it those that were idle for longest go, of a sample, as Redis itself
// does it; the server's own idle times are asked, so reading writes nothing. The bound shrinks to what the log leaves of
// four fifths of maxmemory. Nothing but listed keys is ever removed.
package cache
