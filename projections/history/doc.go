// Package history keeps what was said and who was there, in SQL.
//
// The tables of a build, whose names begin with history_<build>_:
//
//	conversations  one row each, as it stands
//	members        (conversation, user_id, from_seq): one row for each time in which a user was a member in one role; it
//	               began with the event at from_seq and ended with the one at to_seq, null while it lasts
//	messages       (conversation, seq): one row each message, as it stands; body is null once it was recalled or expired
//	revisions      (conversation, message, seq): every body that an edited message had, the first one included
//	reactions      (conversation, message, user_id, emoji, from_seq): one row for each time a reaction stood
//
// Times are UTC with microseconds. Bodies are the exact bytes of their JSON. [Queries] reads the live build for users;
// [Projection] writes one build.
//
// # Promises
//
// The rows of a build follow from the events alone: however they are cut into batches, delivered again, or taken over, the
// same events give the same rows, in every dialect.
//
// A recall is final: it takes the body from the message and from all its revisions, and edits and reactions that
// come after it change nothing. So does an expiry.
//
// # Design
//
// A batch is folded in memory, over the few stored rows that it changes, and each row is written once: a run of messages is
// one INSERT, and a message that was sent and edited in the same batch is one row. Reading before writing is safe because
// the checkpoint's row, locked first, admits one writer a partition. Rejected: updates by expressions in SQL, which differ
// between dialects and need one statement an event.
//
// New rows are inserted, changed ones overwritten. A new row that is there already means that the build belongs to another
// log than the one it is fed, and is an error.
//
// The first body is kept in revisions only once there is a second, so that the usual message is one row. Messages lie in
// the order of (conversation, seq), so a page is one scan of the primary key; there is no other index to keep.
//
// A viewer whose window is closed reads a message as it stood then: an edit, or a reaction, counts where its own sequence
// is inside. What was recalled or has expired is gone for everyone. A message whose time is up reads as expired even
// before the event that says so.
package history
