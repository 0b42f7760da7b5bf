// Package seal makes what people wrote readable only for as long as their key exists.
//
// The log and its archive never change, and yet a person's texts must be able to go. So the personal members of an event
// (the tag mpim:"sealed" in package domain names them) are stored encrypted with a key that its owner has alone: the account
// for events of an account, the actor for all others. Destroying that key makes the texts unreadable in the log, in every
// segment of the archive and in every copy of either, while not one byte that proofs are made of changes.
//
// A [Ring] seals and opens: it is a Sealer of the log and an Opener of records. What it needs from outside is small: a
// [Store] that holds wrapped keys (SQL), optionally a [Cache] that all processes share (Redis), and the [Wrapping] keys of the
// configuration. A service that subscribes to the log with nothing but the stock Watermill package uses [Ring.OpenPayload].
//
// # Design
//
// The sealed text is the last member of the data, "sealed", in base 64 without padding:
//
//	1 byte   the format, 1
//	12 bytes a random nonce
//	n bytes  AES-256-GCM of the packed members (see pack.go)
//	16 bytes its tag
//
// Event id, aggregate and type are associated data, each behind the other with a zero byte between: a text that is moved to
// another event does not open. The nonce is random and not made of the event's id, since a client that sends two contents with
// one client id in the same millisecond would get one nonce for both.
//
// Members are packed before they are sealed, because nothing gets smaller afterwards. Most texts are short, and general
// compressors lose on them what they gain (s2 saves 6 % of 200 bytes of prose, and zstd 18 % for 4 µs); so the frame that every
// text message has is left out, and the letters go by a fixed Huffman table, one for Latin and one for all other scripts, which
// saves 45 % in half a microsecond. Longer ones go through zstd. Who sees the length of a sealed text learns about as much as
// from the length of the message; nothing secret stands beside the text that its writer could probe for.
//
// A key is kept in a process and in the shared cache for at most ten minutes after SQL was asked, and both forget it at once
// when it is destroyed ([Cache.Destroyed]). Keys that are in use are asked for again after a quarter of that time, so when
// SQL goes away there are minutes left for everybody who has been sending. The shared cache holds wrapped keys only.
//
// Erasing tells nobody what to forget but the owner's id, so whoever read with the key before must forget by himself what he
// keeps: projections fold account.erased (see package projections), and [Ring.Stale] tells which records in memory to read again.
//
// Rejected: a key for each conversation, which could not take one person out of it; sealing what is public by nature (a
// group's title, roles, times, reactions), which would make the log useless to an auditor; one sealed member for each personal
// one, which costs 28 bytes and a call each.
package seal
