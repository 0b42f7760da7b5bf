// Package streams keeps the log on Redis Streams: it appends commits, reads records, and holds the decision state that
// commands are decided on.
//
// A [Log] promises that a commit is appended whole or not at all, exactly once however often it is sent, with dense
// sequences in its partition and its conversation, and only if what it was decided on still holds. [Log.Append]
// returns after that, with the durability that the log was opened with:
//
//   - Appended: survives the loss of any gateway, worker or SQL server and a clean restart of Redis. Up to about two
//     seconds may go when Redis or its machine dies (appendfsync everysec,
//     https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/).
//   - Fsynced: survives all but the disk (appendfsync always).
//
// A Redis that comes back with less than was seen is found out before anything is appended to it: that partition is
// closed and the error says from where to where. Nothing is ever doubled or reordered.
//
// # Design
//
// One script does it all (lua/append.lua), so there is no moment between the check and the write. Each process life has
// one appender a partition, with one batch in flight; the script keeps the last batch's number and result, so a batch
// whose answer was lost is sent again unchanged until it is answered. The client library may retry too: it makes no
// difference.
//
// The script's text begins with the server's run id. A server that restarted, or a replica that was promoted, does not
// know the script, and its answer NOSCRIPT is the moment to look again; so is a look once a second. Whoever notices first closes
// all partitions for that run, over the very connection that the run id came from: it ends with the server, so nothing is
// closed, loaded or said in another run than was meant. Every process that appends is registered while it lives, and the partition
// opens with the last one's word of how far it had seen it. What was seen is kept by runs: what is known to be from before
// a run is held against where that run was opened, however far the log is by then, and what may be of the run itself only
// against the counter; else who looks away for a second would find forks that are none. A clean restart only delays appends,
// for at most 3 seconds. Lives are told apart by their signs by the server's clock, and those who lived when it went
// down have their time again when it is back, or a long outage would look like the death of all.
//
// Rejected: going on at the first word (who saw more comes later, and the numbers are taken), waiting for a time (too long
// for those who are there, too short for those who are not), and asking over any connection (the client library may
// have changed servers in between).
//
// Redis forgets an appender's name an hour after its
// last batch, by its own clock: where it does so early, and the server is still the one that gave the last answer, and the
// batch was written to a connection only once, the appender takes a new name. Otherwise the partition stays closed.
//
// Lua costs more than what it calls: each number that is formatted, each small table, each string. So the usual command (a
// request, a guard on the version, one event) has a short form, and the write that remembers a request is what asks for
// it. A plain model holds both forms to the same meaning in the tests.
//
// While one batch is in flight the next one gathers, so batches grow with the load and cost no delay without it. The
// queue is bounded in commands and refuses with unavailable, never by blocking a socket.
//
// Rejected: explicit stream ids (two appenders cannot agree on them; the partition sequence says where a record stands, the
// stream id is only its address), a string key for each client id (twice the memory and a third slower than sub-hashes
// of at most 102 fields, which Redis keeps in one block), MAXLEN and XDEL (what the archive does not have must not go).
//
// Requests are remembered for 24 hours ([Sweeper]), or less where a sub-hash fills up first.
package streams
