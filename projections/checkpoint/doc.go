// Package checkpoint keeps how far each projection has come in each partition, together with what the projection writes:
// in one transaction in SQL, in one script in Redis. Both refuse whoever does not begin where the checkpoint stands, or
// comes with another token than the newest, so every event is applied exactly once whoever delivers it how often.
//
// # Redis
//
// A fold turns records into [Writes]; nothing is sent before it is done. What lives in the partition of the checkpoint goes
// out in one script, which compares the checkpoint first and moves it last:
//
//	{p}:checkpoint:<projection>   hash: seq, id (of the stream's entry), token, at, updated
//	{p}:parked:<projection>       hash: partition sequence → the parked event, JSON
//	{p}:parked_keys:<projection>  set of the keys behind which later events park
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
// [Waiter] lets readers wait until a projection has passed a position.
package checkpoint
