// Package contacts keeps who there is and who knows whom, in SQL.
//
// The tables of a build, whose names begin with contacts_<build>_:
//
//	users      one row each, as it stands; names and picture are empty once the account was erased
//	names      (name, user_id): what a user is found by: the folded user name and display name of those who are neither
//	           suspended nor erased
//	relations  (user_id, kind, peer): what peer is to the user: a contact (note is the user's remark), one whose request is
//	           waiting for the user ("incoming", note is its message), one who has the user's request ("outgoing"), or one that the
//	           user blocked ("blocked")
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
// What two users are to each other is written once a side, so each of a user's lists is one scan of the primary key. Names are a
// table of their own and not an index of users: a prefix is then a range of its key, in bytes, on every database, and one
// that may not be found has no row at all.
package contacts
