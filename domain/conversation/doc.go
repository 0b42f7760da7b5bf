// Package conversation holds the rules of groups, and the message rules that groups and pairs share.
//
// The fields of a conversation's decision state are
//
//	h         header (JSON): kind, title, who may join, how many members, where it ended; of a pair its two users
//	m:<user>  one member of a group, or somebody who was one: role; muted until; windows
//	c:<user>  how far a user has come: delivered, read, and what each of its sessions acknowledged; a free field
//	seq       the last sequence, written by the append script
//
// A pair has no m: fields: both users are members of it from its first event for ever, as its header says. The rest is
// the same, so [State] serves both and mpim/domain/pair adds only what is its own.
//
// # Design
//
// Who was a member keeps its field, with its windows closed: it may go on reading what it saw, and somebody who never
// was one is told that there is no such conversation.
//
// Sending changes no field. It is guarded by the version, which every change of a rule raises; that it moves the
// sender's read cursor is left to those who compute cursors, because writing it here would cost each send a field.
//
// What concerns all members at once stands in the header and not with each: that the group shows its members everything
// (then an open window reaches back to the first event), and that it was dissolved (which closes every window). A member
// who goes keeps what it could see then, so its window is closed as it was shown.
//
// A mute keeps from sending and from nothing else. It stays with who goes and comes again; the commit that brings it back
// says so in an event of its own, so whoever folds the log needs no memory of former members.
//
// Editing and recalling need a fact about another event (its sender, its time), which no decision state of bounded size
// can hold. Such facts never change, so they come in with the command ([Facts]). Whether the message is recalled does
// change; a change that crosses a recall is accepted, and those who fold the log let the recall win.
package conversation
