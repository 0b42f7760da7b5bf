// Package lookup reads users, contacts and groups through a cache in front of SQL, and keeps the cache up to date.
//
// A [Lookup] reads; what it returns may be behind SQL by as long as a refresh takes. Whoever has to see a certain change reads
// SQL itself. A [Follower] reads the log: when SQL has applied events that change entries, it has those that are there loaded
// anew.
//
// # Design
//
// The follower waits until SQL has come as far as the log before it refreshes: refreshed sooner, the entry would be filled
// with what was before, and stay so until its time is up. It has a checkpoint of its own, so a worker that is killed
// between SQL and the cache leaves nothing stale: the next one refreshes once more.
package lookup
