// Package proof is the form in which it is proved that an event is in the log: leaves, signed heads, and proofs that need
// nothing but a public key to be checked. It reaches no server.
//
// The events of each partition are the leaves of a Merkle tree as in RFC 6962, with the hashes of
// [golang.org/x/mod/sumdb/tlog]. A [Head] holds the size and root of every partition's tree; it is the text of a note
// ([golang.org/x/mod/sumdb/note]) that is signed with Ed25519. A [Proof] holds one event, its path to the root, and the note.
//
// # Design
//
// A leaf is the event's partition, sequence, uuid, metadata and payload, each behind its length, so that no two events have
// the same leaf ([AppendLeaf]). The stream id is no part of it: it is an address, and a repair may have to give the event another.
// RFC 6962 puts a byte 0 before a leaf and a byte 1 before two nodes, so a node can never be shown as a leaf.
//
// One note signs all partitions, and has a number that rises by one: what signs is then one small text, however many partitions
// there are, and who keeps any head can tell that later ones extend it, in all partitions at once. The number makes it seen that
// a head was taken away. The note names the keys that sign it, so that who keeps one sees when they change; which keys to
// trust a reader knows from elsewhere.
//
// Texts are parsed strictly: what is not to the byte what this package would write is refused. Two texts that mean the same would
// let one be shown here and the other there.
package proof
