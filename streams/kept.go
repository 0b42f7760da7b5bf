package streams

import (
	"encoding/binary"
	"time"

	"mpim/domain"
)

// Remembered is a request that was appended, as the log remembers it for a day.
type Remembered struct {
	domain.Request
	At time.Time
	// Seq is the sequence of its first event that takes one; 0 where none does.
	Seq domain.Seq
}

// Entry returns where it is remembered, the key and the field, and what stands there.
func (r Remembered) Entry(partitions, partition int) (key, field, value string) {
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(r.At.UnixMilli()))
	value = string(append(ms[2:8:8], r.Content[:]...)) + r.Seq.String()
	return requestKey(partitions, partition, r.Key), string(r.Key[:]), value
}

// RequestLife is how long a request is remembered.
const RequestLife = requestLife
