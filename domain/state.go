package domain

import (
	"strconv"
	"strings"
	"time"
)

// Fields is the decision state of one aggregate as it is stored: a value for each field. A field that is absent has no
// entry, or an empty one.
type Fields map[string]string

// Wanted names fields of one aggregate that are to be read.
type Wanted struct {
	Aggregate Aggregate
	Fields    []string
}

// Fields that every aggregate has. The append script alone writes them.
const (
	// VersionField counts the commands that changed a rule of the aggregate. What is decided guards on it.
	VersionField = "v"
	// SeqField holds the last conversation sequence.
	SeqField = "seq"
	// OrdinalField holds how many messages were sent.
	OrdinalField = "ord"
	// HeaderField holds what the aggregate has once: a title, a password.
	HeaderField = "h"
)

// Free says whether the field is moved by commands that do not conflict with each other: cursors ("c:"), connections
// ("k:") and messages that wait to be sent ("q:"). A free field guards itself and does not raise the version.
func Free(field string) bool {
	return strings.HasPrefix(field, "c:") || strings.HasPrefix(field, "k:") || strings.HasPrefix(field, "q:")
}

// Int returns the field as a number, 0 where it is absent or no number.
func (f Fields) Int(field string) int64 {
	n, err := strconv.ParseInt(f[field], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// Seq is a sequence in a conversation: dense, from 1. A negative one is not known yet ([Pending]).
type Seq int64

// Pending returns the sequence that the event at the given index of a command will get.
func Pending(index int) Seq { return Seq(-1 - index) }

// String returns the number, or, for a pending sequence, a mark of control characters that the append script replaces
// with the number. No JSON text and no validated string contains one.
func (s Seq) String() string {
	if s < 0 {
		return "\x01" + strconv.FormatInt(int64(-s), 10) + "\x01"
	}
	return strconv.FormatInt(int64(s), 10)
}

// Event is one fact of an aggregate with its circumstances.
type Event struct {
	At    time.Time
	Actor UserID
	// Seq is the event's sequence in its conversation; 0 where its type takes none.
	Seq  Seq
	Data Fact
}
