// Package command turns requests into events: it loads what a command is decided on, decides, and appends.
//
// It knows no rule of any aggregate ([Rules] brings them) and nothing of how the log is kept ([Store] does).
//
// # Design
//
// Between load and append another command may change what was decided on. The log then writes nothing and says so; the
// command is loaded and decided again, with a jittered pause that grows, and after [Attempts] times the caller hears
// unavailable. Rejected: a lock per aggregate, which would hold every gateway to the slowest.
//
// A request that is sent again must get its first answer whatever has happened since. The append itself finds most: the
// log checks the request before anything it was decided on. But a retry may also be refused by its decider (the group
// exists by now; the sender was muted meanwhile), and only then is the log asked whether it knows the request. So the
// usual send costs no look-up.
package command
