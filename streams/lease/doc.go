// Package lease decides which worker processes which partition for which consumer, and takes a partition away from a
// worker that is gone.
//
// Every worker process runs one [Manager]. The managers agree through Redis alone: each tells in the hash "workers"
// that it lives and what it can run, each computes the same spread of (consumer, partition) pairs over the living, and
// each takes the leases that fall to it and gives back those that do not. A lease is held for [Config.TTL] and renewed
// every [Config.Renew]. When a worker is killed its leases expire and the others take them; when it stops cleanly it
// gives them back and tells the others, who take them within milliseconds.
//
// # What a lease promises
//
// At any instant at most one worker holds a lease by the clock of the Redis server. That is not mutual exclusion: a
// process can stop for seconds between looking at its lease and writing. So every taking of a lease gives it a token
// higher than all before, and whoever stores something under a lease must refuse a token lower than the highest it
// has seen (https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html). The lease keeps two workers
// from doing the same work; the token keeps them from doing harm.
//
// # Design
//
// Expiry is judged by the server's TIME inside the scripts, so the workers' clocks need not agree. A holder judges by
// its own monotonic clock, from the moment it sent the renewal that succeeded: it stops believing [Config.Margin]
// before the server can let the lease go. The timers that end the context of a lease do not wait for any answer of
// Redis, so a worker that was suspended, or cut off, notices when it runs again and not when Redis answers. A lease that
// has expired is never renewed, even when nobody else took it: one meaning for expiry on both sides.
//
// The spread is sticky: it starts from who holds what, so a worker that comes or goes moves only the partitions that
// must move, and no consumer's share differs by more than one between the workers that run it. A spread computed from
// the list of workers alone (rendezvous hashing with a cap was tried on paper) cannot have both properties. It is computed
// by partition first: consumers that the same workers run are placed together, so that one worker reads all consumers
// of a partition and decodes each event once.
//
// Tokens are not a plain counter but at least the server's clock in milliseconds. A counter starts again when Redis
// loses its last writes or everything, while the checkpoints in SQL remember the old tokens and would refuse every
// new holder.
//
// Notices that the spread changed go over Pub/Sub. A lost notice costs at most [Config.Renew]; nothing depends on it.
package lease
