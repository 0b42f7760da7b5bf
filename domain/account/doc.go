// Package account holds the rules of an account: its name and password, its logins (sessions) and its open sockets
// (connections).
//
// The fields of its decision state are
//
//	h             header: name, profile, settings, password hash, suspended or not, administrator or not (JSON)
//	s:<session>   one login: its device, its refresh token, when it was last used (JSON)
//	k:<connection> one open socket: session and gateway; a free field
//
// # Design
//
// Passwords are checked outside, because that is slow on purpose and a decision may be taken several times. What comes
// in with [CreateSession] is the hash that the password was found to match; the decider compares it with the hash that
// stands, so a verdict on a password that was changed meanwhile lets nobody in.
//
// A refresh token that was used before means that somebody copied it. [Decide] then returns facts and an error
// together: the session is revoked, and the caller refused.
//
// A new password ends all sessions but the one that set it, in the same commit. A suspension ends none: whoever is let in
// again goes on where it was. Both close sockets: push acts on the events.
//
// Whoever finds a connection gone, its gateway by closing it or the sweep by its silence, gives [Disconnect]. The
// connection's field guards itself, so exactly one of them is recorded.
package account
