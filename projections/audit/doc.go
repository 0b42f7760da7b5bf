// Package audit proves that nothing was changed in the log: it builds a Merkle tree over the archived events of each partition and
// signs the heads of all of them ([Signer]), recomputes everything from the events and compares ([Verifier]), and proves single
// events ([Prover]). What leaves, heads and proofs look like is package schema/proof.
//
// # Promises
//
// Only events that were archived and read back are in the trees, in their order. A signed head is never written over or taken away.
// A new head costs what is new, and a proof a few rows for every level of 256. Whatever of the audit fails, archiving goes on.
//
// # Design
//
// The hashes of a tree lie in tiles of 256, eight levels to a tile, as in golang.org/x/mod/sumdb/tlog: 32 bytes an event and little more.
// They follow from the events, so leaving out the lowest level would do; but then a proof would decompress segments, and a change
// could not be told from its neighbours. Tiles only grow, and only the last of each level; they and the head that signs them are one
// transaction.
//
// The archiver hands over what it has read back, so nothing is read twice. What was archived before, or by a process without a key,
// is read from the archive. The number of a head is its primary key: of two workers that both believe they have the lease, one signs.
//
// Who builds trees could be made to sign a lie: by changing the tiles that it goes on from. So what a signer goes on from is
// either below the root of a head whose signature it has checked, or recomputed from the events. And events that wait in the archive to be
// signed could be changed there first, for as long as somebody keeps heads from being written: so those that did not come from the stream
// itself are compared with it, as long as it holds them. Without a key nothing is
// built, since what nobody signed could not be gone on from.
//
// The newest head is kept in Redis as well ([Witness]). Who can write to SQL alone can cut the newest heads and the end of the archive, and
// what is left is a sound log, a little shorter; against that only a head kept elsewhere helps, and this is the nearest elsewhere. A
// database that was restored from a backup looks the same, and so the signer goes on where the events come to the very root that was
// signed, and puts that head back.
//
// Merging segments changes no leaf. Rejected: trees over segments (they merge), a head for each partition (who keeps them would need
// all), and one tree over all partitions (its order would depend on when each was archived).
package audit
