// Package members keeps in Redis who belongs to which conversation, from when to when, and with which role; how many
// changes there were to what a user sees of its own (user_seq); and which messages of a user wait to be sent.
//
// Windows are kept as members come and go. That a group shows its present members everything is no event of theirs, and
// is not in them: who may read what is decided on decision state.
//
// # Keys
//
//	group:members:{<conversation>}  hash: user → "role;joined;muted until;windows", former members too; dissolved
//	group:order:{<conversation>}    sorted set of a group's present members, all with score 0: pages by user id
//	user:conversations:{<user>}     hash: conversation → the same value
//	user:seq:{<user>}               hash: partition → changes that came from it
//	user:scheduled:{<user>}         hash: message that waits to be sent → when
//
// Each hash has guards, "~<partition>" → the last sequence of that partition that was folded into it. Pairs have rosters
// like groups.
//
// # Design
//
// Former members stay in the roster with their windows closed. Who pushes events can then tell from the roster alone who
// may see an event, whether the roster is older or newer than the event.
//
// Lists are paged by a sorted set beside the hash. A hash cannot be read in pages: HSCAN gives no order, may give a field
// twice, and gives all of a compact hash at once. The set costs 31 bytes a member of a group of 100, beside 52 in the hash,
// and 118 of one of 1,000, beside 96 (Redis 7.0). Pairs have none.
//
// Nothing is keyed by partition but the checkpoint. Every hash is folded by itself over the events above its guard, from
// what it holds, and written in one script; see fold.
package members
