package domain

import "time"

// Commit is what one command wants appended: its events, and the decision state they lead to. The log takes all of it
// or nothing.
type Commit struct {
	Aggregate Aggregate
	// Request makes the command idempotent; nil where it has no client id.
	Request *Request
	// Guards are what the command was decided on.
	Guards []Guard
	// At is when the command was accepted, in whole milliseconds, and Actor who gave it. Actor is empty for the system.
	At    time.Time
	Actor UserID
	// Entropy makes the events' ids: at least EventEntropy bytes. With a Request, the ids come from its key instead.
	Entropy []byte
	// Events are the facts, in order; at least one, at most MaxCommitEvents.
	Events []Fact
	// Set and Delete change fields of the decision state. Values may hold pending sequences.
	Set    []Field
	Delete []string
	// RaisesVersion says that a rule changed, so that what was decided on the version before is decided again.
	RaisesVersion bool
	// Timers are put on the partition's due list, and Cancels taken off it. With Fires, the commit is guarded by that
	// entry still being there and takes it off, so a timer fires exactly once.
	Timers  []Timer
	Cancels []string
	Fires   string
	// Trace is the W3C trace parent to store with the events; empty where the trace is not sampled.
	Trace string
}

// MaxCommitEvents bounds the events of one command, so that no command blocks a partition.
const MaxCommitEvents = 1000

// Timer is an entry of a partition's due list: what to do (a name that the aggregate understands) and when.
type Timer struct {
	Name string
	At   time.Time
}

// Field is one field of a decision state.
type Field struct{ Name, Value string }

// Guard is a field and the value it had when the command was decided; empty means absent.
type Guard struct{ Field, Value string }

// Request identifies a command that may be sent again.
type Request struct {
	// Key is a hash of scope, sender and client id.
	Key [12]byte
	// Content is a keyed hash of the request as understood, which tells a retry from a conflict.
	Content [8]byte
}

// Appended is what became of a commit.
type Appended struct {
	// Position is where the last event stands.
	Position Position
	// Seq is the conversation sequence of the first event that takes one; 0 where none does.
	Seq Seq
	// Ordinal is how many messages the conversation has.
	Ordinal int64
	// Event is the id of the first event.
	Event EventID
	// At is the time of the events.
	At time.Time
	// Duplicate says that an earlier append of the same request is described, and that nothing was appended now. Its
	// Position is then that of the partition as it stood.
	Duplicate bool
}
