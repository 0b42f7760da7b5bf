package gateway

import "time"

// Limits bound what one connection can make the process hold, and how long it may take. They are shown in hello as far
// as clients can use them.
type Limits struct {
	// FrameBytes is the longest frame to the server, after decompression. Default 64 KiB; negative for no limit.
	FrameBytes int64
	// AnswerBytes is the longest frame to the client. Default 1 MiB.
	AnswerBytes int
	// TextBytes is the longest text of a message; only shown. Default 16 KiB.
	TextBytes int
	// Pending is how many requests may be unanswered. Default 500.
	Pending int
	// PendingBytes is how many bytes of parameters they may hold; a single one may hold more. Default 1 MiB.
	PendingBytes int
	// Running is how many of them are worked on at a time; the others wait. Default 32.
	Running int
	// Reading is how many of those that run may be reads: the answer of each may be as long as AnswerBytes. Default 3, so that
	// a client which only asks, and falls behind with Backlog, is not closed as slow for the answers.
	Reading int
	// Backlog is how many bytes may be queued when another request is begun; it waits while more are. Default 1 MiB.
	Backlog int
	// QueueFrames and QueueBytes are how far a client may fall behind before it is closed as slow. Default 4,096 frames,
	// 4 MiB.
	QueueFrames, QueueBytes int
	// Malformed is how many frames in a minute that are no request close the connection. Default 20.
	Malformed int
	// Hello is how long the first request may take. Default 10 s.
	Hello time.Duration
	// Heartbeat is how often the server pings; a client that is silent for two of them is closed. Default 25 s.
	Heartbeat time.Duration
	// Resync is how long a client may take to answer resync with sync. Default 30 s.
	Resync time.Duration
	// Leave is how long a closing connection waits for answers to what was accepted. Default 2 s.
	Leave time.Duration
}

// withDefaults returns the limits with a default for each that is zero.
func (l Limits) withDefaults() Limits {
	def(&l.FrameBytes, 64<<10)
	def(&l.AnswerBytes, 1<<20)
	def(&l.TextBytes, 16<<10)
	def(&l.Pending, 500)
	def(&l.PendingBytes, 1<<20)
	def(&l.Running, 32)
	def(&l.Reading, 3)
	def(&l.Backlog, 1<<20)
	def(&l.QueueFrames, 4096)
	def(&l.QueueBytes, 4<<20)
	def(&l.Malformed, 20)
	def(&l.Hello, 10*time.Second)
	def(&l.Heartbeat, 25*time.Second)
	def(&l.Resync, 30*time.Second)
	def(&l.Leave, 2*time.Second)
	return l
}

func def[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
