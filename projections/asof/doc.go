// Package asof folds one conversation, in memory, up to an instant of the past: its title, members, messages and receipts as
// they stood, and what one user could see of them.
//
// # Promises
//
// The rules are those of the live system: who is a member and which windows a user has are decided by
// mpim/domain/conversation, the same code that admits requests. A message reads as it did at that instant, edited and recalled as
// of then. In a window that was closed by then, it reads as it stood when the window closed, but for what was recalled
// or expired before the instant, which is gone for everyone.
//
// # Design
//
// Nothing is kept for this: auditors ask for few conversations at few instants, and the log has all that is needed. The tables of
// history show the present, and asking them for the past would cost every write a validity interval.
//
// The changes of a message are kept in the order in which they came and evaluated when a document is made, because one reader's
// window may end between two of them.
package asof
