// Package bus is the way between gateways and workers beside the log: who is connected where, which gateways are alive,
// and what is pushed to them.
//
// In Redis it keeps, for each partition,
//
//	{p}:presence         stream: connections that opened and ended, gateways that fell silent, who is typing; an hour
//	{p}:gateways         hash: gateway → its last renewal (Unix ms), the lease of all its connections in the partition
//	{p}:checkpoint:push  hash: seq, id, token, at: how far the partition is pushed
//
// and it publishes on two kinds of channels: gateway:{<id>}, which one gateway listens to, and status:{<tag>}, for the
// status of the users of a partition. Times are the server's own: clients' clocks may be wrong by hours.
//
// # Design
//
// Pub/Sub loses messages whenever a connection breaks, and says nothing. Nothing here hides that: [Bus.Listen] ends with
// the connection, and what is published carries numbers (see schema.Envelope). The
// client library's own reconnection, and its channel that drops messages when the reader is slow, are not used.
//
// That a connection is open and that its gateway has a lease are one script, as are that the lease ended and that its
// connections are gone. So whoever folds a presence stream sees them in an order that happened: a gateway that comes back
// after it was given up says "connected" after the entry that swept it, never before.
//
// Presence streams are trimmed by age with every append, which costs nothing: a stream drops whole nodes of its oldest
// entries.
//
// Members of conversations are read from decision state and not from a projection ([Bus.Members]). The append script
// writes it together with the events, so it is never behind what is pushed; a projection that lags would hide a member
// from those who push, and nobody would notice.
package bus
