// Package timers does what has fallen due: it ends messages whose time is up, and sends those that were scheduled.
//
// One leased worker a partition runs [Worker]. What is due stands in the partition's due list, which the append script
// keeps: an event puts an entry on it, and the commit that does what the entry says takes it off. What each entry is for
// its name says; see [mpim/domain/conversation.Due].
//
// # Design
//
// A timer fires exactly once although workers die, are deposed, or run two at a time: what it does is one append, and the
// log takes that only while the entry is there and takes the entry off with it. A worker that is killed before leaves the
// entry for the next one, and one that is killed behind it has left nothing to do. So workers keep nothing, and nothing is
// told to them: they look, twice a second, and wake for what they saw coming.
//
// A scheduled message waits in the decision state of its conversation, a pair that may not exist yet or a group, and the
// command that sends it is decided like any other: by the rules, members, mutes and blocks of that moment. Where it may not
// be sent, schedule.failed says why and takes the entry off.
//
// Timers of one conversation fire one after the other in the order of their times, so messages that became due together
// come in the order in which they were meant to. An entry that comes to nothing (it names what is not there, which no log
// that is whole has) rests for a minute and is counted, and does not hold up the others.
package timers
