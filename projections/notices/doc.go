// Package notices keeps the notices of the system and whom they are for, in SQL, so that those who come later find them too.
//
// The tables of a build, whose names begin with notices_<build>_:
//
//	notices    (at_ms, event): one row each
//	audiences  (audience, at_ms, event): whom a notice is for: "all", a user's id, a conversation's id for its members, or
//	           that with "/" and a role for its members of that role
//
// [Queries] reads the live build for users; [Definition] makes one.
//
// # Promises
//
// The rows of a build follow from the events alone: however they are cut into batches, delivered again, or taken over, the
// same events give the same rows, in every dialect.
//
// # Design
//
// Whom a notice is for is decided when it is read: who joins the conversation, or registers, afterwards, finds it, and who
// left does not. So a notice to a group of any size is two rows. A reader's list is a merge of few ranges of the key of
// audiences: all, the reader, and the reader's conversations.
//
// A notice for those who are connected to a gateway, or with a client of a name, is listed for all whom these conditions
// would narrow: they say who is told at once.
//
// What says to whom a notice goes, "to" of the event, is "all", or an object with one of: "users", a list of ids;
// "conversation", an id, and then maybe "roles", a list of roles; "gateway" and "client" narrow either, or all. Other forms, which a later version may write, are for
// nobody here.
package notices
