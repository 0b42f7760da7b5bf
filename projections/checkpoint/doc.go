// Package checkpoint keeps how far each projection has come in each partition, together with what the projection writes:
// in one transaction in SQL, in one script in Redis. Both refuse whoever does not begin where the checkpoint stands, or
// comes with another token than the newest, so every event is applied exactly once whoever delivers it how often.
//
// # Redis
//
// A fold turns records into [Writes]; nothing is sent before it is done. What lives in the partition of the checkpoint goes
// out in one script, which compares the checkpoint first and moves it last:
//
//	{p}:checkpoint:<projection>   hash: seq, id (of the stream's entry), token, at, updated, hold
//	{p}:parked:<projection>       hash: partition sequence → the parked event, JSON
//	{p}:parked_keys:<projection>  set of the keys behind which later events park
//	{p}:discarded:<projection>    hash: partition sequence → what was given up, by whom and why, JSON
//	builds:{<projection>}         hash: the builds, and which of them is live; see [RedisBuilds]
//
// All but the last belong to a build. The keys of the first one have these names; those of any other have its space in front
// (schema.BuildSpace).
//
// What lives elsewhere (a user's conversations) is written before, each hash by a script of its own that does only what is
// above the sequence in the hash's guard, the field "~<partition>". If the worker dies between the two, the same is done
// again and the guards pass over it.
//
// # Design
//
// In Redis a script that fails has still done what came before the failure. So all writes can be done again with the same
// outcome (they set, replace or raise; none adds), and the checkpoint is written last. For the same reason a step that is
// too long for one script call, which holds up the whole server, is done in pieces, each with its own move of the
// checkpoint: after a crash the step goes on behind the last piece.
//
// Folds read what they need before the script, without a lock. If the partition changed hands between reading and writing,
// the comparison fails and nothing of the fold is used.
//
// A worker that lost its partition may still send guarded writes for a moment. They are harmless, because each says what a
// fold of the log up to its sequence says, and a newer one is never taken back; see checkpointtest.Stalled.
//
// Readers find the live build by a pointer that they ask for in front of what they read ([Live]), in the same pipeline. A
// reader that goes by an old one reads again. Rejected: to give the live build's keys the plain names by renaming them, which
// cannot be done for a million keys at one instant; and to look the pointer up first, which is a round trip.
//
// A promotion compares the checkpoints and sets the pointer in one script. Where the live build is always ahead it is held
// still: "hold" in its checkpoint says until when and by whom, and steps wait. Retries of parked events hold a partition in
// the same way, since a fold reads before it writes. What is held is let go by itself, so whoever holds it may be killed.
// In Redis Cluster that script's keys would lie on several servers: there the live build has to be held for every promotion.
// Rejected: to compare partition by partition, since a reader that waits for several would see some pass and then not.
//
// A dropped build is fenced by a token that is higher than any worker's, then its keys are found by SCAN and unlinked a few
// hundred at a time. Rejected: one set of all keys of a build, which every fold would have to keep.
//
// Guards are by partition, so they hold back what is retried after later events of other conversations were written. A retry
// has a guard of its own in each hash, by what it is parked by. And whoever parks something behind what is parked holds the
// partition while it writes to guarded hashes, so that the step is not decided anew when they have been written.
//
// [Waiter] lets readers wait until a projection has passed a position.
package checkpoint
