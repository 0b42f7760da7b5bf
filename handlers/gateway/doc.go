// Package gateway holds the sockets of clients: JSON-RPC 2.0 over WebSocket at GET /v1/ws.
//
// A [Gateway] is an [net/http.Handler] that takes sockets and a Run that hears what is pushed to them. What a client
// says becomes calls of operations (see handlers/api); what the push owners say about a connection is written to its
// socket. It promises:
//
//   - Pushes flow without a hole from the answer to hello on. Where one may be missing, the client is told to resync.
//   - Requests of one connection that append to one conversation take effect in the order of their frames.
//   - What a client sends cannot end the process, block others, or make it hold more than the [Limits] allow.
//   - Every connection whose beginning was recorded has its end recorded, by this process or, where that died, by the
//     sweep of its lease.
//
// # Design
//
// The protocol is a pure state machine, [Session]: it takes what happened (a frame, a tick of the clock, the result of a
// call, a push) and returns what to do. It has no goroutine, clock or I/O, so text scenarios in testdata cover what
// sockets show only with luck. Everything around it is thin.
//
// An idle connection costs one goroutine that waits in a read, a session, and buffers of half a kilobyte. The upgrade is
// detached from net/http, which gets its own buffers and stack back. A writer goroutine exists only while something is
// queued. It gathers frames in a pooled buffer and writes them with one system call, so a burst costs few calls and an
// idle socket no buffer. Rejected: frames joined into JSON-RPC arrays, because that copies and re-encodes per socket what
// all sockets share.
//
// A queue is bounded in bytes and frames, and has a lane for each class of frame. Typing and presence are left out first, then
// receipts; a client that cannot keep up with what remains is closed with 4001 and catches up with sync.
//
// What a client asks for is begun only while little is queued for it, and few reads at a time: who does not read its answers
// waits for them with its own requests, and not with the memory of the process.
//
// Nothing is pushed of a user before presence.get listed it for the watcher. An event that ends a membership holds the
// pushes that it may concern until presence.get was asked again; one that was lost is made good within [Config.Recheck].
//
// Compression costs more than it saves on single events and would be spent once a socket, so only long frames are
// compressed.
//
// # Connecting without a hole
//
// hello appends the connection to the log, then to the presence stream of the user's partition, then reads who holds the
// push leases, and answers when each holder has reported, under that lease, that it has folded the stream up to there.
// A partition without a holder is not waited for: whoever takes it reads the stream first. A holder that is silent for
// three seconds is not waited for either; the connection is told to resync once that holder, or the next one, is heard.
package gateway
