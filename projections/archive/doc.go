// Package archive keeps every event for ever, in SQL, and is the only one that may shorten the stream.
//
// An [Archiver] follows the log and writes what is new every two seconds, as segments (package segment): a run of one
// partition, compressed, with its SHA-256. [Archive] reads them. What was archived, read back and hashed, and is older than
// [Config.Keep], is trimmed from Redis.
//
// # Promises
//
// Every event is in exactly one segment, to the byte, and the segments of a partition follow each other without a gap.
// Nothing is trimmed that is not. A segment that changed since it was written is refused with a [DamagedError], never passed
// on. Archiving is no consumer group and appends nothing; a dead projection does not hold it up.
//
// # Design
//
// One worker archives all partitions. Its lease is a row in SQL, because it must be had when Redis is full: that is when
// trimming matters. Encoding takes a tenth of a core at 5,000 events a second, so there is nothing to gain from spreading it. The
// lease only keeps two workers from doing the same work; what makes a segment be written once is that the transaction that
// writes it also moves the partition's archived_to, from exactly the event before, and under a token that is not older than the
// last writer's.
//
// Reading back is another transaction, with a snapshot of its own, and verified_to moves only then. After a crash in between
// the next archiver does it.
//
// Segments of two seconds compress poorly, so neighbours are merged: sixteen of a tier make one of the next, until it has
// about 32,768 events or 8 MiB, which is as long as a column pays and little enough to decompress for one event. So each
// event is written about four times in its first hours, there are never more than a few dozen short segments a partition, and
// all the rest compresses as well as can be. A merge is one transaction that deletes the short ones, whose hashes were
// checked, and writes the long one, which is read back before the commit. The events and their order stay; hashes over
// events, such as an audit's, do not see it. Rejected: to hold the open segment in memory (it would be lost, or late), and to
// append to the last row (each rewrite would hash and send all of it again).
//
// Segments never change for erasure: what is to be erased is sealed inside the payload, and its key goes.
//
// Times: reached_at is the latest time of an event up to the end of a segment, so it never steps back, and where to begin for a
// time is one look at an ordered column.
package archive
