// Package presence keeps in Redis who is connected, through which gateway, and what others are told about it.
//
// # Keys
//
// The fold of the log, in the same partition as its checkpoint:
//
//	{p}:connections     hash: connection → schema.Connection, the registry that push owners start from
//	{p}:users           hash: user → "<last end> <offline from> <connection>…"
//	{p}:offline         sorted set of users by when their grace passes
//
// What is not in the log:
//
//	{p}:choices         hash: user → what it chose to be seen as, and when
//
// Leases by user, for whoever knows no partitions; gateways renew them every 20 seconds while a socket is open:
//
//	route:{<user>}        hash: connection → schema.Connection, 60 s
//	user:status:{<user>}  hash: "user" as in {p}:users, "choice" as in {p}:choices, and the guard of both keys, 300 s
//
// # Builds
//
// A build is what is folded from the log: the first three hashes. They are right whenever they are folded, since the log has the
// end of every connection, also of those of gateways that died. Choices and leases belong to no build. All builds that are fed
// write the same leases, guarded by the same sequences, so it makes no difference which comes first; those that read the past
// leave out what has run out since. Only the live one tells others of changes, and is swept.
//
// # Design
//
// Presence is computed when it is asked for, from what the log says (which connections are open, when the last one ended
// and how) and what the user chose. So no timer has to fire for somebody to be offline, and a sweep that is late makes
// nothing wrong but the moment at which watchers are told. Queries read the partition's hashes and not the leases: two
// calls a partition whatever the number of users, and exact, because a lease that ran out has lost its guard.
//
// A user whose last connection was lost stays online for [Grace]. With a close frame it is gone at once; so it is when its
// gateway expired, because that gateway was silent for as long already.
//
// Choices outlive connections: who vanished stays so when it comes back. While invisible, the time it was seen last
// stands still, also afterwards, until it shows itself.
//
// A gateway that comes back while it is swept may believe connections open that the log says have ended. The sweep ends
// its lease once more then, and it says anew what it has.
package presence
