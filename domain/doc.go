// Package domain is the vocabulary of MPIM and the rules of its aggregates.
//
// It does no I/O, reads no clock and draws no random numbers: time and entropy come in with a command, so a decision
// can be replayed exactly. The aggregates live in the packages below this one:
//
//   - account: a user's name, password, sessions and open connections;
//   - pair: two users' direct conversation and what they allow each other;
//   - conversation: group membership, and the message rules that groups and pairs share.
//
// Each has the same shape: Decide turns a state and a command into facts, Evolve turns a state and an event into the
// next state and cannot fail. No facts and no error mean that what was asked is already so. Facts with an error are
// appended and the caller refused all the same: a refusal can have consequences.
//
// # Design
//
// The decision state of an aggregate is one Redis hash with a field for the header and one for each member, device or
// side ([Fields]). A command names the fields it is decided on, and an event names the fields it changes, so a group of
// 100,000 members costs a sender no more than a group of ten.
//
// Every command guards on one version of its aggregate, the field [VersionField]. Only commands that change a rule
// (a member, a role, a session) raise it, so sends never conflict with each other but always with a removal. Fields
// that many commands move independently ([Free]: cursors, connections) do not raise it; each is compared with the value
// that was read instead. Rejected: a version per field, which costs a look-up a field on every send.
//
// Sequences exist only once the log has given them. Facts that state depends on (a member's window opens at the
// sequence of the event that added it) use [Pending], which the append script replaces.
package domain
