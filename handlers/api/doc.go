// Package api holds every operation of the client protocol as one typed Go function, registered once and reachable over
// two transports: REST (handlers/httpapi) and JSON-RPC on a WebSocket (handlers/gateway).
//
// A transport looks an operation up, makes one flat JSON object of what the client sent, and calls it:
//
//	op, ok := registry.Lookup("message.send")
//	result, err := op.Call(ctx, api.Caller{User: …, Session: …}, params)
//	frame, err := api.Encode(result)
//
// Call does all the rest: it refuses a caller without a login, applies the rate limit, decodes strictly, waits for
// after_position, runs the operation. Every error is or wraps a *domain.Error whose code the transport maps to its own;
// one without such a code is internal, and its text is not for clients.
//
// # Design
//
// Parameters are decoded from one place, so both transports accept and refuse exactly the same. A member that the
// operation does not know is refused rather than passed over: a client that misspells an optional member learns it at
// once. (Clients, the other way, ignore what they do not know in answers.) Decoding is by encoding/json/v2 in its separate
// module, because it is case-sensitive and refuses duplicate names and invalid UTF-8, which version 1 lets pass.
//
// Whether a caller may do or read something is decided on decision state, which is never behind. Projections only say
// what there is to read.
package api
