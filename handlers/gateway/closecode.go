package gateway

// CloseCode says why a socket was closed. Below 4100 the client connects again, with back-off, and resumes; from 4100 on it
// does not.
type CloseCode uint16

// The close codes of the client protocol, and those of RFC 6455 that the gateway uses.
const (
	CloseNormal       CloseCode = 1000
	CloseGoingAway    CloseCode = 1001
	CloseTooBig       CloseCode = 1009
	CloseDraining     CloseCode = 4000
	CloseSlow         CloseCode = 4001
	CloseLost         CloseCode = 4002
	CloseResync       CloseCode = 4003
	CloseNoHello      CloseCode = 4100
	CloseRevoked      CloseCode = 4101
	CloseSuspended    CloseCode = 4102
	CloseViolation    CloseCode = 4103
	closeNotRequested CloseCode = 0
)

// reasons are the texts of close frames, which hold at most 123 bytes.
var reasons = map[CloseCode]string{
	CloseNormal:    "resumed by another connection",
	CloseGoingAway: "going away",
	CloseTooBig:    "the frame is over the limit",
	CloseDraining:  "draining: reconnect now, elsewhere",
	CloseSlow:      "slow consumer",
	CloseLost:      "heartbeat lost",
	CloseResync:    "resynchronise",
	CloseNoHello:   "no hello in time, or not authenticated",
	CloseRevoked:   "session revoked, password changed or token expired",
	CloseSuspended: "account suspended",
	CloseViolation: "protocol violation",
}
