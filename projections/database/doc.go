// Package database opens the SQL side: MySQL, MariaDB or SQLite behind one type, its schema, and the log's identity in it.
//
// A [DB] gives transactions and nothing else, so nothing reads or writes beside one. Writes that meet a deadlock or a lock
// wait are done again; all other errors are sorted by whether the data or the surroundings are the cause, which is what
// the runner of projections needs to know.
//
// # Design
//
// Opening a MySQL database makes no connection: a worker whose database is down starts, and serves what lives in Redis.
// [DB.Ping] and [Migrations.Check] connect, and say what to do when they fail.
//
// The same statements run on MySQL 8.4, MariaDB 10.11 and SQLite. Bun would ask a server for its version and then use
// what only that one can do (RETURNING on MariaDB); it is kept from asking. What differs is words: column types in DDL
// ([DB.DDL]) and the clause of an upsert ([DB.Upsert]).
//
// Sessions have the time zone UTC and a strict mode without backslash surprises, so a value that does not fit is an error.
// A session whose worker is frozen in mid-transaction is ended by the server after 15 seconds (wait_timeout), which frees
// its locks for the worker that took over.
//
// Writers use READ COMMITTED: each row is written by the one owner of its partition, and the checkpoint row that every
// transaction locks first makes one of two who both believe they own it wait for the other. The gap locks of REPEATABLE READ
// would only add deadlocks between partitions. Readers use REPEATABLE READ, so the build they look up and the rows they
// read are of one moment.
//
// SQLite in a file has one connection that writes and several that read, in WAL mode. In memory it lives as long as the DB.
//
// Migrations only expand: what a binary of yesterday reads and writes stays. Should that once not be possible, the file
// says which schema a binary has to know to go on ("-- requires: 7"), and older ones refuse to start.
package database
