// Package receipts keeps how far each member of a conversation has got and read it, and when, in SQL.
//
// The tables of a build, whose names begin with receipts_<build>_:
//
//	cursors  (conversation, user_id): one row for each who is or was a member: since which event (from_seq) and until which
//	         (to_seq, null while it lasts), and how far the user's cursors stand
//	moves    (conversation, user_id, kind, seq): one row for each move of a cursor ("delivered" or "read") to a higher
//	         sequence, with its time
//
// [Queries] reads the live build for users; [Definition] makes one.
//
// # Promises
//
// The rows of a build follow from the events alone: however they are cut into batches, delivered again, or taken over, the
// same events give the same rows, in every dialect.
//
// Cursors never go back. Who sends a message has read up to it, and who has read was delivered to.
//
// # Design
//
// A cursor is one row a member, whatever the number of messages; who read a message is answered by comparing, and when, by the
// first move that reached it. Moves are kept for about the last [Kept] sequences below the member's cursor, so the history of a
// member is bounded however long a conversation goes on, and that of most conversations is whole. The bound is one of
// sequences and not of time, because the rows must follow from the events alone. Who read an older message is still
// known; when is then the oldest time that is kept, so not earlier than it was.
//
// The audience of a message are its conversation's present members who were members when it was sent, without the
// sender. In groups over 200 no delivered receipts are events: there a message counts as delivered to whoever read it or
// a later one.
package receipts
